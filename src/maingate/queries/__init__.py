"""What people and programs read: the public JSON objects."""
