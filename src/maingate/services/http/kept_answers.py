"""Answers that are kept, so that a request sent again under the same key is carried out once."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final

from maingate.db.dao import answers
from maingate.db.dao.answers import AnswerRow, Note, unnoted
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.faultpoints import reach
from maingate.ids import new_id
from maingate.repository_context import RepositoryContext

__all__ = [
    "KEPT_FOR",
    "AnswerService",
    "KeptAnswer",
    "KeyBusyError",
    "KeyReusedError",
    "KeyedRequest",
    "Note",
    "fingerprint_of",
    "note_begun",
    "unnoted",
]

KEPT_FOR: Final = timedelta(hours=24)
"""Time for which an answer is kept."""

_FIRST_ERROR: Final = 400
"""The lowest status of an answer that reports an error."""


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


@dataclass(frozen=True, kw_only=True)
class KeyedRequest:
    """A request with an idempotency key.

    Args:
        operator: The caller; keys of others are others.
        key: The key that the caller chose.
        fingerprint: The digest of the request.
    """

    operator: str
    key: str
    fingerprint: str


class KeyReusedError(UsageError):
    """The idempotency key was used for another request; choose a new key."""


class KeyBusyError(UsageError):
    """A request with this idempotency key is under way; send it again in a moment."""


def fingerprint_of(*parts: bytes) -> str:
    """Return the digest of a request, given its parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


def note_begun(context: RepositoryContext, note: Note) -> str:
    """Note that a request is begun whose effect another process will have; return an identifier of now."""
    begun = new_id("req")
    with context.database.write() as conn:
        note(conn, begun)
    return begun


class AnswerService:
    """Keeps the answers of one record.

    An action notes in its own transaction that its request has had its effect. So a process that is killed
    leaves one of three records: nothing was done, and the request is carried out when it is sent again; it
    was done, and the answer is made of what was noted; or the answer.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._under_way: set[tuple[str, str]] = set()
        self._looking = threading.Lock()

    def once(
        self,
        request: KeyedRequest,
        do: Callable[[Note], str],
        tell: Callable[[str], KeptAnswer],
    ) -> KeptAnswer:
        """Carry a request out, unless it was carried out under the same key; return its answer.

        A request that fails without an effect leaves its key free.

        Args:
            request: The request.
            do: Carries it out, notes its effect, and returns a text from which its answer can be made.
            tell: Makes the answer of that text.

        Raises:
            KeyReusedError: The key was used for another request.
            KeyBusyError: That request is under way.
        """
        place = (request.operator, request.key)
        with self._looking:
            if place in self._under_way:
                raise self._busy(request)
            self._under_way.add(place)
        try:
            return self._once(request, do, tell)
        finally:  # not before: until its answer is on record, a request is under way
            self._under_way.discard(place)

    def _busy(self, request: KeyedRequest) -> UsageError:
        with self._context.database.read() as conn:
            row = answers.find(conn, request.operator, request.key)
        is_other = row is not None and row.fingerprint != request.fingerprint
        return KeyReusedError() if is_other else KeyBusyError()

    def _once(
        self, request: KeyedRequest, do: Callable[[Note], str], tell: Callable[[str], KeptAnswer]
    ) -> KeptAnswer:
        row, claim = self._taken(request)
        if row.status is not None:
            kept = KeptAnswer(status=row.status, body=row.body or "", headers=row.headers or {})
            return replace(kept, is_repeated=True)
        answer: KeptAnswer | None = None
        try:
            reach("answer.begun")
            made = do(partial(_note, claim)) if row.made is None else row.made
            reach("answer.done")
            answer = replace(tell(made), is_repeated=row.made is not None)
        finally:
            self._end(claim, answer)
        reach("answer.kept")
        return answer

    def _taken(self, request: KeyedRequest) -> tuple[AnswerRow, str]:
        """Take a key for this request; return what is on record under it, and a new claim to it."""
        now, claim = self._context.clock.now(), uuid.uuid4().hex
        with self._context.database.write() as conn:
            answers.forget_before(conn, now - KEPT_FOR)
            row = answers.find(conn, request.operator, request.key)
            if row is None:
                row = AnswerRow(**asdict(request), claim=claim, created_at=now)
                answers.begin(conn, row)
            elif row.fingerprint != request.fingerprint:
                raise KeyReusedError
            else:
                answers.take_over(conn, row, claim)
        return row, claim

    def _end(self, claim: str, answer: KeptAnswer | None) -> None:
        """Keep an answer, or free the key of a request that was refused or failed without an effect."""
        with self._context.database.write() as conn:
            if answer is None or answer.status >= _FIRST_ERROR:
                answers.forget(conn, claim)
            else:
                answers.finish(conn, claim, status=answer.status, headers=answer.headers, body=answer.body)


def _note(claim: str, conn: Connection, made: str) -> None:
    """Record the effect of a request in the transaction of its action.

    Raises:
        KeyBusyError: Another process goes on with the request; the transaction is rolled back.
    """
    if not answers.note(conn, claim, made):
        raise KeyBusyError
