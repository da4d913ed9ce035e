"""The two clients: each runs the same flows, one in threads, one in an event loop."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar, overload

import httpx

from maingate.client import operations
from maingate.client.event_follower import SILENCE, Following
from maingate.client.request_flow import Call, Flow, Pause, Reply
from maingate.client.results import Event

P = ParamSpec("P")
Value = TypeVar("Value")

ANSWER_TIMEOUT: Final = 60.0
"""Seconds that the server may take to answer a request; a rollback may take longer."""


class Operation(Generic[P, Value]):
    """A flow as a method: of `Client` it returns the value, of `AsyncClient` it is awaited.

    Args:
        flow: The flow.
    """

    def __init__(self, flow: Callable[P, Flow[Value]]) -> None:
        self._flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[P, Value]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[P, Awaitable[Value]]: ...
    def __get__(self, client: "Client | AsyncClient", owner: type) -> Callable[P, Any]:
        """Return the method of a client."""

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run_flow(self._flow(*args, **kwargs))

        return method


class Operations:
    """The operations of both clients, and whether the server has ever answered."""

    _was_reached = False

    me = Operation(operations.me)
    check = Operation(operations.check)
    submit = Operation(operations.submit)
    land_target = Operation(operations.land_target)
    land = Operation(operations.land)
    runs = Operation(operations.runs)
    run = Operation(operations.run)
    wait = Operation(operations.wait)
    cancel = Operation(operations.cancel)
    resume = Operation(operations.resume)
    tasks = Operation(operations.tasks)
    override = Operation(operations.override)
    patches = Operation(operations.patches)
    patch = Operation(operations.patch)
    diff = Operation(operations.diff)
    approve = Operation(operations.approve)
    drop = Operation(operations.drop)
    rollback = Operation(operations.rollback)
    log = Operation(operations.log)
    events = Operation(operations.events)
    event_table = Operation(operations.event_table)
    report = Operation(operations.report)

    def _reply_of(self, answer: httpx.Response) -> Reply:
        self._was_reached = True
        return _reply(answer, answer.content)

    def _lost(self, error: httpx.RequestError) -> Reply:
        failure = str(error) or type(error).__name__
        return Reply(status=0, failure=failure, is_unknown=not self._was_reached)


class Client(Operations):
    """A client for programs without an event loop.

    Use it as a context manager, or ``close`` it.

    Args:
        url: The address of the server.
        token: A token; None on the loopback interface.
        timeout: Seconds that the server may take to answer.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = ANSWER_TIMEOUT) -> None:
        self._http = httpx.Client(base_url=url, headers=_headers(token), timeout=timeout)

    def run_flow(self, flow: Flow[Value]) -> Value:
        """Run a flow to its end."""
        reply: Reply | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                value: Value = end.value
                return value
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                reply = None
            else:
                reply = self._sent(step)

    def follow(
        self,
        *,
        after: int | None = None,
        repo: str | None = None,
        run: str | None = None,
        type: str | None = None,  # noqa: A002 - the public name of the filter
        query: str | None = None,
    ) -> Iterator[Event]:
        """Yield events as they happen, without gap or duplicate, whatever is interrupted.

        Args:
            after: The place of an event; only those behind it. None begins now.
            repo: The repository, by the server's name for it.
            run: Only events of this run.
            type: Only events of this type.
            query: Only events that match this query, which has no groups.
        """
        following = Following(after=after, repo=repo, run=run, type_=type, query=query)
        while True:
            reply = Reply(status=0)
            try:
                with self._http.stream(**_request(following.call()), timeout=_STREAMING) as answer:
                    if answer.status_code == httpx.codes.OK:
                        for line in answer.iter_lines():
                            if (event := following.line(line)) is not None:
                                yield event
                    else:
                        reply = _reply(answer, answer.read())
            except httpx.RequestError as error:
                reply = Reply(status=0, failure=str(error))
            time.sleep(following.interrupted(reply))

    def _sent(self, call: Call) -> Reply:
        try:
            answer = self._http.request(**_request(call))
        except httpx.RequestError as error:
            return self._lost(error)
        return self._reply_of(answer)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class AsyncClient(Operations):
    """A client for programs with an event loop; its methods are awaited.

    Use it as an asynchronous context manager, or await ``close``.

    Args:
        url: The address of the server.
        token: A token; None on the loopback interface.
        timeout: Seconds that the server may take to answer.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = ANSWER_TIMEOUT) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(token), timeout=timeout)

    async def run_flow(self, flow: Flow[Value]) -> Value:
        """Run a flow to its end."""
        reply: Reply | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                value: Value = end.value
                return value
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                reply = None
            else:
                reply = await self._sent(step)

    async def follow(
        self,
        *,
        after: int | None = None,
        repo: str | None = None,
        run: str | None = None,
        type: str | None = None,  # noqa: A002 - the public name of the filter
        query: str | None = None,
    ) -> AsyncIterator[Event]:
        """Yield events as they happen; see `Client.follow`."""
        following = Following(after=after, repo=repo, run=run, type_=type, query=query)
        while True:
            reply = Reply(status=0)
            try:
                async with self._http.stream(**_request(following.call()), timeout=_STREAMING) as answer:
                    if answer.status_code == httpx.codes.OK:
                        async for line in answer.aiter_lines():
                            if (event := following.line(line)) is not None:
                                yield event
                    else:
                        reply = _reply(answer, await answer.aread())
            except httpx.RequestError as error:
                reply = Reply(status=0, failure=str(error))
            await asyncio.sleep(following.interrupted(reply))

    async def _sent(self, call: Call) -> Reply:
        try:
            answer = await self._http.request(**_request(call))
        except httpx.RequestError as error:
            return self._lost(error)
        return self._reply_of(answer)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()


_STREAMING: Final = httpx.Timeout(ANSWER_TIMEOUT, read=SILENCE)


def _headers(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _request(call: Call) -> dict[str, Any]:
    """Return the arguments with which a request is sent."""
    body = None if call.body is None else json.dumps(call.body).encode()
    headers = dict(call.headers) | ({} if body is None else {"Content-Type": "application/json"})
    return {
        "method": call.method,
        "url": call.path,
        "params": call.stated_query,
        "content": body,
        "headers": headers,
    }


def _reply(answer: httpx.Response, content: bytes) -> Reply:
    is_json = "json" in answer.headers.get("content-type", "")
    value = None
    if is_json:
        try:
            value = json.loads(content)
        except ValueError:
            value = None
    return Reply(
        status=answer.status_code, content=content, headers=dict(answer.headers.items()), value=value
    )
