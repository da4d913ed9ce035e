"""Tokens of the HTTP interface, by the hash of their secret."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import storable, to_micros
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change
from maingate.roles import Role


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """One token.

    Args:
        id: Its identifier, ``token_…``.
        name: The operator that decisions made with it are recorded under.
        role: Its rights.
        secret_hash: The SHA-256 of its secret.
        created_by: The person who created it.
        created_at: The time of its creation.
        last_used_at: The time it was last used, to the minute; None for one that was never used.
        revoked_at: The time of its revocation; None while it is valid.
    """

    id: str
    name: str
    role: Role
    secret_hash: str
    created_by: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


_ROWS: Final = Records(tables.tokens, TokenRow)


def insert(connection: Connection, token: TokenRow) -> None:
    """Insert a token.

    Raises:
        InvariantError: Its name was given before.
    """
    _ROWS.insert(connection, [token])


def get(connection: Connection, token_id: str) -> TokenRow | None:
    """Read a token by its id, valid or revoked; None when there is none."""
    return _ROWS.one(connection, "id", token_id)


def named(connection: Connection, name: str) -> TokenRow | None:
    """Read a token by its name, valid or revoked; None when there is none."""
    return _ROWS.one(connection, "name", storable(name))


def all_of(connection: Connection) -> list[TokenRow]:
    """Read all tokens, oldest first."""
    return _ROWS.select(connection, "ORDER BY created_at, id")


def count(connection: Connection, *, valid: bool) -> int:
    """Count the tokens, or only those that are valid."""
    return _ROWS.count(connection, "WHERE revoked_at IS NULL" if valid else "")


def touch(connection: Connection, token_id: str, at: datetime) -> None:
    """Record that a token was used."""
    change(connection, "UPDATE tokens SET last_used_at = ? WHERE id = ?", (to_micros(at), token_id))


def revoke(connection: Connection, token_id: str, at: datetime) -> None:
    """Record that a token is no longer valid."""
    sql = "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"
    change(connection, sql, (to_micros(at), token_id))
