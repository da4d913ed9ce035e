"""One delivery of an event to a receiver: a signed POST within a time, and what came of it."""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from types import TracebackType
from typing import Final, Self

import httpx

from maingate.events import Event
from maingate.monitoring.webhook_receiver import Receiver
from maingate.webhook_signature import signature_headers

ATTEMPT_TIME: Final = timedelta(seconds=8)
"""Time that a receiver has to answer, from the connection to the end of the answer."""

LONGEST_REST: Final = timedelta(days=1)
"""Longest rest that a receiver may ask for."""

_READ: Final = 65_536
"""Bytes of an answer that are read, so that the connection can be used again."""
_SHOWN: Final = 200

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # else each delivery logs its address, a secret


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The outcome of a delivery.

    Args:
        failure: The reason why it failed; None when the receiver has taken the event.
        is_gone: Whether the receiver answered that it is gone for good.
        rest: The time for which the receiver asks to be left alone.
    """

    failure: str | None = None
    is_gone: bool = False
    rest: timedelta | None = None


@cache
def _agent() -> str:
    return f"maingate/{version('maingate')}"


class Sender:
    """Sends events to a receiver, over one connection. One thread uses it; use it as a context manager.

    Args:
        receiver: The receiver.
        attempt_time: Time that it has to answer.
    """

    def __init__(self, receiver: Receiver, *, attempt_time: timedelta = ATTEMPT_TIME) -> None:
        self._receiver, self._seconds = receiver, attempt_time.total_seconds()
        self._loop = asyncio.Runner()
        self._client: httpx.AsyncClient | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._loop.run(self._client.aclose())
            self._client = None
        self._loop.close()

    def send(self, event: Event, at: datetime) -> Delivery:
        """Send an event.

        Args:
            event: The event.
            at: The time, which is signed.

        Raises:
            ReceiverError: The secrets of the receiver cannot be read.
        """
        body = event.as_text().encode()
        signed = signature_headers(
            self._receiver.secrets(), id=event.event_id, at=int(at.timestamp()), body=body
        )
        headers = {
            "content-type": "application/json",
            "user-agent": _agent(),
            **signed,
        }
        return self._loop.run(self._attempt(body, headers, at))

    async def _attempt(self, body: bytes, headers: dict[str, str], at: datetime) -> Delivery:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(body, headers, at)
        except (TimeoutError, httpx.TimeoutException):
            return Delivery(failure=f"it did not answer within {self._seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
            return Delivery(failure=f"it could not be reached: {self._said(error)}")

    async def _post(self, body: bytes, headers: dict[str, str], at: datetime) -> Delivery:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=ssl.create_default_context(), follow_redirects=False, timeout=self._seconds
            )
        url = self._receiver.settings.url
        async with self._client.stream("POST", url, content=body, headers=headers) as answer:
            read = 0
            async for part in answer.aiter_raw():
                read += len(part)
                if read > _READ:
                    break
        return outcome_of(answer.status_code, answer.headers.get("retry-after"), at)

    def _said(self, error: Exception) -> str:
        """Return the text of an error without the address, which may be secret."""
        text = " ".join(str(error).split()) or type(error).__name__
        return text.replace(self._receiver.settings.url, self._receiver.settings.shown_url)[:_SHOWN]


def outcome_of(status: int, retry_after: str | None, at: datetime) -> Delivery:
    """Return the outcome of an answer. Pure.

    Args:
        status: Its status.
        retry_after: Its header ``Retry-After``.
        at: The time.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Delivery()
    said = f"it answered {status}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        said += ", a redirection, which is not followed"
    if status == HTTPStatus.GONE:
        return Delivery(failure=f"{said}: it is gone for good", is_gone=True)
    return Delivery(failure=said, rest=None if retry_after is None else _rest(retry_after, at))


def _rest(text: str, at: datetime) -> timedelta | None:
    """Return the time that ``Retry-After`` asks for: seconds or a date; None for anything else."""
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text[:9]), int(LONGEST_REST.total_seconds())))
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # of a number that no calendar has
        return None
    rest = (until if until.tzinfo else until.replace(tzinfo=UTC)) - at
    return min(max(rest, timedelta()), LONGEST_REST)
