"""Sessions of browsers: begun with a token, recognised by a cookie that is not the token, and ended.

A session is written ``mgs_<id>_<secret>``. Its secret is stored as a hash, and ends with the session: at its
end nothing that a browser had can be used any more.
"""

from datetime import timedelta
from typing import Final

from maingate.db.dao import sessions, tokens
from maingate.db.dao.sessions import SessionRow
from maingate.db.dao.tokens import TokenRow
from maingate.ids import new_id
from maingate.repository_context import RepositoryContext
from maingate.services.http.secret_text import SecretText
from maingate.services.http.tokens import TokenService

LASTS: Final = timedelta(days=30)
"""Time after which a session ends by itself."""

_MARK: Final = "mgs"


def new_session() -> SecretText:
    """Return the secret of a session that is about to begin."""
    return SecretText.new(_MARK, new_id("session"))


class SessionService:
    """Keeps the sessions of the tokens of one record.

    Args:
        context: The repository and its record.
        of_tokens: The tokens of that record.
    """

    def __init__(self, context: RepositoryContext, of_tokens: TokenService) -> None:
        self._context, self._tokens = context, of_tokens

    def begin(self, session: SecretText, token: str) -> bool:
        """Begin a session with a token; return False where the token is not valid in this record.

        Sessions whose time is over are removed.
        """
        row = self._tokens.recognise(token)
        if row is None:
            return False
        now = self._context.clock.now()
        begun = SessionRow(
            id=_id_of(session),
            token_id=row.id,
            secret_hash=session.hash,
            created_at=now,
            expires_at=now + LASTS,
        )
        with self._context.database.write() as conn:
            sessions.forget_expired(conn, now)
            sessions.insert(conn, begun)
        return True

    def recognise(self, text: str) -> TokenRow | None:
        """Return the token of the open session that a text is; None when it is none.

        The secret is compared in constant time, also where the id is unknown.
        """
        found = self._open(text)
        if found is None:
            return None
        with self._context.database.read() as conn:
            token = tokens.get(conn, found.token_id)
        if token is None or token.revoked_at is not None:
            return None
        self._tokens.note_use(token)
        return token

    def end(self, text: str) -> None:
        """End the session that a text is, if it is one that is open."""
        found = self._open(text)
        if found is not None:
            with self._context.database.write() as conn:
                sessions.end(conn, found.id, self._context.clock.now())

    def _open(self, text: str) -> SessionRow | None:
        session = SecretText.read(_MARK, text)
        if session is None:
            return None
        with self._context.database.read() as conn:
            row = sessions.get(conn, _id_of(session))
        is_known = session.has_hash(None if row is None else row.secret_hash)
        return row if row is not None and is_known and row.is_open(self._context.clock.now()) else None


def _id_of(session: SecretText) -> str:
    return f"session_{session.id}"
