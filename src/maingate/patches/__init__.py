"""Patches: read from any text, held against policy, and applied to a tree."""
