"""The plan file: its model, how it is read and checked, and importers of other formats."""
