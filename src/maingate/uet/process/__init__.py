"""One command: started, attended, ended with all that it started."""
