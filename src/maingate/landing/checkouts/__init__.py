"""Checkouts of a branch: looked at before it moves, and made to follow it, now or late."""
