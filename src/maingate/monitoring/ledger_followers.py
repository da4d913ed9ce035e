"""Followers of the ledger: readers with a position on record, where the next process goes on."""

import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from maingate.clock import Clock
from maingate.db.dao.history import events
from maingate.db.engine import Database
from maingate.db.ledger import follower_positions, running_head
from maingate.db.rollups import store
from maingate.db.sql.columns import EPOCH
from maingate.db.sql.connection import Connection
from maingate.events import Event
from maingate.system.process_table import started

HOOK_REST: Final = timedelta(milliseconds=250)
FLOOD_REST: Final = timedelta(seconds=1)
ROLLUP_REST: Final = timedelta(seconds=1)
"""Time between two steps of a follower, so that a busy run is not read row by row; longer in a flood, since
each step keeps the writer of the record waiting while it writes where it has come to."""

FLOOD: Final = 200
"""Events of a step in a flood, at least."""

_STEP_SECONDS: Final = 1.0
"""Seconds after which a step of a hook hands out no other batch."""

_HELD: Final = timedelta(minutes=1)
"""Time for which a process keeps a hook from other processes."""

_RENEWED: Final = _HELD / 2
"""Time before the end of that at which it is renewed, instead of with each batch."""


_SEPARATOR: Final = "|"
"""The mark between the parts of a holder's name: machine, process, its start, and the follower in it."""


class Hook(Protocol):
    """Code that is given events."""

    @property
    def name(self) -> str:
        """The name under which its position is kept."""
        ...

    @property
    def batch(self) -> int:
        """The number of events that it is given at once, at most."""
        ...

    def take(self, batch: Sequence[Event]) -> None:
        """Take events, in order; they come again if this raises, or if the process is killed meanwhile."""
        ...


class LedgerFollower(Protocol):
    """A reader of the ledger that keeps its own position.

    Args:
        name: Its name.
        drain_time: Time that it has to come to the end of the ledger when its process ends.
    """

    name: str
    drain_time: timedelta

    @property
    def rest(self) -> timedelta:
        """The time before its next step."""
        ...

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
    drain_time = timedelta(0)  # a reader adds the rows that are not counted yet

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
            follower_positions.fail(conn, self.name, failure, at=self._clock.now())

    def close(self) -> None:
        """Do nothing: any process may go on."""


class HookFollower:
    """The follower that gives events to a hook.

    One process at a time delivers under a name; another takes over as soon as it sees that the first has
    ended, and otherwise a minute after its last sign.

    Args:
        hook: The hook.
        database: The database.
        clock: The time.
        holder: A name of this process, such as `process_holder` gives.
        since: The place of the last event that a hook that is not on record yet is not given.
        name: The name under which its position is kept; None for that of the hook.
        choose: Returns those of some events that the hook is given.
    """

    drain_time = timedelta(seconds=10)

    def __init__(
        self,
        hook: Hook,
        *,
        database: Database,
        clock: Clock,
        holder: str,
        since: int = 0,
        name: str | None = None,
        choose: Callable[[Connection, Sequence[Event]], Sequence[Event]] = lambda _, found: found,
    ) -> None:
        self.name, self._choose = name or hook.name, choose
        self._hook, self._database, self._clock = hook, database, clock
        self._holder, self._since, self._held_until = holder, since, EPOCH
        self._taken = 0

    @property
    def rest(self) -> timedelta:
        """The time before the next step."""
        return HOOK_REST if self._taken < FLOOD else FLOOD_REST

    def step(self) -> bool:
        """Deliver the next batches to the hook, and move on when it has taken them."""
        self._taken = 0
        with self._database.read() as conn:
            is_behind = running_head.position(conn).seq > max(
                follower_positions.position(conn, self.name), self._since
            )
        if not is_behind or not self._hold():
            return False
        with self._database.read() as conn:
            before = after = follower_positions.position(conn, self.name)
        until, is_more = time.monotonic() + _STEP_SECONDS, True
        while is_more and time.monotonic() < until:
            after, is_more = self._deliver(after)
        with self._database.write() as conn:
            return follower_positions.move(conn, self.name, before, after, at=self._clock.now()) and is_more

    def _deliver(self, place: int) -> tuple[int, bool]:
        """Deliver the batch behind a place; return where it reaches to, and whether there is more."""
        most = self._hook.batch
        with self._database.read() as conn:
            last, batch = running_head.position(conn).seq, events.query(conn, after_seq=place, limit=most)
            chosen = self._choose(conn, batch)
        if chosen:
            self._hook.take(chosen)
        self._taken += len(batch)
        after = batch[-1].seq or place if len(batch) == most else last
        return after, after < last

    def failed(self, failure: str) -> None:
        """Record that the hook failed."""
        with self._database.write() as conn:
            follower_positions.fail(conn, self.name, failure, at=self._clock.now())

    def close(self) -> None:
        """Release the hook for other processes."""
        with self._database.write() as conn:
            follower_positions.release(conn, self.name, self._holder)

    def _hold(self) -> bool:
        """Hold the hook, unless this process does for a while still; return whether it does."""
        at = self._clock.now()
        if _RENEWED < self._held_until - at <= _HELD:
            return True
        with self._database.write() as conn:
            follower_positions.register(conn, self.name, self._since, at=at)
            present = follower_positions.holder_of(conn, self.name)
            if present is not None and has_ended(present):
                follower_positions.release(conn, self.name, present)
            is_held = follower_positions.hold(conn, self.name, self._holder, at=at, until=at + _HELD)
        self._held_until = at + _HELD if is_held else EPOCH
        return is_held


def process_holder() -> str:
    """Return a name for a follower of this process, by which others on this machine see that it has ended."""
    pid = os.getpid()
    return _SEPARATOR.join([socket.gethostname(), str(pid), started(pid), uuid.uuid4().hex])


def has_ended(holder: str) -> bool:
    """Return whether the process of a holder ran on this machine and has ended."""
    host, _, rest = holder.partition(_SEPARATOR)
    pid, _, rest = rest.partition(_SEPARATOR)
    began = rest.rpartition(_SEPARATOR)[0]
    return host == socket.gethostname() and pid.isdecimal() and started(int(pid)) != began
