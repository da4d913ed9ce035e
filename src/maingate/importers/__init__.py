"""Importers: each turns another format into a plan file and its patches."""
