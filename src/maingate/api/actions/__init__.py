"""Actions that requests ask for: each once under its key, and the answer to it."""
