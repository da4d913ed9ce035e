"""Patches: read from any text, checked against the policy, and applied to a tree."""
