"""Runs: their list, report, graph and timeline, the summary of a plan, and the picture of one under way."""
