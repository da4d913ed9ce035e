"""The readiness of a database server to take writes, asked without waiting for a writer."""

from sqlalchemy import Connection

from maingate.db.sql.statements import row_of


def why_read_only(connection: Connection) -> str | None:
    """Return why a server takes no writes; None when it does, or when the database has no server."""
    if connection.dialect.name != "postgresql":
        return None
    asked = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"
    found = row_of(connection, asked)
    if found is not None and found[0]:
        return "the server is a standby that follows another one; connect to its primary, or promote it"
    if found is not None and found[1] == "on":
        return "its default_transaction_read_only is on; `ALTER DATABASE … SET …` it off"
    return None
