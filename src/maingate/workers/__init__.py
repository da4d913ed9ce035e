"""Jobs and where they run: the backend that others know, and the pool of worker processes of this machine."""
