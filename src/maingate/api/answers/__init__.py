"""Answers: JSON with a validator, and the documents of problems."""
