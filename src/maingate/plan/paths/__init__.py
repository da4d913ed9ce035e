"""Paths that a plan names: globs, whether two can match the same path, and overlapping scopes."""
