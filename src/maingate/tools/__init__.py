"""Tools that make patches: how each is called, what it is told, and what its output says. Pure."""
