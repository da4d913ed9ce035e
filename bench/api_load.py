"""Clients of a server, as a process: followers of all events, and readers that arrive at random.

``python -m bench.api_load URL RUN FOLLOWERS RATE``; it ends when its standard input does, and prints JSON.
The followers accept gzip, as browsers do. All are sent the same blocks, so each block is unpacked once.
"""

import asyncio
import json
import random
import sys
import time
import zlib
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from maingate.api.stream_compression import BEGINNING

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


_EVENT, _MOMENT = b"\ndata: ", b'"timestamp":"'
_LONGEST = 600.0
"""Seconds after which followers no longer wait for events, and after which a read fails."""


@dataclass(kw_only=True)
class Seen:
    """What the clients saw.

    Args:
        milliseconds: How long each read took, from the moment at which it was due.
        failures: Answers other than 200, and none, and streams that ended.
        events: How many events each follower was sent.
        behind: The most seconds that each follower has had an event after its time.
    """

    milliseconds: list[float] = field(default_factory=list)
    failures: int = 0
    events: list[int] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)


async def play(url: str, run: str, followers: int, rate: float) -> Seen:
    """Follow and read until standard input ends; every read that was begun counts, however long it takes."""
    seen, place = Seen(events=[0] * followers, behind=[0.0] * followers), urlsplit(url)
    loop, blocks = asyncio.get_running_loop(), _Blocks()
    accepted = f"Host: {place.netloc}\r\nAccept-Encoding: gzip\r\n"
    request = f"GET /api/v1/events/stream HTTP/1.1\r\n{accepted}\r\n".encode()
    following = []
    for number in range(followers):
        made = partial(_Follower, seen, number, blocks)
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


class _Blocks:
    """The contents of the blocks that were sent last."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def content(self, block: bytes) -> tuple[int, float]:
        """Return how many events a block has, and the time of the first."""
        if (found := self._known.get(block)) is None:
            found = self._known[block] = self._unpacked(block)
            if len(self._known) > _KEPT_BLOCKS:
                self._known.popitem(last=False)
        return found

    @staticmethod
    def _unpacked(block: bytes) -> tuple[int, float]:
        text = zlib.decompressobj(-zlib.MAX_WBITS).decompress(block.removeprefix(BEGINNING))
        count = text.count(_EVENT)
        if not count:
            return 0, 0.0
        moment = text.partition(_MOMENT)[2].partition(b'"')[0].decode()
        return count, datetime.fromisoformat(moment).timestamp()


_KEPT_BLOCKS = 64


class _Follower(asyncio.Protocol):
    """A follower of all events, with no more work than to count them.

    Args:
        seen: Where it counts.
        number: Its number.
        blocks: The contents of what is sent.
    """

    def __init__(self, seen: Seen, number: int, blocks: _Blocks) -> None:
        self.begun = asyncio.Event()
        self._seen, self._number, self._blocks = seen, number, blocks
        self._rest, self._has_head = b"", False

    def data_received(self, data: bytes) -> None:
        """Count the events in what was received; each part of the answer is a block."""
        self._rest += data
        if not self._has_head:
            head, ended, rest = self._rest.partition(b"\r\n\r\n")
            if not ended:
                return
            assert b"content-encoding: gzip" in head.lower(), head
            self._has_head, self._rest = True, rest
        while (part := self._next_part()) is not None:
            self._count(part)

    def _next_part(self) -> bytes | None:
        """Take the next part of what was received; None until all of it is there."""
        size, ended, _ = self._rest.partition(b"\r\n")
        begin = len(size) + 2
        if not ended or len(self._rest) < (end := begin + int(size, 16)) + 2:
            return None
        part, self._rest = self._rest[begin:end], self._rest[end + 2 :]
        return part

    def _count(self, block: bytes) -> None:
        count, first = self._blocks.content(block)
        self._seen.events[self._number] += count
        if count:
            behind = time.time() - first
            self._seen.behind[self._number] = max(behind, self._seen.behind[self._number])
        self.begun.set()  # the first block is the beginning of the stream

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
