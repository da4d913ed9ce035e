"""Patches and tasks in detail, the logs of gates, and lists of entities."""
