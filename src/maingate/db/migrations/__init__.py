"""The schema's history, packaged so that an installed Maingate can bring any database up to date.

Alembic takes a while to import; it is only asked when there is something to do.
"""

from typing import Final

from sqlalchemy import Connection

from maingate.db.schema.triggers import create_schema
from maingate.db.sql.statements import change, define, row_of
from maingate.errors import DatabaseError

HEAD: Final = "0001"
"""The revision that this program wants."""

_VERSION_TABLE: Final = "alembic_version"
_HAS_VERSION: Final = {
    "sqlite": f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{_VERSION_TABLE}'",
    "postgresql": f"SELECT 1 WHERE to_regclass('{_VERSION_TABLE}') IS NOT NULL",
}
_MAKE_VERSION: Final = (
    f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))"
)


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database's schema; None when it has none yet."""
    if row_of(connection, _HAS_VERSION[connection.dialect.name]) is None:
        return None
    found = row_of(connection, f"SELECT version_num FROM {_VERSION_TABLE}")
    return None if found is None else str(found[0])


def upgrade(connection: Connection, where: str, *, to: str = HEAD) -> None:
    """Migrate a schema within the connection's transaction: wholly or not at all.

    An empty database gets the declared schema as it is; that this is what all migrations together make is
    tested.

    Args:
        connection: A writing transaction.
        where: Address of the database, for the error.
        to: The revision to reach; tests stop before the newest one.

    Raises:
        DatabaseError: The schema is of a newer program.
    """
    found = revision_of(connection)  # asked again: another process may have been first
    if found is None and to == HEAD:
        _create(connection)
        return
    from maingate.db.migrations import runner  # noqa: PLC0415 - keeps Alembic out of every start

    if found is not None and found not in runner.known_revisions():
        raise DatabaseError(
            f"the database {where} was written by a newer Maingate (its schema is {found}, this program "
            f"knows up to {HEAD}); use that version or another database"
        )
    if found != to:
        runner.run(connection, to)


def _create(connection: Connection) -> None:
    """Make the declared schema, and say of which revision it is as Alembic would."""
    create_schema(connection)
    define(connection, _MAKE_VERSION)
    change(connection, f"INSERT INTO {_VERSION_TABLE} (version_num) VALUES (?)", (HEAD,))
