"""Tools that make patches: their commands, prompts and outputs. Pure."""
