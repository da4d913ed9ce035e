"""Who still lives: workers judged by when they were heard of, and by when their jobs should have ended.

A busy worker that misses its heartbeats is unresponsive: its job is given to another, and it has a recovery
window in which to come back with empty hands. An idle one holds nothing and is simply gone
(docs/SPECIFICATION.md §1.5). One that speaks but does not end its job is stuck inside, and overdue.

The monitor has no clock: it is told what time it is. When it was not asked for longer than an interval, it
was the control process that slept, not its workers, and everybody gets a fresh interval.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


class Verdict(StrEnum):
    """What is to be done about a worker."""

    UNRESPONSIVE = "unresponsive"
    """Busy and silent. Its job is to be taken away; said once."""
    GONE = "gone"
    """Idle and silent. It is to be ended."""
    GIVEN_UP = "given up"
    """Its recovery window is over. It is to be ended."""
    OVERDUE = "overdue"
    """It speaks, but what it was to do should have ended by now. It is to be ended."""


@dataclass(kw_only=True)
class _Watched:
    """What is known of a worker, in seconds on the caller's clock."""

    heard_at: float
    is_busy: bool = False
    due_at: float | None = None
    silent_since: float | None = None


Worker_ = TypeVar("Worker_", bound=Hashable)


class HeartbeatMonitor(Generic[Worker_]):
    """Judges workers, which may be anything that can be a key.

    Args:
        interval: Seconds between heartbeats.
        misses: How many of them may be missed.
        recovery_window: Seconds in which an unresponsive worker may come back.
    """

    def __init__(self, *, interval: float, misses: int, recovery_window: float) -> None:
        self._interval, self._misses, self._window = interval, misses, recovery_window
        self._watched: dict[Worker_, _Watched] = {}
        self._asked_at: float | None = None

    def enter(self, worker: Worker_, now: float) -> None:
        """Begin to watch a worker; that it was started counts as a sign of life."""
        self._watched[worker] = _Watched(heard_at=now)

    def leave(self, worker: Worker_) -> None:
        """Watch it no more."""
        self._watched.pop(worker, None)

    def heard(self, worker: Worker_, now: float) -> None:
        """Note a sign of life. One that is unresponsive has to be `freed` as well to be taken back."""
        if worker in self._watched:
            self._watched[worker].heard_at = now

    def assigned(self, worker: Worker_, *, due_at: float) -> None:
        """Note that it holds a job, and by when that must have ended."""
        watched = self._watched[worker]
        watched.is_busy, watched.due_at = True, due_at

    def freed(self, worker: Worker_, *, due_at: float | None = None) -> None:
        """Note that it holds nothing, and by when it must have ended if it was told to."""
        if worker in self._watched:
            watched = self._watched[worker]
            watched.is_busy, watched.due_at, watched.silent_since = False, due_at, None

    def look(self, now: float) -> list[tuple[Worker_, Verdict]]:
        """Judge everybody. To be asked several times per interval."""
        if self._asked_at is not None and now - self._asked_at > self._interval:
            for watched in self._watched.values():
                self._excuse(watched, now, slept=now - self._asked_at)
        self._asked_at = now
        judged = [(worker, self._judge(watched, now)) for worker, watched in self._watched.items()]
        return [(worker, verdict) for worker, verdict in judged if verdict is not None]

    def _judge(self, watched: _Watched, now: float) -> Verdict | None:
        if watched.silent_since is not None:
            return Verdict.GIVEN_UP if now - watched.silent_since >= self._window else None
        if now - watched.heard_at >= self._misses * self._interval:
            if not watched.is_busy:
                return Verdict.GONE
            watched.silent_since = now
            return Verdict.UNRESPONSIVE
        return Verdict.OVERDUE if watched.due_at is not None and now >= watched.due_at else None

    def _excuse(self, watched: _Watched, now: float, *, slept: float) -> None:
        """Give a worker a fresh interval in everything that it is waited for."""
        watched.heard_at = max(watched.heard_at, now - (self._misses - 1) * self._interval)
        if watched.silent_since is not None:
            watched.silent_since = max(watched.silent_since, now - self._window + self._interval)
        if watched.due_at is not None:
            watched.due_at += slept
