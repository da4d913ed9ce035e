"""Traces: the spans of runs and their parts, made of the ledger and exported by OTLP."""
