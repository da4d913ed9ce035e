"""Acting requests: done in threads of their own, and once under each idempotency key."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, Field

from maingate.api.answers.json_answer import JSON, rendered
from maingate.api.permitted_repositories import AtDesk, Desk
from maingate.bootstrap import Maingate
from maingate.services.http.kept_answers import (
    AnswerService,
    KeptAnswer,
    KeyedRequest,
    Note,
    fingerprint_of,
    unnoted,
)

Result = TypeVar("Result")

MOST_AT_ONCE: Final = 16
"""Acting and other slow requests that are under way at once; reading ones have threads of their own."""

REPEATED: Final = "Idempotency-Replayed"
_KEY: Final = r"^[\x21-\x7e]+$"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=_KEY,
        description="Any text of your choice; the same request sent again under it is carried out once.",
    ),
]
Why = Annotated[
    str,
    Field(
        min_length=1, max_length=2000, pattern=r"\S", description="Why; recorded.", examples=["flaky host"]
    ),
]


class Decision(BaseModel):
    """A decision by hand, with its reason."""

    reason: Why


@dataclass(frozen=True, kw_only=True)
class Done:
    """The result of an acting request.

    Args:
        value: The object that is answered.
        status: The status of the answer.
        location: The address of a thing that was created.
    """

    value: Any
    status: int = 200
    location: str | None = None

    def answer(self) -> KeptAnswer:
        """Return it as an answer that can be kept."""
        headers = {} if self.location is None else {"Location": self.location}
        return KeptAnswer(status=self.status, body=rendered(self.value), headers=headers)


class Actor:
    """Carries out an acting request.

    Args:
        request: The request.
        desk: Its caller.
        key: Its idempotency key.
    """

    def __init__(self, request: Request, desk: Desk, key: str | None) -> None:
        self.desk = desk
        self._request, self._key = request, key

    async def act(
        self,
        reach: Callable[[], tuple[str, Maingate]],
        do: Callable[[Maingate, Note], str],
        tell: Callable[[str, Maingate, str], Done],
        *,
        content: bytes,
    ) -> Response:
        """Carry the request out in a thread, or answer as before if that was done under its key.

        Args:
            reach: Returns the repository, and refuses a caller who may not do this there.
            do: Does it, given the repository and the way to note, in the transaction that does it, a text
                from which the answer can be made; returns that text.
            tell: Makes the answer, given the repository's name, the repository and that text.
            content: The content of the request, by which another one under the same key is recognised.
        """

        def work() -> KeptAnswer:
            name, maingate = reach()
            if self._key is None:
                return tell(name, maingate, do(maingate, unnoted)).answer()
            kept: AnswerService = self._request.app.state.answers[name]
            fingerprint = fingerprint_of(
                self._request.method.encode(),
                self._request.url.path.encode(),
                self._request.url.query.encode(),
                content,
            )
            request = KeyedRequest(operator=self.desk.operator, key=self._key, fingerprint=fingerprint)
            return kept.once(request, partial(do, maingate), lambda made: tell(name, maingate, made).answer())

        given = await slowly(self._request, work)
        repeated = {REPEATED: "true"} if given.is_repeated else {}
        return Response(given.body, given.status, {**given.headers, **repeated}, JSON)

    def wake(self) -> None:
        """Wake the server, so that it takes up runs that were just admitted or resumed."""
        self._request.app.state.site.wake()


async def slowly(request: Request, work: Callable[[], Result]) -> Result:
    """Run something slow in one of the threads that are kept for it."""
    limiter: CapacityLimiter = request.app.state.slow
    return await anyio.to_thread.run_sync(work, limiter=limiter)


async def actor_of(request: Request, desk: AtDesk, key: IdempotencyKey = None) -> Actor:
    """Return the actor of a request, for FastAPI."""
    return Actor(request, desk, key)


Acting = Annotated[Actor, Depends(actor_of)]
"""The actor of a request, as a parameter of an endpoint."""
