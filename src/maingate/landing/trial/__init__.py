"""Trials: which items conflict with the target or with one another, told before anything is run."""
