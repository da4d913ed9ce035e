"""Clients of a server, as a process: followers of all events, and readers that arrive at random.

``python -m bench.api_load URL RUN FOLLOWERS RATE``; it ends when its standard input does, and prints JSON.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

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
_PATIENCE = 60.0
_LONGEST = 600.0
"""Seconds after which followers no longer wait for events, and after which a read fails."""


@dataclass(kw_only=True)
class Seen:
    """What the clients saw.

    Args:
        milliseconds: How long each read took, from the moment at which it was due.
        failures: Answers other than 200, and none.
        events: How many events each follower was sent.
    """

    milliseconds: list[float] = field(default_factory=list)
    failures: int = 0
    events: list[int] = field(default_factory=list)


async def play(url: str, run: str, followers: int, rate: float) -> Seen:
    """Follow and read until standard input ends."""
    seen = Seen(events=[0] * followers)
    joined = asyncio.Barrier(followers + 1)
    following = [asyncio.create_task(_follow(url, seen, number, joined)) for number in range(followers)]
    await joined.wait()  # whoever comes later is sent less
    reading = asyncio.create_task(_read(url, run, seen, rate))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    reading.cancel()
    await _all_is_sent(seen)
    for task in following:
        task.cancel()
    await asyncio.gather(reading, *following, return_exceptions=True)
    return seen


async def _all_is_sent(seen: Seen) -> None:
    """Wait until all followers have the same events and no more arrive, or until that takes too long."""
    deadline, before = time.monotonic() + _PATIENCE, None
    while (seen.events != before or len(set(seen.events)) > 1) and time.monotonic() < deadline:
        before = list(seen.events)
        await asyncio.sleep(1)


async def _follow(url: str, seen: Seen, number: int, joined: asyncio.Barrier) -> None:
    """Follow all events, with no more work than to count them."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    request = f"GET /api/v1/events/stream HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n"
    writer.write(request.encode())
    cut = await reader.readuntil(b"retry: ")  # the beginning of a stream
    await joined.wait()
    while chunk := await reader.read(65536):
        seen.events[number] += (cut + chunk).count(_EVENT)
        cut = chunk[1 - len(_EVENT) :]
    seen.failures += 1


async def _read(url: str, run: str, seen: Seen, rate: float) -> None:
    """Begin reads at random moments, so many a second, whether those before have ended or not."""
    chance = random.Random(0)  # noqa: S311 - no secret
    async with (
        httpx.AsyncClient(base_url=f"{url}/api/v1/", timeout=_LONGEST) as client,
        asyncio.TaskGroup() as group,
    ):
        due = time.perf_counter()
        while True:
            due += chance.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(_one(client, chance.choice(PATHS).format(run=run), seen, due))


async def _one(client: httpx.AsyncClient, path: str, seen: Seen, due: float) -> None:
    try:
        answer = await client.get(path)
    except httpx.HTTPError:
        seen.failures += 1
        return
    seen.milliseconds.append(1000 * (time.perf_counter() - due))
    seen.failures += answer.status_code != httpx.codes.OK


if __name__ == "__main__":
    found = asyncio.run(play(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    print(json.dumps(found.__dict__))
