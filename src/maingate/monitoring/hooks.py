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
from typing import Final, Self, TypeVar

from maingate.errors import MaingateError
from maingate.monitoring.ledger_followers import LedgerFollower

Result = TypeVar("Result")

POLL: Final = timedelta(seconds=2)
"""Time after which a follower reads the ledger without being woken: other processes write too."""

LIMIT: Final = timedelta(seconds=10)
"""Time that a hook has for a batch."""

FIRST_DELAY: Final = timedelta(seconds=1)
LAST_DELAY: Final = timedelta(minutes=5)
"""Time before a failed follower is tried again: the first, doubled each time, and the longest."""


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
        """Wait for its end: a batch, and its time to drain; a hook that hangs is left behind."""
        if not self.health.is_hanging:
            self._thread.join((self._limit + self._follower.drain_time).total_seconds())
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
        until = time.monotonic() + self._follower.drain_time.total_seconds()
        while time.monotonic() < until and not self.health.failures and self._try():
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
        """End the threads, those with time to drain at the end of the ledger."""
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
