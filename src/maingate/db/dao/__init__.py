"""One module per entity: read rows, insert rows, and name its transitions."""
