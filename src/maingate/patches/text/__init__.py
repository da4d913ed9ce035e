"""The text of a patch: syntax, names, hunks and mail, line by line."""
