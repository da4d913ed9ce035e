"""Heartbeats: workers are judged by their last sign of life, and by when their jobs should have ended.

A busy worker that misses its heartbeats is unresponsive: its job is given to another, and it has a recovery
window in which to come back with empty hands. An idle one holds nothing and is simply gone
(docs/SPECIFICATION.md §1.5). One that speaks but does not end its job is stuck inside, and overdue.

The monitor is pure: callers hand in the time. When it was not called for longer than an interval, the control
process slept, not its workers, and all get a fresh interval.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


class WorkerCondition(StrEnum):
    """A worker's condition that asks for an action."""

    UNRESPONSIVE = "unresponsive"
    """Busy and silent. Its job is to be revoked; reported once."""
    GONE = "gone"
    """Idle and silent. It is to be ended."""
    GIVEN_UP = "given up"
    """Its recovery window is over. It is to be ended."""
    OVERDUE = "overdue"
    """It sends heartbeats, but is past its deadline. It is to be ended."""


@dataclass(kw_only=True)
class _Watched:
    """The state of one worker, in seconds on the caller's clock."""

    heard_at: float
    is_busy: bool = False
    due_at: float | None = None
    silent_since: float | None = None


W = TypeVar("W", bound=Hashable)


class HeartbeatMonitor(Generic[W]):
    """Judges workers, which may be anything that can be a key.

    Args:
        interval: Seconds between heartbeats.
        misses: How many of them may be missed.
        recovery_window: Seconds in which an unresponsive worker may come back.
    """

    def __init__(self, *, interval: float, misses: int, recovery_window: float) -> None:
        self._interval, self._misses, self._window = interval, misses, recovery_window
        self._watched: dict[W, _Watched] = {}
        self._checked_at: float | None = None

    def enter(self, worker: W, now: float) -> None:
        """Add a worker; its start counts as a sign of life."""
        self._watched[worker] = _Watched(heard_at=now)

    def leave(self, worker: W) -> None:
        """Remove a worker."""
        self._watched.pop(worker, None)

    def heard(self, worker: W, now: float) -> None:
        """Record a sign of life. An unresponsive worker has to be `freed` as well to be taken back."""
        if worker in self._watched:
            self._watched[worker].heard_at = now

    def assigned(self, worker: W, *, due_at: float) -> None:
        """Record that a worker has a job, and by when that must have ended."""
        watched = self._watched[worker]
        watched.is_busy, watched.due_at = True, due_at

    def freed(self, worker: W, *, due_at: float | None = None) -> None:
        """Record that a worker has no job, and by when it must have ended if it was asked to."""
        if worker in self._watched:
            watched = self._watched[worker]
            watched.is_busy, watched.due_at, watched.silent_since = False, due_at, None

    def check(self, now: float) -> list[tuple[W, WorkerCondition]]:
        """Return the workers that need an action. To be called several times per interval."""
        if self._checked_at is not None and now - self._checked_at > self._interval:
            for watched in self._watched.values():
                self._excuse(watched, now, slept=now - self._checked_at)
        self._checked_at = now
        judged = [(worker, self._judge(watched, now)) for worker, watched in self._watched.items()]
        return [(worker, finding) for worker, finding in judged if finding is not None]

    def _judge(self, watched: _Watched, now: float) -> WorkerCondition | None:
        if watched.silent_since is not None:
            return WorkerCondition.GIVEN_UP if now - watched.silent_since >= self._window else None
        if now - watched.heard_at >= self._misses * self._interval:
            if not watched.is_busy:
                return WorkerCondition.GONE
            watched.silent_since = now
            return WorkerCondition.UNRESPONSIVE
        return WorkerCondition.OVERDUE if watched.due_at is not None and now >= watched.due_at else None

    def _excuse(self, watched: _Watched, now: float, *, slept: float) -> None:
        """Restart the intervals of a worker's heartbeat, recovery and deadline."""
        watched.heard_at = max(watched.heard_at, now - (self._misses - 1) * self._interval)
        if watched.silent_since is not None:
            watched.silent_since = max(watched.silent_since, now - self._window + self._interval)
        if watched.due_at is not None:
            watched.due_at += slept
