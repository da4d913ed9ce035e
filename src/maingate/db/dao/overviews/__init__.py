"""Overviews: questions about many rows of several tables, answered by the database."""
