"""Waits: the reason of each, its beginning and its end, in a sentence."""
