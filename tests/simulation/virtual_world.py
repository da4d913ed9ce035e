"""The world around the simulated processes: hosts, process ids, clocks, and what is done to them."""

import asyncio
from collections.abc import Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal

from maingate.errors import DatabaseError, GitError
from simulation.virtual_loop import OWNER, Killed, VirtualLoop

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Fault = Literal["crash", "error", "stop"]


@dataclass(eq=False)
class Process:
    """One control process, from its start until it ends, is killed, or is stopped and overtaken.

    Args:
        faults: What happens to it at which of the places that it passes.
    """

    world: "World"
    number: int
    host: str
    faults: Mapping[int, Fault]
    is_dead: bool = False
    is_stopped: bool = False
    was_stopped: bool = False
    had_fault: bool = False
    was_asked_to_stop: bool = False
    passed: int = 0
    transactions: int = 0
    orchestrator: Any = None
    backlog: list[asyncio.Handle] = field(default_factory=list)
    tasks: "list[asyncio.Task[Any]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pid = self.world.new_pid(self.host)
        self.is_over = self.world.loop.create_future()
        self.context: Context = copy_context()
        self.context.run(OWNER.set, self)

    def end(self) -> None:
        """Be gone, with all of its memory."""
        self.is_dead = True
        self.world.living.pop(self.pid, None)
        for pid, parent in list(self.world.parents.items()):
            if parent == self.pid and self.world.random.random() < 0.5:
                self.world.living.pop(pid, None)  # the others are left for somebody to find
        self.tell()

    def tell(self) -> None:
        """Let the driver go on."""
        if not self.is_over.done():
            self.is_over.set_result(None)


class World:
    """What outlives every process, except for the database.

    Args:
        seed: Decides everything.
        folder: Where files go.
    """

    def __init__(self, seed: str, folder: Path, *, traces: bool = False) -> None:
        self.random = Random(seed)
        self.folder, self.traces = folder, traces
        self.loop = VirtualLoop(Random(f"{seed} threads"))  # type: ignore[abstract]
        self.wall_offset = timedelta()
        self.living: dict[int, str] = {}
        self.parents: dict[int, int] = {}
        self._pids = 1000
        self._ids = Random(f"{seed} ids")

    # -- processes -------------------------------------------------------------------------------------------

    def new_pid(self, host: str) -> int:
        """Begin a process."""
        self._pids += 1
        self.living[self._pids] = f"{host} boot:{self._pids}"
        return self._pids

    def started(self, pid: int) -> str:
        """Say when a process of the asking process's host began; empty when there is none."""
        said = self.living.get(pid, "")
        return said if said.startswith(f"{self.host()} ") else ""

    def getpid(self) -> int:
        """Say who asks."""
        owner = OWNER.get()
        return owner.pid if isinstance(owner, Process) else 1

    def host(self) -> str:
        """Say where whoever asks runs."""
        owner = OWNER.get()
        return owner.host if isinstance(owner, Process) else "here"

    def end_tree(self, pid: int) -> None:
        """Kill a worker."""
        self.living.pop(pid, None)

    def end_orphans(self) -> int:
        """Kill the workers of this host whose process is gone, on record or not."""
        orphans = [
            pid for pid, parent in self.parents.items() if self.started(pid) and parent not in self.living
        ]
        for pid in orphans:
            self.end_tree(pid)
        return len(orphans)

    # -- time and names --------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Tell the wall's time, which may jump."""
        return BEGINNING + timedelta(seconds=self.loop.time()) + self.wall_offset

    def monotonic(self) -> float:
        """Tell the time that never jumps."""
        return self.loop.time()

    def ulid(self) -> str:
        """Make an identifier as ``ULID()`` would."""
        bits = (int(self.now().timestamp() * 1000) << 80) | self._ids.getrandbits(80)
        return "".join(_LETTERS[(bits >> shift) & 31] for shift in range(125, -1, -5))

    def token_bytes(self, count: int) -> bytes:
        """Draw bytes as ``secrets`` would."""
        return self._ids.randbytes(count)

    # -- faults ----------------------------------------------------------------------------------------------

    def reach(self, place: str) -> None:
        """Pass a place at which something may happen to the process that passes it.

        Raises:
            Killed: It is dead, or dies here.
            DatabaseError: The place is the database's, and it fails.
            GitError: The place is git's, and it fails.
        """
        process = OWNER.get()
        if not isinstance(process, Process):
            return
        if process.is_dead:
            raise Killed
        process.passed += 1
        fault = process.faults.get(process.passed)
        if fault is None:
            return
        if fault == "crash":
            self.trace(f"is killed at {place}")
            process.end()
            raise Killed
        if fault == "stop":
            self._stop(process, place)
        elif not place.startswith("worker"):
            self.trace(f"meets an error at {place}")
            process.had_fault = True
            raise (GitError if place.startswith("git") else DatabaseError)(f"simulated, at {place}")

    def _stop(self, process: Process, place: str) -> None:
        """Let a process stand still while others overtake it; it does not notice."""
        if process.transactions or asyncio.current_task(self.loop) is not None:
            process.faults = {process.passed + 1: "stop"}
            return
        self.trace(f"is stopped at {place}")
        process.is_stopped = process.was_stopped = True
        until = self.loop.time() + 400 + 100 * self.random.random()
        process.tell()
        self.loop.call_at(until, lambda: None, context=Context())
        self.loop.run_until(lambda: self.loop.time() >= until)
        self.loop.let_go_on(process)
        self.trace(f"goes on at {place}")

    def trace(self, text: str) -> None:
        """Print what happens, when that is wanted."""
        if self.traces:
            owner = OWNER.get()
            who = owner.number if isinstance(owner, Process) else "-"
            print(f"{self.loop.time():9.4f} [{who}] {text}")  # noqa: T201
