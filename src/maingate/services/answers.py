"""Answers that are kept, so that a request sent again under the same key is carried out once."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from maingate.db.dao import answers
from maingate.db.dao.answers import AnswerRow
from maingate.errors import UsageError
from maingate.repository_context import RepositoryContext

KEPT_FOR: Final = timedelta(hours=24)
"""Time for which an answer is kept."""

_FIRST_ERROR: Final = 400
"""The lowest status of an answer that reports an error; nothing was done then."""


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """An answer to a request.

    Args:
        status: Its HTTP status.
        body: Its JSON text.
        headers: The headers that belong to it.
        is_repeated: Whether it was given to an earlier request with the same key.
    """

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeated: bool = False


class KeyReusedError(UsageError):
    """The idempotency key was used for another request; choose a new key."""


class KeyBusyError(UsageError):
    """A request with this idempotency key is under way; send it again in a moment."""


class KeyAbandonedError(UsageError):
    """A request with this idempotency key was begun and never answered: read whether it was done."""


def fingerprint_of(*parts: bytes) -> str:
    """Return the digest of a request, given its parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


class AnswerService:
    """Keeps the answers of one record.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._under_way: set[tuple[str, str]] = set()

    def once(self, operator: str, key: str, fingerprint: str, call: Callable[[], KeptAnswer]) -> KeptAnswer:
        """Carry a request out, unless it was carried out under the same key; return its answer.

        A request that fails leaves its key free.

        Args:
            operator: The caller.
            key: The key that the caller chose.
            fingerprint: The digest of the request.
            call: Carries it out.

        Raises:
            KeyReusedError: The key was used for another request.
            KeyBusyError: That request is under way.
            KeyAbandonedError: Its process ended before it answered.
        """
        given = self._begin(operator, key, fingerprint)
        if given is not None:
            return given
        answer: KeptAnswer | None = None
        try:
            answer = call()
        finally:
            self._end(operator, key, answer)
        return answer

    def _begin(self, operator: str, key: str, fingerprint: str) -> KeptAnswer | None:
        """Take a key; return the answer that was given under it, if any."""
        now = self._context.clock.now()
        with self._context.database.write() as conn:
            answers.forget_before(conn, now - KEPT_FOR)
            row = answers.find(conn, operator, key)
            if row is None:
                taken = AnswerRow(
                    operator=operator,
                    key=key,
                    fingerprint=fingerprint,
                    created_at=now,
                )
                answers.begin(conn, taken)
                self._under_way.add((operator, key))
                return None
        if row.fingerprint != fingerprint:
            raise KeyReusedError
        if row.status is not None:
            kept = KeptAnswer(status=row.status, body=row.body or "", headers=row.headers or {})
            return replace(kept, is_repeated=True)
        raise KeyBusyError if (operator, key) in self._under_way else KeyAbandonedError

    def _end(self, operator: str, key: str, answer: KeptAnswer | None) -> None:
        """Keep an answer, or free the key of a request that was refused or failed."""
        try:
            with self._context.database.write() as conn:
                if answer is None or answer.status >= _FIRST_ERROR:
                    answers.forget(conn, operator, key)
                else:
                    answers.finish(
                        conn, operator, key, status=answer.status, headers=answer.headers, body=answer.body
                    )
        finally:  # not before: until its answer is on record, a request is under way and not abandoned
            self._under_way.discard((operator, key))
