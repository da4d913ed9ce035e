"""Hooks: code that is given every event of the ledger after its commit, in order, at least once.

Each follower has a thread of its own and a position on record. So it goes on where it was, also with the rows
that were written while no process lived, and the writer of the record only sets a flag. A hook that fails is
tried again after a growing delay; one that hangs is cut off: nothing waits for it any more. Either is told
once, until the hook succeeds again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from maingate.clock import Clock
from maingate.db import ledger
from maingate.db.dao import events
from maingate.db.engine import Database
from maingate.db.rollups import followers, store
from maingate.errors import MaingateError
from maingate.events import Event

Result = TypeVar("Result")

POLL: Final = timedelta(seconds=2)
"""Time after which a follower reads the ledger without being woken: other processes write too."""

HOOK_REST: Final = timedelta(milliseconds=250)
ROLLUP_REST: Final = timedelta(seconds=1)
"""Time between two batches of a follower, so that a busy run is not read row by row."""

LIMIT: Final = timedelta(seconds=10)
"""Time that a hook has for a batch."""

FIRST_DELAY: Final = timedelta(seconds=1)
LAST_DELAY: Final = timedelta(minutes=5)
"""Time before a failed follower is tried again: the first, doubled each time, and the longest."""

BATCH: Final = 1_000
"""Events of a batch, at most."""

_HELD: Final = timedelta(minutes=1)
"""Time after its last batch for which a process keeps a hook from other processes."""


class Hook(Protocol):
    """Code that is given events."""

    @property
    def name(self) -> str:
        """The name under which its position is kept."""
        ...

    def take(self, batch: Sequence[Event]) -> None:
        """Take events, in order; they come again if this raises, or if the process is killed meanwhile."""
        ...


class LedgerFollower(Protocol):
    """A reader of the ledger that keeps its own position.

    Args:
        name: Its name.
        rest: Time between two of its steps.
        drains: Whether it is given the time to come to the end of the ledger when its process ends.
    """

    name: str
    rest: timedelta
    drains: bool

    def step(self) -> bool:
        """Do the next part, if there is one; return whether there may be more."""
        ...

    def failed(self, failure: str) -> None:
        """Record that a step failed."""
        ...

    def close(self) -> None:
        """Release it for other processes."""
        ...


class RollupFollower:
    """The follower that counts events for metrics and reports.

    Args:
        database: The database.
        clock: The time.
        keep: Time for which hours are kept.
    """

    name = store.FOLLOWER
    rest = ROLLUP_REST
    drains = False  # a reader adds the rows that are not counted yet

    def __init__(self, database: Database, clock: Clock, keep: timedelta) -> None:
        self._database, self._clock, self._keep = database, clock, keep

    def step(self) -> bool:
        """Count the next rows."""
        now = self._clock.now()
        may_be_more = store.advance(self._database, at=now)
        store.forget(self._database, now - self._keep)
        return may_be_more

    def failed(self, failure: str) -> None:
        """Record that a step failed."""
        with self._database.write() as conn:
            followers.fail(conn, self.name, failure, at=self._clock.now())

    def close(self) -> None:
        """Do nothing: any process may go on."""


class HookFollower:
    """The follower that gives events to a hook.

    One process at a time delivers under a name; another takes over a minute after the last sign of the first.

    Args:
        hook: The hook.
        database: The database.
        clock: The time.
        holder: A name of this process.
        since: The place of the last event that a hook that is not on record yet is not given.
    """

    rest = HOOK_REST
    drains = True

    def __init__(self, hook: Hook, *, database: Database, clock: Clock, holder: str, since: int = 0) -> None:
        self.name = hook.name
        self._hook, self._database, self._clock = hook, database, clock
        self._holder, self._since = holder, since

    def step(self) -> bool:
        """Deliver the next batch to the hook, and move on when it has taken it."""
        with self._database.read() as conn:
            is_behind = ledger.position(conn).seq > max(followers.position(conn, self.name), self._since)
        if not is_behind or not self._hold():
            return False
        with self._database.read() as conn:
            before, last = followers.position(conn, self.name), ledger.position(conn).seq
            batch = events.query(conn, after_seq=before, limit=BATCH)
        after = batch[-1].seq or before if len(batch) == BATCH else last
        if batch:
            self._hook.take(batch)
        with self._database.write() as conn:
            return followers.move(conn, self.name, before, after, at=self._clock.now()) and after < last

    def failed(self, failure: str) -> None:
        """Record that the hook failed."""
        with self._database.write() as conn:
            followers.fail(conn, self.name, failure, at=self._clock.now())

    def close(self) -> None:
        """Release the hook for other processes."""
        with self._database.write() as conn:
            followers.release(conn, self.name, self._holder)

    def _hold(self) -> bool:
        at = self._clock.now()
        with self._database.write() as conn:
            followers.register(conn, self.name, self._since, at=at)
            return followers.hold(conn, self.name, self._holder, at=at, until=at + _HELD)


@dataclass(frozen=True, kw_only=True)
class HookHealth:
    """The condition of a follower in this process.

    Args:
        name: Its name.
        failures: Its failures in a row.
        failure: The last of them; None when it is well.
        is_hanging: Whether it has been at one batch for longer than it may.
    """

    name: str
    failures: int = 0
    failure: str | None = None
    is_hanging: bool = False


class _Runner:
    """One follower and its thread.

    Args:
        follower: The follower.
        limit: Time that it has for a batch.
        warn: Records and shows a warning.
    """

    def __init__(self, follower: LedgerFollower, *, limit: timedelta, warn: Callable[[str], None]) -> None:
        self._follower, self._limit, self._warn = follower, limit, warn
        self._woken, self._closing = threading.Event(), threading.Event()
        self._busy_since: float | None = None
        self._is_told = False
        self.health = HookHealth(name=follower.name)
        self._thread = threading.Thread(target=self._run, name=f"hook {follower.name}", daemon=True)

    def start(self) -> None:
        """Start its thread."""
        self._thread.start()

    def wake(self) -> None:
        """Set the flag that there may be something to do."""
        if not self._woken.is_set():
            self._woken.set()

    def ask_to_end(self) -> None:
        """Set the flag that it is to end, once it has come to the end of the ledger."""
        self._closing.set()
        self._woken.set()

    def join(self) -> None:
        """Wait for its end, as long as a batch may take; a hook that hangs is left behind."""
        if not self.health.is_hanging:
            self._thread.join(self._limit.total_seconds())
        if self._thread.is_alive():
            self.check(is_last=True)

    def check(self, *, is_last: bool = False) -> None:
        """Warn that the follower hangs, if it has been at one batch for too long."""
        since = self._busy_since
        is_late = since is not None and time.monotonic() - since > self._limit.total_seconds()
        if (is_late or is_last) and not self.health.is_hanging:
            self.health = replace(self.health, is_hanging=True)
            self._tell(f"took longer than {self._limit.total_seconds():g} s for a batch and was cut off")

    def _run(self) -> None:
        self._woken.set()  # also for what was written before
        while not self._closing.wait(self._delay().total_seconds()):
            self._woken.wait(POLL.total_seconds())
            self._woken.clear()
            while self._try() and not self._closing.is_set():
                pass
        while self._follower.drains and not self.health.failures and self._try():
            pass
        self._guarded(self._follower.close)

    def _try(self) -> bool:
        """Do one step; return whether there may be more."""
        more = self._guarded(self._follower.step)
        if more is not None and self.health != HookHealth(name=self._follower.name):
            self.health, self._is_told = HookHealth(name=self._follower.name), False
        return bool(more)

    def _guarded(self, act: Callable[[], Result]) -> Result | None:
        """Return the result of a call; None when it failed, which is kept and told."""
        self._busy_since = time.monotonic()
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - a hook is any code; its failure is kept, told, and tried again
            text = " ".join(str(error).split()) or type(error).__name__
            failures = self.health.failures + 1
            self.health = replace(self.health, failures=failures, failure=text, is_hanging=False)
            self._tell(f"failed and is tried again: {text}")
            return None
        finally:
            self._busy_since = None

    def _delay(self) -> timedelta:
        """Return the time before the next step."""
        doubled = min(self.health.failures - 1, 20)
        return self._follower.rest if doubled < 0 else min(FIRST_DELAY * 2**doubled, LAST_DELAY)

    def _tell(self, what: str) -> None:
        """Warn of a failure once until it is over; a warning that cannot be written comes with the next."""
        try:
            self._follower.failed(what)
            if self._is_told:
                return
            self._warn(
                f"hook {self._follower.name} {what}; nothing else is affected, and no event is lost to it"
            )
        except MaingateError:  # the database is what fails: the run itself stops for that, and says so
            return
        self._is_told = True


class Hooks:
    """The followers of one process, each in a thread.

    Use it as a context manager; its end waits until every hook was given what was written before.

    Args:
        followers: The followers.
        warn: Records a warning and shows it to people; called from any thread.
        limit: Time that each has for a batch.
    """

    def __init__(
        self, followers: Sequence[LedgerFollower], *, warn: Callable[[str], None], limit: timedelta = LIMIT
    ) -> None:
        self._limit = limit
        self._runners = [_Runner(follower, limit=limit, warn=warn) for follower in followers]
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._look, name="hooks", daemon=True)

    def __enter__(self) -> Self:
        """Start the threads."""
        for runner in self._runners:
            runner.start()
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads, the drained ones at the end of the ledger."""
        for runner in self._runners:
            runner.ask_to_end()
        for runner in self._runners:
            runner.join()
        self._closing.set()
        self._watch.join()

    def wake(self) -> None:
        """Set the flag that something was committed; nothing else is done in the caller's thread."""
        for runner in self._runners:
            runner.wake()

    def health(self) -> list[HookHealth]:
        """Return the condition of each follower."""
        return [runner.health for runner in self._runners]

    def _look(self) -> None:
        """Cut off followers that hang."""
        while not self._closing.wait(self._limit.total_seconds() / 4):
            for runner in self._runners:
                runner.check()
