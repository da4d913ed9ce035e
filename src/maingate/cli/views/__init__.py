"""Views: output for people, from the public JSON objects."""
