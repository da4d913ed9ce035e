"""The timeline of a run: the work and the waits of each task or worker, span by span.

Spans come from the changes of state on record; times are seconds since the run was admitted, so that the
object stays small: a run of 5,000 tasks has some 25,000 spans.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from maingate.db.dao import gates, runs, tasks, uet_workers, workers, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.history import events
from maingate.db.dao.tasks import TaskRow
from maingate.events import Event, iso_millis
from maingate.ids import RunId
from maingate.queries.page import EVERY
from maingate.repository_context import RepositoryContext
from maingate.state.task import TASK, TaskState

Json = dict[str, Any]

_KINDS: Final[Mapping[str, str]] = {
    TaskState.PENDING: "waits",
    TaskState.BLOCKED: "waits",
    TaskState.QUEUED: "queued",
    TaskState.RUNNING: "runs",
    TaskState.VALIDATING: "is_checked",
    TaskState.RETRYING: "waits_to_retry",
}
"""The activity of a task in each state; it does nothing more in the others."""


@dataclass(frozen=True, kw_only=True)
class ActivitySpan:
    """A time in which one thing was done, or waited for.

    Args:
        begin: Its start, in seconds since the run was admitted.
        end: Its end; None while it lasts.
        kind: ``waits``, ``queued``, ``runs``, ``is_checked``, ``waits_to_retry``, ``gate``.
        label: A few words: the attempt, the gate and its state, or why it waits.
        about: The task or gate.
    """

    begin: float
    end: float | None
    kind: str
    label: str
    about: str

    def as_json(self) -> list[Any]:
        """Return it in the short public form: begin, end, kind, label, identifier."""
        return [self.begin, self.end, self.kind, self.label, self.about]


def timeline(context: RepositoryContext, run_id: RunId, *, by: str = "task") -> Json:
    """Return the timeline of a run in the public JSON form.

    Args:
        context: The repository and its record.
        run_id: The run.
        by: ``task`` for a row for each task, ``worker`` for one for each slot of a worker.

    Raises:
        UnknownEntityError: There is no such run.
    """
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        named = {stream.id: stream.name for stream in workstreams.of_run(conn, run_id)}
        of_tasks, needs = tasks.of_run(conn, run_id), tasks.needs(conn, run_id)
        judged = gates.of_run(conn, run_id)
        changes = events.query(conn, run_id=run_id, type="task_state_transition", limit=EVERY)
        slots = uet_workers.get_many(conn, {gate.uet_worker_id for gate in judged if gate.uet_worker_id})
        hosts = workers.get_many(conn, {slot.worker_id for slot in slots.values()})
    begin = run.created_at
    if by == "task":
        merged = _grouped((gate.workstream_id, gate) for gate in judged if gate.patch_id is None)
        rows = _task_rows(of_tasks, named, spans_of_tasks(changes, begin))
        rows += [_row(id_, named[id_], _gate_spans(each, begin)) for id_, each in merged.items()]
    else:
        rows = _worker_rows(judged, {id_: hosts[slot.worker_id].name for id_, slot in slots.items()}, begin)
    return {
        "run_id": run.id,
        "name": run.name,
        "state": str(run.state),
        "by": by,
        "began_at": iso_millis(begin),
        "seconds": _since(begin, run.completed_at or context.clock.now()),
        "is_over": run.completed_at is not None,
        "rows": rows,
        "critical_path": critical_path(of_tasks, needs),
    }


def spans_of_tasks(changes: Iterable[Event], begin: datetime) -> Mapping[str, Sequence[ActivitySpan]]:
    """Return the spans of each task, from its changes of state in their order.

    Args:
        changes: The changes of state of tasks.
        begin: The time that spans are counted from.
    """
    found: defaultdict[str, list[ActivitySpan]] = defaultdict(list)
    last: dict[str, tuple[Event, int]] = {}
    for change in changes:
        task, attempt = str(change.entity_id), 0
        if task in last:
            before, attempt = last[task]
            if (span := _span(before, attempt, _since(begin, change.timestamp), begin)) is not None:
                found[task].append(span)
        last[task] = (change, attempt + (change.to_state == TaskState.RUNNING))
    for task, (change, attempt) in last.items():
        if (span := _span(change, attempt, None, begin)) is not None:
            found[task].append(span)
    return found


def _span(change: Event, attempt: int, end: float | None, begin: datetime) -> ActivitySpan | None:
    """Return the span that a change of state began; None for one that ended the task."""
    kind = _KINDS.get(str(change.to_state))
    if kind is None:
        return None
    reason = (change.reason or {}).get("message")
    label = f"attempt {attempt}" if kind in {"runs", "is_checked"} else str(reason or change.trigger or "")
    return ActivitySpan(
        begin=_since(begin, change.timestamp), end=end, kind=kind, label=label, about=str(change.entity_id)
    )


def critical_path(of_tasks: Sequence[TaskRow], needs: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the tasks that determined the end, first to last: each waited for the end of the one before.

    Args:
        of_tasks: The tasks of a run.
        needs: The tasks that each needs.
    """
    ends = {task.id: task.completed_at for task in of_tasks if task.completed_at is not None}
    if not ends:
        return []
    path = [max(ends, key=lambda id_: (ends[id_], id_))]
    while known := [need for need in needs.get(path[-1], ()) if need in ends]:
        path.append(max(known, key=lambda id_: (ends[id_], id_)))
    return path[::-1]


def _grouped(pairs: Iterable[tuple[str | None, GateRow]]) -> Mapping[str, Sequence[GateRow]]:
    """Return gates by a key; those without one are left out."""
    found: defaultdict[str, list[GateRow]] = defaultdict(list)
    for key, gate in pairs:
        if key is not None:
            found[key].append(gate)
    return found


def _gate_spans(judged: Iterable[GateRow], begin: datetime) -> Sequence[ActivitySpan]:
    return [
        ActivitySpan(
            begin=_since(begin, gate.started_at),
            end=None if gate.completed_at is None else _since(begin, gate.completed_at),
            kind="gate",
            label=f"{gate.name}: {gate.state}",
            about=gate.id,
        )
        for gate in judged
        if gate.started_at is not None
    ]


def _task_rows(
    of_tasks: Iterable[TaskRow], named: Mapping[str, str], spans: Mapping[str, Sequence[ActivitySpan]]
) -> list[Json]:
    labels = {task.id: f"{named[task.workstream_id]}/{task.name}" for task in of_tasks}
    return [_row(task.id, labels[task.id], spans.get(task.id, ()), state=task.state) for task in of_tasks]


def _worker_rows(judged: Iterable[GateRow], names: Mapping[str, str], begin: datetime) -> list[Json]:
    by_slot = _grouped((gate.uet_worker_id, gate) for gate in judged)
    ordered = sorted(by_slot, key=lambda slot: (names[slot], slot))
    return [_row(slot, names[slot], _gate_spans(by_slot[slot], begin)) for slot in ordered]


def _row(id_: str, name: str, spans: Sequence[ActivitySpan], *, state: TaskState | None = None) -> Json:
    return {
        "id": id_,
        "name": name,
        "state": None if state is None else str(state),
        "ended": state is not None and TASK.is_terminal(state),
        "spans": [span.as_json() for span in spans],
    }


def _since(begin: datetime, at: datetime) -> float:
    return round(max(0.0, (at - begin).total_seconds()), 3)
