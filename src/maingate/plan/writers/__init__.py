"""Plans as text, and the JSON Schema of the format."""
