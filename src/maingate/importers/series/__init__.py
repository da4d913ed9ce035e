"""Series of patches: in mails, in files, and in git's history."""
