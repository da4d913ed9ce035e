"""The cache of answers: one that shows what the ledger binds is made once for all callers of the same rights.

An answer states its basis: the parts of the record that it shows. It is sent again only after the ledger was
looked at for that very request and none of its new rows is about the basis. So it is never older than one
that is made anew: a client reads its own writes and those of all others. Callers are recognised, and their
rates counted, as for any other request.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from maingate.api.answers.json_answer import MadeAnswer
from maingate.api.answers.problems import HttpProblemError, problem_of, refusal
from maingate.api.guard.access import CALLER, Access, Caller
from maingate.api.permitted_repositories import Desk
from maingate.bootstrap import Maingate
from maingate.errors import MaingateError
from maingate.queries.changes import ChangeWatch, Part, RecordMoment
from maingate.server.made_for_each import MadeForEach
from maingate.server.served_repositories import Site

MOST_BYTES: Final = 32 * 1024 * 1024
"""Bytes of the answers that are kept; those to the request that was made least recently go first."""

_PREFIX: Final = "/api/v1/"
_ASIDE: Final = 1024
"""Bytes that an answer takes beside its body, about."""

Rights = frozenset[tuple[str, str]]
Place = tuple[str, bytes, bytes]


@dataclass(frozen=True, kw_only=True)
class AnswerBasis:
    """The parts of the record that an answer shows.

    Args:
        moments: A moment of the record of each repository that is shown, before it was read.
        parts: The parts of these records that are shown.
        probe: Returns a shown value that the ledger does not bind.
        seen: That value in the answer.
    """

    moments: Mapping[str, RecordMoment]
    parts: Collection[Part]
    probe: Callable[[], Any] = lambda: None
    seen: Any = None


@dataclass(frozen=True, kw_only=True)
class KeptEntry:
    """An answer that is kept.

    Args:
        made: The answer.
        basis: The parts of the record that it shows.
    """

    made: MadeAnswer
    basis: AnswerBasis


class AnswerCache:
    """The answers that are kept. Threads may share it.

    Args:
        site: The repositories.
        most_bytes: Bytes of the answers that are kept.
    """

    def __init__(self, site: Site, *, most_bytes: int = MOST_BYTES) -> None:
        self._watches = MadeForEach(site, lambda _, maingate: ChangeWatch(maingate.context))
        self._most, self._bytes, self._lock = most_bytes, 0, threading.Lock()
        self._entries: OrderedDict[Place, dict[Rights, KeptEntry]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of requests that have answers here."""
        return len(self._entries)

    def moment(self, name: str) -> RecordMoment:
        """Return the present moment of a repository's record."""
        return self._watches[name].look()

    def has(self, scope: Scope) -> bool:
        """Return whether there is an answer to such a request, for whomever and however old."""
        return _place_of(scope) in self._entries

    def find(self, scope: Scope, caller: Caller) -> MadeAnswer | None:
        """Return the answer to a request of a caller if it is still right; reads the records."""
        place = _place_of(scope)
        with self._lock:
            entry = self._entries.get(place, {}).get(_rights_of(caller))
            if entry is None:
                return None
            self._entries.move_to_end(place)
        return entry.made if self._is_right(entry.basis) else None

    def keep(self, scope: Scope, caller: Caller, basis: AnswerBasis, made: MadeAnswer) -> None:
        """Keep the answer to a request of a caller."""
        place = _place_of(scope)
        with self._lock:
            of_place = self._entries.setdefault(place, {})
            self._bytes -= _bytes_of(of_place)
            of_place[_rights_of(caller)] = KeptEntry(made=made, basis=basis)
            self._bytes += _bytes_of(of_place)
            self._entries.move_to_end(place)
            while self._bytes > self._most:
                self._bytes -= _bytes_of(self._entries.popitem(last=False)[1])

    def _is_right(self, basis: AnswerBasis) -> bool:
        for name, moment in basis.moments.items():
            self._watches[name].look()
            if not self._watches[name].is_unchanged(basis.parts, moment):
                return False
        return bool(basis.probe() == basis.seen)


class Draft:
    """An answer that is being made, to be kept.

    Args:
        cache: The cache.
        scope: The request.
        caller: Its caller.
        basis: The parts of the record that it shows.
    """

    def __init__(self, cache: AnswerCache, scope: Scope, caller: Caller, basis: AnswerBasis) -> None:
        self._cache, self._scope, self._caller, self._basis = cache, scope, caller, basis

    def also(self, probe: Callable[[], Any], seen: Any) -> "Draft":
        """Return it as one that also shows a value that the ledger does not bind.

        Args:
            probe: Returns the value at any later time.
            seen: The value in the answer.
        """
        basis = replace(self._basis, probe=probe, seen=seen)
        return Draft(self._cache, self._scope, self._caller, basis)

    def final(self) -> "Draft":
        """Return it as one that no later row of the ledger changes, such as a full page of old events."""
        return Draft(self._cache, self._scope, self._caller, replace(self._basis, parts=()))

    def keep(self, made: MadeAnswer) -> None:
        """Keep the answer."""
        self._cache.keep(self._scope, self._caller, self._basis, made)


def draft(
    request: Request, desk: Desk, shown: Iterator[tuple[str, Maingate]], parts: Collection[Part]
) -> Draft:
    """Return the draft of an answer to a request; to be called before anything that it shows is read.

    Args:
        request: The request.
        desk: Its caller.
        shown: The repositories that the answer shows, by name.
        parts: The parts of their records that it shows.
    """
    cache: AnswerCache = request.app.state.cache
    basis = AnswerBasis(moments={name: cache.moment(name) for name, _ in shown}, parts=parts)
    return Draft(cache, request.scope, desk.caller, basis)


class AnswerFromCache:
    """Answers reading requests from the cache, in front of the endpoints.

    Args:
        app: The application.
        cache: The cache.
        access: Recognises callers.
    """

    def __init__(self, app: ASGIApp, cache: AnswerCache, access: Access) -> None:
        self._app, self._cache, self._access = app, cache, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_reading = (
            scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(_PREFIX)
        )
        if is_reading and self._cache.has(scope):
            found = await asyncio.to_thread(self._found, Request(scope))
            await (found or self._app)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _found(self, request: Request) -> Response | None:
        """Return the answer to a request, or its refusal; None when it has to be made."""
        try:
            caller = request.scope[CALLER] = self._access.caller(request)
            made = self._cache.find(request.scope, caller)
        except HttpProblemError as error:
            return refusal(error)
        except MaingateError as error:
            return problem_of(error)
        return None if made is None else made.to(request)


def _place_of(scope: Scope) -> Place:
    """Return all of a request that its answer depends on, but for its caller."""
    accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return scope["path"], scope["query_string"], accepted


def _rights_of(caller: Caller) -> Rights:
    return frozenset((name, str(role)) for name, role in caller.roles.items())


def _bytes_of(entries: Mapping[Rights, KeptEntry]) -> int:
    return sum(len(entry.made.body) + _ASIDE for entry in entries.values())
