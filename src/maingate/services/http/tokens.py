"""Tokens of the HTTP interface: created, listed, revoked, and recognised.

A token is written ``mgt_<id>_<secret>``. Its secret is shown once and stored as a hash.
"""

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from maingate.db.dao import sessions, tokens
from maingate.db.dao.history import events
from maingate.db.dao.tokens import TokenRow
from maingate.db.ledger.new_event import new_event
from maingate.errors import DatabaseError, UnknownEntityError, UsageError
from maingate.events import Event, EventType, Severity, iso_millis
from maingate.ids import new_id
from maingate.repository_context import RepositoryContext
from maingate.roles import Role
from maingate.services.http.secret_text import SecretText

__all__ = ["CreatedToken", "TokenRow", "TokenService"]

_MARK: Final = "mgt"
_NAME: Final = re.compile(r"[^\W_][\w.@ +-]{0,63}")
_TOUCHED_EVERY: Final = timedelta(minutes=1)
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CreatedToken:
    """A new token.

    Args:
        id: Its identifier.
        name: Its name.
        role: Its rights.
        text: The token itself, which is not stored.
    """

    id: str
    name: str
    role: Role
    text: str


class TokenService:
    """Keeps the tokens of one record.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context

    def create(self, name: str, role: Role, *, operator: str) -> CreatedToken:
        """Create a token.

        Args:
            name: The operator that decisions made with it are recorded under.
            role: Its rights.
            operator: The person who creates it.

        Raises:
            UsageError: The name is not acceptable, or was given before.
        """
        if _NAME.fullmatch(name) is None:
            raise UsageError(
                f"invalid token name {name!r}: give 1 to 64 letters, digits, spaces and `. _ @ + -`, "
                "a letter or digit first"
            )
        token_id, at = new_id("token"), self._context.clock.now()
        secret = SecretText.new(_MARK, token_id)
        with self._context.database.write() as conn:
            if tokens.named(conn, name) is not None:
                raise UsageError(
                    f"there is or was a token {name!r}: choose another name, decisions on record bear it"
                )
            made = TokenRow(
                id=token_id,
                name=name,
                role=role,
                secret_hash=secret.hash,
                created_by=operator,
                created_at=at,
            )
            tokens.insert(conn, made)
            events.record(conn, _event(EventType.TOKEN_CREATED, made, operator, at))
        self._context.write_log()
        return CreatedToken(id=token_id, name=name, role=role, text=str(secret))

    def all(self) -> list[dict[str, Any]]:
        """Return all tokens with their open sessions, oldest first, in the public JSON form."""
        with self._context.database.read() as conn:
            count = sessions.count_open(conn, self._context.clock.now())
            return [_as_json(row, count.get(row.id, 0)) for row in tokens.all_of(conn)]

    def revoke(self, name: str, *, operator: str) -> None:
        """Revoke a token, which is refused from now on, and end its sessions.

        Raises:
            UnknownEntityError: There is no token of that name or id.
            UsageError: It is revoked already.
        """
        at = self._context.clock.now()
        with self._context.database.write() as conn:
            row = tokens.named(conn, name) or tokens.get(conn, name)
            if row is None:
                raise UnknownEntityError(
                    name, f"no token is called {name!r}; `maingate token list` lists all"
                )
            if row.revoked_at is not None:
                raise UsageError(f"token {row.name!r} is revoked already, since {iso_millis(row.revoked_at)}")
            tokens.revoke(conn, row.id, at)
            sessions.end_of_token(conn, row.id, at)
            events.record(conn, _event(EventType.TOKEN_REVOKED, row, operator, at))
        self._context.write_log()

    def has_any(self, *, valid: bool = False) -> bool:
        """Return whether there are tokens, or only whether there are valid ones."""
        with self._context.database.read() as conn:
            return tokens.count(conn, valid=valid) > 0

    def recognise(self, text: str) -> TokenRow | None:
        """Return the valid token that a text is; None when it is none.

        The secret is compared in constant time, also where the id is unknown.
        """
        secret = SecretText.read(_MARK, text)
        if secret is None:
            return None
        with self._context.database.read() as conn:
            row = tokens.get(conn, f"token_{secret.id}")
        is_known = secret.has_hash(None if row is None else row.secret_hash)
        if row is None or not is_known or row.revoked_at is not None:
            return None
        self.note_use(row)
        return row

    def note_use(self, row: TokenRow) -> None:
        """Record the use of a token, at most once a minute; a failure to write stops no reader."""
        now = self._context.clock.now()
        if row.last_used_at is not None and now - row.last_used_at < _TOUCHED_EVERY:
            return
        try:
            with self._context.database.write() as conn:
                tokens.touch(conn, row.id, now)
        except DatabaseError as error:
            _log.warning("the use of token %s was not recorded: %s", row.name, error)


def _event(kind: EventType, token: TokenRow, operator: str, at: datetime) -> Event:
    facts = {"token": token.id, "name": token.name, "role": str(token.role)}
    return new_event(kind, None, at, severity=Severity.WARNING, metadata=facts, operator=operator)


def _as_json(row: TokenRow, sessions_open: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "role": str(row.role),
        "created_by": row.created_by,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
        "sessions": sessions_open,
    }
