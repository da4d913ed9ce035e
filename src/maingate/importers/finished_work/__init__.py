"""Finished work that is to land: branches, ranges and patches become the workstreams of a plan."""
