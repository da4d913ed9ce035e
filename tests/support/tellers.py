"""Two ways to tell the story of the bakery: by the command line, and by a server and its client."""

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

import httpx

from maingate.client import AsyncClient, Client, read_submission
from support.bakery import Bakery
from support.command_line import maingate
from support.crashing import PATIENCE, Command, wait_until
from support.serving import logged, whole_lines

Json = Mapping[str, Any]

_OPENED: Final = "OPEN"


class Teller(Protocol):
    """One way to act on the bakery."""

    def begin(self) -> None:
        """Start the run."""

    def until_the_breaker_opens(self) -> None:
        """Wait until a tool is paused."""

    def reset_breaker(self, tool: str, reason: str) -> None:
        """Have a tool used again."""

    def workers(self) -> list[Json]:
        """List controlling processes and workers."""

    def kill_controller(self) -> None:
        """Kill (-9) the process that controls the run, and with it whatever serves."""

    def go_on(self) -> None:
        """Continue the run, as its operator would."""

    def ended(self) -> str:
        """Wait for the end of the run, and return its state."""

    def roll_back(self, task: str, reason: str) -> None:
        """Take a landed patch back."""

    def reading(self) -> "Reading":
        """Give what the story can be read by, when it has ended."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A server of the bakery, and its run.

    Args:
        url: Its address.
        run_id: The run.
        followed: The events that a client followed meanwhile, if one did.
    """

    url: str
    run_id: str
    followed: list[Json] | None = None


def kill_worker_of(teller: Teller, task: str) -> None:
    """Kill (-9) the worker that does the command of a task."""

    def at_it() -> list[Json]:
        return [each for each in teller.workers() if each["job"] and each["job"]["name"] == task]

    wait_until(at_it, f"a worker of {task}")
    os.kill(at_it()[0]["pid"], signal.SIGKILL)


