"""Equal reading requests that wait at the same time: they share one answer.

A busy machine answers more slowly, so more requests wait, and each that is made takes time from the others.
Here one answer is made at a time for equal requests of a caller, and those that come meanwhile are answered
together by the next one. That begins after they came, so no request sees a record older than itself.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maingate.api.answers.problems import HttpProblemError, problem_of, refusal
from maingate.api.guard.access import CALLER, Access
from maingate.errors import MaingateError

_SHARED: Final = re.compile(
    r"/api/v1/(?:(?:runs|workstreams|tasks|patches|gates)(?:/[^/]+)?|inbox|workers|breakers|events|"
    r"events/aggregate|reports/[^/]+|why/[^/]+|queue/.+)"
)
"""Paths whose answers are whole, small, and the same for equal requests."""

_DECIDING: Final = (b"accept", b"if-none-match")
"""Headers that decide about an answer."""

Answer = Sequence[Message]
Make = Callable[[], Awaitable[Answer]]


class SharedTurns:
    """Answers that are being made, at most one at a time of a kind, and one that waits for its end."""

    def __init__(self) -> None:
        self._last: dict[Any, asyncio.Task[Answer]] = {}
        self._begun: set[asyncio.Task[Answer]] = set()

    async def answer(self, kind: Any, make: Make) -> Answer:
        """Return an answer of a kind that is begun after this call; others may wait for the same one."""
        last = self._last.get(kind)
        if last is None or last in self._begun:
            task = asyncio.create_task(self._in_turn(last, make))
            self._last[kind] = task
            task.add_done_callback(lambda ended: self._end(kind, ended))
            last = task
        return await asyncio.shield(last)

    async def _in_turn(self, before: "asyncio.Task[Answer] | None", make: Make) -> Answer:
        if before is not None:
            await asyncio.wait({before})
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is the one that runs this
        self._begun.add(task)
        return await make()

    def _end(self, kind: Any, task: "asyncio.Task[Answer]") -> None:
        self._begun.discard(task)
        if self._last.get(kind) is task:
            del self._last[kind]
        if not task.cancelled():
            task.exception()  # those who wait for it are told; perhaps none does any more


class ShareAnswers:
    """Answers equal reading requests of a caller together.

    Args:
        app: The application.
        access: Recognises callers.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access, self._turns = app, access, SharedTurns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_reading = scope["type"] == "http" and scope["method"] == "GET"
        if not is_reading or not _SHARED.fullmatch(scope["path"]) or _has_range(scope):
            await self._app(scope, receive, send)
            return
        try:
            kind = await self._kind_of(scope)
        except HttpProblemError as error:
            await refusal(error)(scope, receive, send)
            return
        except MaingateError as error:
            await problem_of(error)(scope, receive, send)
            return
        for message in await self._turns.answer(kind, lambda: self._made(scope)):
            await send(message)

    async def _kind_of(self, scope: Scope) -> Any:
        """Return all of a request that its answer depends on; the caller is recognised, and counted."""
        if CALLER not in scope:
            scope[CALLER] = await asyncio.to_thread(self._access.caller, Request(scope))
        caller = scope[CALLER]
        headers = [pair for pair in scope["headers"] if pair[0] in _DECIDING]
        rights = frozenset((name, str(role)) for name, role in caller.roles.items())
        return scope["path"], scope["query_string"], tuple(headers), caller.name, caller.is_local, rights

    async def _made(self, scope: Scope) -> Answer:
        messages: list[Message] = []

        async def take(message: Message) -> None:
            messages.append(message)

        await self._app(scope, _nothing_more(), take)
        return messages


def _has_range(scope: Scope) -> bool:
    return any(name == b"range" for name, _ in scope["headers"])


def _nothing_more() -> Receive:
    """Return the end of a request without a body, whose client stays."""
    is_told = False

    async def receive() -> Message:
        nonlocal is_told
        if is_told:
            await asyncio.Event().wait()
        is_told = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive
