"""Verdicts of gates on trees: found out once, kept under a key, and turned into blame by a pure function."""
