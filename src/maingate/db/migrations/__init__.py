"""The schema's history, packaged so that an installed Maingate can bring any database up to date.

A revision that was released is never changed: a difference from it is a new one.
Alembic takes a while to import; it is only asked when there is something to do.
"""

from typing import Final

from sqlalchemy import Connection

from maingate.db.schema.triggers import create_schema
from maingate.db.sql.statements import change, define, row_of
from maingate.errors import DatabaseError

HEAD: Final = "0005"
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
        DatabaseError: The schema is of a newer program, or cannot be migrated.
    """
    found = revision_of(connection)  # asked again: another process may have been first
    if found is None and to == HEAD:
        _create(connection)
        return
    if is_newer(found):
        raise DatabaseError(
            f"the database {where} was written by a newer Maingate (its schema is {found}, this program "
            f"knows up to {HEAD}); use that version or another database"
        )
    if found != to:
        _migrate(connection, where, found, to)


def is_newer(revision: str | None) -> bool:
    """Return whether a revision is one of a newer program, which this one does not know."""
    if revision in {None, HEAD}:
        return False
    from maingate.db.migrations import runner  # noqa: PLC0415 - keeps Alembic out of every start

    return revision not in runner.known_revisions()


def _migrate(connection: Connection, where: str, found: str | None, to: str) -> None:
    from maingate.db.migrations import runner  # noqa: PLC0415 - keeps Alembic out of every start

    try:
        runner.run(connection, to)
    except DatabaseError as error:
        raise DatabaseError(
            f"the schema {found} of the database {where} could not be brought to {to}, and nothing was "
            f"changed; a record of a release can be, one of a version between two releases may not: {error}"
        ) from error


def _create(connection: Connection) -> None:
    """Make the declared schema, and say of which revision it is as Alembic would."""
    create_schema(connection)
    define(connection, _MAKE_VERSION)
    change(connection, f"INSERT INTO {_VERSION_TABLE} (version_num) VALUES (?)", (HEAD,))
