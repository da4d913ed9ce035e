"""Flows: generators that yield requests and pauses, and are sent answers. No input or output.

The same flows are run by a synchronous and an asynchronous client.
"""

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from maingate.client.failures import ServerFaultError, error_of

Json = dict[str, Any]
Value = TypeVar("Value")

ATTEMPTS: Final = 6
"""Attempts at a request that may be sent again."""
FIRST_ATTEMPTS: Final = 3
"""The same while the server has never answered: its address may be wrong, so the wait is about a second."""

_PASSING: Final = frozenset({429, 502, 503, 504})
_FIRST_ERROR: Final = 400
_FIRST_DELAY: Final = 0.25
_LONGEST_DELAY: Final = 10.0
_LONGEST_REST: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that is to be sent.

    Args:
        method: Its method.
        path: Its path.
        query: Its query; values of None are left out.
        body: The JSON object that it brings; None for none.
        headers: Its headers.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def stated_query(self) -> dict[str, Any]:
        """The values of the query that are there."""
        return {name: value for name, value in self.query.items() if value is not None}

    @property
    def may_repeat(self) -> bool:
        """Return whether sending it again does no harm."""
        return self.method == "GET" or "Idempotency-Key" in self.headers


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A time to wait.

    Args:
        seconds: How long.
    """

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer to a request.

    Args:
        status: Its status; 0 when the server was not reached.
        content: Its body.
        headers: Its headers, names in lower case.
        value: Its JSON value; None where it is none.
        failure: Why the server was not reached.
        is_unknown: Whether the server has never answered this client.
    """

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    value: Any = None
    failure: str = ""
    is_unknown: bool = False

    @property
    def is_passing(self) -> bool:
        """Return whether the same request may succeed in a moment."""
        is_busy = isinstance(self.value, dict) and self.value.get("code") == "idempotency_key_busy"
        return self.status in _PASSING or not self.status or is_busy


Flow = Generator[Call | Pause, Reply | None, Value]
"""A flow that ends with a value. A call is answered by a reply, a pause by None."""


def answered(call: Call) -> Flow[Reply]:
    """Send a request, and again while that helps; end with the answer.

    Raises:
        MaingateError: The server refuses it, fails, or cannot be reached.
    """
    reply = Reply(status=0)
    for attempt in range(1, ATTEMPTS + 1):
        reply = (yield call) or Reply(status=0)
        if 0 < reply.status < _FIRST_ERROR:
            return reply
        most = FIRST_ATTEMPTS if reply.is_unknown else ATTEMPTS
        if attempt >= most or not reply.is_passing or not call.may_repeat:
            break
        yield Pause(seconds=delay(attempt, reply))
    if not reply.status:
        raise ServerFaultError(f"the server cannot be reached: {reply.failure}")
    raise error_of(reply.status, reply.value if isinstance(reply.value, dict) else {})


def delay(attempt: int, reply: Reply | None = None) -> float:
    """Return the seconds to wait after an attempt: longer each time, never all alike, as the server says.

    Of that at most some minutes count: a proxy may say anything.
    """
    stated = "" if reply is None else reply.headers.get("retry-after", "")
    longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2**attempt)
    rest = min(float(stated), _LONGEST_REST) if stated.isdecimal() else 0.0
    return rest + random.uniform(0, longest)  # noqa: S311 - no secret


def object_of(call: Call) -> Flow[Json]:
    """Send a request; end with the object that is answered.

    Raises:
        MaingateError: As `answered`; or the answer is no object.
    """
    reply = yield from answered(call)
    if not isinstance(reply.value, dict):
        raise ServerFaultError(f"{call.path}: the answer is not one of Maingate; is the address right?")
    return reply.value
