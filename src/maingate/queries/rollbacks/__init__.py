"""Rollbacks: the patches that are meant, the result, and the commands that are owed."""
