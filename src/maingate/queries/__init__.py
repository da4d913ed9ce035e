"""The public JSON objects, which people and programs read."""
