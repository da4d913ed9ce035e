"""Detection of stuck entities: running tasks, executing workstreams, silent workers.

The watch only observes: it gets every committed transition and returns newly stuck entities on request. It
keeps only entities that are under way, so a request costs in proportion to them and not to the plan.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from maingate.db.dao.entity import EntityRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.workers import WorkerRow
from maingate.db.ledger.new_event import EventSubject, new_event
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType, Severity, iso_millis
from maingate.landing.queue_holds import held_by_orders
from maingate.state.queue_control import OrderInForce
from maingate.state.steps.step import Context, Head, Step
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

if TYPE_CHECKING:
    from maingate.settings import Settings


_WATCHED: Final[Mapping[str, str]] = {
    "task": TaskState.RUNNING,
    "workstream": WorkstreamState.EXECUTING,
}
"""The watched state of each machine."""

_STIRRING: Final = frozenset({"task", "patch_ledger"})
"""Machines whose changes count as progress of their workstream."""


@dataclass(frozen=True, kw_only=True)
class StuckLimits:
    """Limits without progress, after which an entity is stuck (docs/SPECIFICATION.md §5.3)."""

    task: timedelta
    workstream: timedelta
    worker: timedelta

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Return the limits of the settings."""
        return cls(
            task=settings.stuck_task, workstream=settings.stuck_workstream, worker=settings.stuck_worker
        )


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """An entity without progress for longer than its limit.

    Args:
        machine: ``task``, ``workstream`` or ``worker``.
        entity_id: The entity.
        since: The time of its last progress.
        threshold: Its limit.
        context: The run, workstream and task it belongs to.
    """

    machine: str
    entity_id: str
    since: datetime
    threshold: timedelta
    context: Context

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the public JSON form: the time of the last progress, the seconds since, and the limit."""
        return {
            "since": iso_millis(self.since),
            "seconds": round((now - self.since).total_seconds(), 3),
            "threshold": self.threshold.total_seconds(),
        }


@dataclass(kw_only=True)
class _Quiet:
    """A watched entity.

    Args:
        is_reported: Whether it was reported as stuck since its last progress.
    """

    machine: str
    since: datetime
    context: Context
    is_reported: bool = False


@dataclass(kw_only=True)
class StuckWatch:
    """Watches entities that are under way.

    Args:
        patience: The limits.
        context_of: Returns the context of an entity.
    """

    patience: StuckLimits
    context_of: Callable[[str], Context]
    _quiet: dict[str, _Quiet] = field(default_factory=dict)
    _silent: dict[str, datetime] = field(default_factory=dict)

    def found(self, heads: Iterable[Head], at: datetime) -> None:
        """Add entities that are already under way, as if they had just made progress."""
        for head in heads:
            self._moved(head.machine, head.id, head.state, head.context, at)

    def told(self, steps: Iterable[Step], at: datetime) -> None:
        """Record committed transitions: the new state of each entity."""
        for step in {step.head_id: step for step in steps}.values():
            self._moved(step.machine, step.head_id, step.to, self.context_of(step.head_id), at)

    def excuse(self, entity_ids: Iterable[str], at: datetime) -> None:
        """Record that entities were held by an order up to a moment, as if they had made progress then."""
        for entity_id in entity_ids:
            if (quiet := self._quiet.get(entity_id)) is not None:
                quiet.since, quiet.is_reported = at, False

    def due(self, now: datetime, silences: Mapping[str, timedelta] | None = None) -> Sequence[Stuck]:
        """Return newly stuck entities.

        Args:
            now: The time.
            silences: The time since each worker's last heartbeat, by its id.
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


def overdue(rows: Iterable[EntityRow], patience: StuckLimits, *, now: datetime) -> dict[str, Stuck]:
    """Return the stuck entities of a run by their ids, from their rows alone."""
    watch = StuckWatch(patience=patience, context_of=lambda _: Context())
    ranked = sorted(rows, key=lambda row: (row.changed_at, row.machine != "workstream"))
    for row in ranked:
        watch.found([row.head], row.changed_at)
    return {stuck.entity_id: stuck for stuck in watch.due(now)}


def held(conn: Connection, run: RunRow, found: Iterable[Stuck], now: datetime) -> Mapping[str, OrderInForce]:
    """Return the orders about the queue for which workstreams of a run make no progress, by the workstreams.

    Such a workstream is not stuck: it waits for a person, or for the end of a freeze.
    """
    streams = [stuck.entity_id for stuck in found if stuck.machine == "workstream"]
    return held_by_orders(conn, run, streams, now)


def silent(worker: WorkerRow, patience: StuckLimits, *, now: datetime) -> Stuck | None:
    """Return a worker as stuck if its last heartbeat is too old, from its row alone."""
    since = worker.heartbeat_at or worker.created_at
    if now - since <= patience.worker:
        return None
    return Stuck(
        machine="worker", entity_id=worker.id, since=since, threshold=patience.worker, context=Context()
    )


def stuck_event(stuck: Stuck, at: datetime) -> Event:
    """Return the event that reports a stuck entity."""
    return new_event(
        EventType.STUCK,
        EventSubject(machine=stuck.machine, id=stuck.entity_id, context=stuck.context),
        at,
        severity=Severity.WARNING,
        metadata={"since": iso_millis(stuck.since), "threshold": stuck.threshold.total_seconds()},
    )
