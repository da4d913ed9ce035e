"""Applying a patch to a tree: places of hunks, expected results, changes that the history has already."""
