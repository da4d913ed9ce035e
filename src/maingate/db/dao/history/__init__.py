"""The history: events, their pages and lines, and the stops of runs."""
