"""Monitoring of runs: entities that make no progress."""
