"""All SQL: engine, tables, the one writer of states, one data access module per entity."""
