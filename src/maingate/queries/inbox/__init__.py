"""The inbox: the open matters that a person has to decide."""
