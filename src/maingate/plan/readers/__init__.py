"""Readers of plan files: YAML and JSON become one document that knows its lines."""
