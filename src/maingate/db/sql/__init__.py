"""SQL for both databases: statements, column types, rows as values, and translated errors of drivers."""
