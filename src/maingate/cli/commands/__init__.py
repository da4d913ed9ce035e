"""One module per command: each parses, calls, prints, and sets the exit code."""
