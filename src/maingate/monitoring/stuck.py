"""Noticing what does not move: a task that runs, a workstream that executes, a worker that is silent.

The watch only listens: it is told of every committed transition and, when asked, says what is newly stuck. It
keeps no more than what is under way now, so asking costs in proportion to that and not to the plan.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from maingate.db.dao.entity import EntityRow
from maingate.db.dao.workers import WorkerRow
from maingate.db.new_event import EventSubject, new_event
from maingate.events import Event, EventType, Severity, iso_millis
from maingate.state.steps.step import Context, Head, Step
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

if TYPE_CHECKING:
    from maingate.settings import Settings


_WATCHED: Final[Mapping[str, str]] = {
    "task": TaskState.RUNNING,
    "workstream": WorkstreamState.EXECUTING,
}
"""The state in which an entity of each machine is watched."""

_STIRRING: Final = frozenset({"task", "patch_ledger"})
"""Whose changes count as changes of their workstream."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long each may stay as it is before it counts as stuck (docs/SPECIFICATION.md §5.3)."""

    task: timedelta
    workstream: timedelta
    worker: timedelta

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Take it from the settings."""
        return cls(
            task=settings.stuck_task, workstream=settings.stuck_workstream, worker=settings.stuck_worker
        )


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """One entity that has not moved for longer than it may.

    Args:
        machine: ``task``, ``workstream`` or ``worker``.
        entity_id: The entity.
        since: When it was last seen to move.
        threshold: How long it may stay.
        context: What it belongs to.
    """

    machine: str
    entity_id: str
    since: datetime
    threshold: timedelta
    context: Context

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the public JSON form: since when, how many seconds that is, and how many it may be."""
        return {
            "since": iso_millis(self.since),
            "seconds": round((now - self.since).total_seconds(), 3),
            "threshold": self.threshold.total_seconds(),
        }


@dataclass(kw_only=True)
class _Quiet:
    """An entity under watch.

    Args:
        is_reported: Whether it was said to be stuck since it last moved.
    """

    machine: str
    since: datetime
    context: Context
    is_reported: bool = False


@dataclass(kw_only=True)
class StuckWatch:
    """Watches what is under way.

    Args:
        patience: How long each may stay as it is.
        context_of: What the entity of an id belongs to.
    """

    patience: Patience
    context_of: Callable[[str], Context]
    _quiet: dict[str, _Quiet] = field(default_factory=dict)
    _silent: dict[str, datetime] = field(default_factory=dict)

    def found(self, heads: Iterable[Head], at: datetime) -> None:
        """Take in what is under way already, as if it had moved just then."""
        for head in heads:
            self._moved(head.machine, head.id, head.state, head.context, at)

    def told(self, steps: Iterable[Step], at: datetime) -> None:
        """Hear what was committed together: of each entity where it is now."""
        for step in {step.head_id: step for step in steps}.values():
            self._moved(step.machine, step.head_id, step.to, self.context_of(step.head_id), at)

    def due(self, now: datetime, silences: Mapping[str, timedelta] | None = None) -> Sequence[Stuck]:
        """Say what is newly stuck.

        Args:
            now: The time.
            silences: How long ago each worker gave its last sign of life, by its id.
        """
        found = []
        for entity_id, quiet in self._quiet.items():
            threshold = self.patience.task if quiet.machine == "task" else self.patience.workstream
            if not quiet.is_reported and now - quiet.since > threshold:
                quiet.is_reported = True
                found.append(
                    Stuck(
                        machine=quiet.machine,
                        entity_id=entity_id,
                        since=quiet.since,
                        threshold=threshold,
                        context=quiet.context,
                    )
                )
        return [*found, *self._due_workers(now, silences or {})]

    def _due_workers(self, now: datetime, silences: Mapping[str, timedelta]) -> Sequence[Stuck]:
        threshold = self.patience.worker
        last_heard = {worker: now - age for worker, age in silences.items() if age > threshold}
        fresh = [
            Stuck(machine="worker", entity_id=worker, since=since, threshold=threshold, context=Context())
            for worker, since in last_heard.items()
            if worker not in self._silent or since > self._silent[worker]
        ]
        reported = dict.fromkeys((one.entity_id for one in fresh), now)
        self._silent = {worker: at for worker, at in self._silent.items() if worker in last_heard} | reported
        return fresh

    def _moved(self, machine: str, entity_id: str, state: str, context: Context, at: datetime) -> None:
        if machine in _STIRRING and (owner := self._quiet.get(context.workstream_id or "")):
            owner.since, owner.is_reported = at, False
        if machine not in _WATCHED:
            return
        if state == _WATCHED[machine]:
            self._quiet[entity_id] = _Quiet(machine=machine, since=at, context=context)
        else:
            self._quiet.pop(entity_id, None)


def overdue(rows: Iterable[EntityRow], patience: Patience, *, now: datetime) -> dict[str, Stuck]:
    """Say which of a run's entities are stuck, by their ids, from their rows alone."""
    watch = StuckWatch(patience=patience, context_of=lambda _: Context())
    ranked = sorted(rows, key=lambda row: (row.changed_at, row.machine != "workstream"))
    for row in ranked:
        watch.found([row.head], row.changed_at)
    return {stuck.entity_id: stuck for stuck in watch.due(now)}


def silent(worker: WorkerRow, patience: Patience, *, now: datetime) -> Stuck | None:
    """Say whether a worker has been silent for too long, from its row alone."""
    since = worker.heartbeat_at or worker.created_at
    if now - since <= patience.worker:
        return None
    return Stuck(
        machine="worker", entity_id=worker.id, since=since, threshold=patience.worker, context=Context()
    )


def event_of(stuck: Stuck, at: datetime) -> Event:
    """Return the event that reports it."""
    return new_event(
        EventType.STUCK,
        EventSubject(machine=stuck.machine, id=stuck.entity_id, context=stuck.context),
        at,
        severity=Severity.WARNING,
        metadata={"since": iso_millis(stuck.since), "threshold": stuck.threshold.total_seconds()},
    )
