"""The demo: a story, the stage it is played on, and the check of how it ended."""
