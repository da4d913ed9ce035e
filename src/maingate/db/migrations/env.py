"""Alembic's entry: migrate on the connection that `runner` hands in, within its transaction."""

from alembic import context

from maingate.db.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # Alembic believes SQLite cannot; with BEGIN IMMEDIATE it can
)
with context.begin_transaction():
    context.run_migrations()