def command(bakery: Bakery, *words: str) -> Any:
    """Run a command to its end; return the value that it printed."""
    world = bakery.world
    environment = {**world.environment, "XDG_CACHE_HOME": str(world.folder / "cache")}
    done = maingate(*words, "--json", cwd=world.repo.path, home=world.folder, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(kw_only=True)
class Server:
    """A server of a bakery that is started again at the same address."""

    bakery: Bakery
    port: str = "0"
    process: Command | None = None

    def start(self) -> str:
        """Start it; return its address."""
        world = self.bakery.world
        self.process = started = world.start("serve", "--port", self.port, "--workers", "2")
        wait_until(lambda: logged(started, "listening"), "the server")
        url = str(logged(started, "listening")[0]["url"])
        self.port = url.rpartition(":")[2]
        return url


@dataclass(kw_only=True)
class ByCommands:
    """The story by the command line."""

    bakery: Bakery
    _run: Command | None = None

    @property
    def run(self) -> Command:
        """The command that works on the run."""
        assert self._run is not None
        return self._run

    def begin(self) -> None:
        """Start the run; its events are followed in the log."""
        self.bakery.world.environment = {
            **self.bakery.world.environment,
            "MAINGATE_LOG_FILE": str(self._log),
        }
        self._run = self.bakery.world.run()

    def until_the_breaker_opens(self) -> None:
        """Wait for the line in the log."""

        def has_opened() -> bool:
            return any(
                line["event"] == "circuit_breaker_state_transition" and line["to"] == _OPENED
                for line in map(json.loads, whole_lines(self._log))
            )

        wait_until(has_opened, "the breaker to open")

    def reset_breaker(self, tool: str, reason: str) -> None:
        """Reset it by a command."""
        command(self.bakery, "breaker", "reset", tool, "--reason", reason)

    def workers(self) -> list[Json]:
        """List them by a command."""
        found: list[Json] = command(self.bakery, "workers")
        return found

    def kill_controller(self) -> None:
        """Kill the command."""
        self.run.send(signal.SIGKILL)
        assert self.run.ended() == -signal.SIGKILL

    def go_on(self) -> None:
        """Resume the run."""
        self._run = self.bakery.world.resume()

    def ended(self) -> str:
        """Wait for the end of the command; the report agrees with its exit code."""
        assert self.run.ended() == 0, self.run.said
        return str(command(self.bakery, "status")["state"])

    def roll_back(self, task: str, reason: str) -> None:
        """Roll it back by a command."""
        command(self.bakery, "rollback", task, "--reason", reason)

    def reading(self) -> Reading:
        """Start a server, now that the story is over."""
        url = Server(bakery=self.bakery).start()
        return Reading(url=url, run_id=command(self.bakery, "status")["run_id"])

    @property
    def _log(self) -> Path:
        return self.bakery.world.folder / "events.log"


@dataclass(kw_only=True)
class ByServer:
    """The story by a server and its client; all events are followed from the beginning to the end.

    Use it as a context manager: a client goes on following, also when its server is gone for ever.
    """

    bakery: Bakery
    _server: Server = field(init=False)
    _url: str = ""
    _run_id: str = ""
    _followed: list[Json] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _follower: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the follower."""
        if self._follower is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._follower.join(PATIENCE)
            assert not self._follower.is_alive()
        self._loop.close()

    def begin(self) -> None:
        """Start the server, and submit the plan."""
        self._server = Server(bakery=self.bakery)
        self._url = self._server.start()
        self._follower = threading.Thread(target=self._follow)
        self._follower.start()
        with Client(self._url) as client:
            self._run_id = client.submit(read_submission(self.bakery.world.plan), workers=2).id

    def _follow(self) -> None:
        task = self._loop.create_task(self._hear())
        self._loop.run_forever()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(task)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _hear(self) -> None:
        async with AsyncClient(self._url) as client:
            async for event in client.follow(after=0):
                with self._changed:
                    self._followed.append(event.raw)
                    self._changed.notify_all()

    def until_the_breaker_opens(self) -> None:
        """Wait for the event."""
        self._until(lambda event: event["entity_type"] == "circuit_breaker" and event["to_state"] == _OPENED)

    def _until(self, is_it: Callable[[Json], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(is_it, self._followed)), PATIENCE)

    def reset_breaker(self, tool: str, reason: str) -> None:
        """Reset it by the interface."""
        self._post(f"breakers/{tool}/reset", reason)

    def workers(self) -> list[Json]:
        """List them by the interface."""
        found: list[Json] = self._get("workers")["items"]
        return found

    def kill_controller(self) -> None:
        """Kill the server, and the process of its run."""
        of_run = [each["pid"] for each in self.workers() if each["job"] and each["job"]["kind"] == "run"]
        assert len(of_run) == 1
        process = self._server.process
        assert process is not None
        for pid in (process.pid, *of_run):
            os.kill(pid, signal.SIGKILL)
        assert process.ended() == -signal.SIGKILL

    def go_on(self) -> None:
        """Start the server again; it takes the run up by itself."""
        self._url = self._server.start()

    def ended(self) -> str:
        """Wait for the event of its end, and read it."""
        self._until(lambda event: event["entity_id"] == self._run_id and event["to_state"] == "succeeded")
        with Client(self._url) as client:
            return client.run(self._run_id).state

    def roll_back(self, task: str, reason: str) -> None:
        """Roll it back by the client."""
        with Client(self._url) as client:
            [found] = client.tasks(run=self._run_id, name=task).items
            assert found.patch_id is not None
            client.rollback(found.patch_id, reason=reason)

    def reading(self) -> Reading:
        """Read by the same server, after the follower has heard of everything."""
        newest = all_events(self._url)[-1]["seq"]
        self._until(lambda event: event["seq"] >= newest)
        return Reading(url=self._url, run_id=self._run_id, followed=list(self._followed))

    def _get(self, path: str, **query: Any) -> Any:
        return get(self._url, path, **query)

    def _post(self, path: str, reason: str) -> None:
        answer = httpx.post(f"{self._url}/api/v1/{path}", json={"reason": reason}, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text


def get(url: str, path: str, **query: Any) -> Any:
    """Read an object of a server."""
    answer = httpx.get(f"{url}/api/v1/{path}", params=query, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return answer.json()


def all_events(url: str) -> list[Json]:
    """Read all events of a server, page by page, oldest first."""
    events, cursor = list[Json](), None
    while True:
        page = get(url, "events", limit=200, **({} if cursor is None else {"cursor": cursor}))
        events += page["items"]
        if (cursor := page["next"]) is None:
            return sorted(events, key=lambda event: int(event["seq"]))
