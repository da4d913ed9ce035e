"""The run: which task is next, what its patch means for its workstream, and what lands when."""
