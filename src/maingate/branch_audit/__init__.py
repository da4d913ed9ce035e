"""The audit of branches: the landings on record and those in the history of a branch are the same."""
