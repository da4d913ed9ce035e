"""Clients of a server, as a process: followers of all events, and readers that arrive at random.

``python -m bench.api_load URL RUN FOLLOWERS RATE``; it ends when its standard input does, and prints JSON.
"""

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

PATHS = (
    "runs",
    "runs/{run}",
    "tasks?run={run}&limit=50",
    "patches?limit=50",
    "workers",
    "inbox",
    "events?limit=50",
)
"""What is read, in turn by chance."""


_EVENT = b"\ndata: "
_BEGINNING = b"retry: "
_LONGEST = 600.0
"""Seconds after which followers no longer wait for events, and after which a read fails."""


@dataclass(kw_only=True)
class Seen:
    """What the clients saw.

    Args:
        milliseconds: How long each read took, from the moment at which it was due.
        failures: Answers other than 200, and none, and streams that ended.
        events: How many events each follower was sent.
    """

    milliseconds: list[float] = field(default_factory=list)
    failures: int = 0
    events: list[int] = field(default_factory=list)


async def play(url: str, run: str, followers: int, rate: float) -> Seen:
    """Follow and read until standard input ends; every read that was begun counts, however long it takes."""
    seen, place = Seen(events=[0] * followers), urlsplit(url)
    loop, buffer = asyncio.get_running_loop(), bytearray(_BUFFER)
    request = f"GET /api/v1/events/stream HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode()
    following = []
    for number in range(followers):
        made = partial(_Follower, seen, number, buffer)
        transport, follower = await loop.create_connection(made, place.hostname or "", place.port or 0)
        transport.write(request)
        following.append(transport)
        await follower.begun.wait()  # whoever comes later is sent less
    ended = asyncio.Event()
    reading = asyncio.create_task(_Reader(url, run, seen).read(rate, ended))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    ended.set()
    await asyncio.gather(reading, _all_is_sent(seen))
    for transport in following:
        transport.abort()
    return seen


async def _all_is_sent(seen: Seen) -> None:
    """Wait until all followers have the same events and no more arrive, or until that takes too long."""
    deadline, before = time.monotonic() + _LONGEST, None
    while (seen.events != before or len(set(seen.events)) > 1) and time.monotonic() < deadline:
        before = list(seen.events)
        await asyncio.sleep(1)


_KEPT = len(_EVENT) - 1
_BUFFER = 1 << 18


class _Follower(asyncio.BufferedProtocol):
    """A follower of all events, with no more work than to count them.

    Args:
        seen: Where it counts.
        number: Its number.
        buffer: Memory for what is received, which all followers share.
    """

    def __init__(self, seen: Seen, number: int, buffer: bytearray) -> None:
        self.begun = asyncio.Event()
        self._seen, self._number, self._buffer = seen, number, buffer
        self._place, self._cut, self._head = memoryview(buffer)[_KEPT:], bytes(_KEPT), b""

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where to put what is received: behind the end of what was received before."""
        return self._place

    def buffer_updated(self, size: int) -> None:
        """Count the events in what was received; one may have begun in what was received before."""
        self._buffer[:_KEPT] = self._cut
        self._seen.events[self._number] += self._buffer.count(_EVENT, 0, _KEPT + size)
        self._cut = bytes(self._buffer[size : size + _KEPT])
        if not self.begun.is_set():
            self._head += self._buffer[_KEPT : _KEPT + size]
            if _BEGINNING in self._head:  # the beginning of a stream
                self.begun.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Count the end of a stream that the server ended."""
        self._seen.failures += 0 if error is None else 1

    def eof_received(self) -> None:
        """Count the end of a stream that the server ended."""
        self._seen.failures += 1


class _Reader:
    """A reader that arrives at random, over connections that are used again.

    Args:
        url: The address of the server.
        run: The run that is read.
        seen: Where it counts.
    """

    def __init__(self, url: str, run: str, seen: Seen) -> None:
        self._place, self._run, self._seen = urlsplit(url), run, seen
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def read(self, rate: float, ended: asyncio.Event) -> None:
        """Begin reads at random moments, so many a second, whether those before have ended or not."""
        chance, due = random.Random(0), time.perf_counter()  # noqa: S311 - no secret
        async with asyncio.TaskGroup() as group:
            while not ended.is_set():
                due += chance.expovariate(rate)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), max(0.0, due - time.perf_counter()))
                if not ended.is_set():
                    group.create_task(self._one(chance.choice(PATHS).format(run=self._run), due))
        for _, writer in self._free:
            writer.close()

    async def _one(self, path: str, due: float) -> None:
        try:
            async with asyncio.timeout(_LONGEST):
                status = await self._get(path)
        except (OSError, EOFError, TimeoutError):
            self._seen.failures += 1
            return
        self._seen.milliseconds.append(1000 * (time.perf_counter() - due))
        self._seen.failures += status != HTTPStatus.OK

    async def _get(self, path: str) -> int:
        """Read an address; return the status of the answer, of which everything was received."""
        reader, writer = await self._connection()
        writer.write(f"GET /api/v1/{path} HTTP/1.1\r\nHost: {self._place.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        self._free.append((reader, writer))
        return int(head.split(maxsplit=2)[1])

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that was used before, unless the server has closed it, or else a new one."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._place.hostname, self._place.port)


if __name__ == "__main__":
    found = asyncio.run(play(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    print(json.dumps(found.__dict__))
