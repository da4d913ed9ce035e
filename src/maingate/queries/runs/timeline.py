"""The timeline of a run: the work and the waits of each task or worker, span by span.

Spans come from the changes of state on record; times are seconds since the run was admitted, so that the
object stays small: a run of 5,000 tasks has some 25,000 spans.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

from maingate.db.dao import gates, runs, tasks, uet_workers, workers, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.history import events
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskOutline
from maingate.db.sql.connection import Connection
from maingate.events import Event, iso_millis
from maingate.ids import RunId
from maingate.queries.limited_list import EVERY
from maingate.queries.waits.explain import why_waiting
from maingate.queries.waits.run_rows import has_ended, read_unfinished
from maingate.queries.waits.server_line import server_line
from maingate.repository_context import RepositoryContext
from maingate.state.task import TASK, TaskState
from maingate.wording import listed

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


_ACTIVE: Final = frozenset({"runs", "is_checked"})


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


@dataclass(frozen=True, kw_only=True)
class _TimelinePart:
    """A part of the rows of a timeline by task.

    Args:
        chosen: Its tasks, and its workstreams whose merged results were judged.
        tasks: All tasks of the run.
        needs: The tasks that each needs.
        merged: The gates on the merged results, by workstream.
    """

    chosen: Sequence[TaskOutline | str]
    tasks: Sequence[TaskOutline]
    needs: Mapping[str, Sequence[str]]
    merged: Mapping[str, Sequence[GateRow]]


def timeline(
    context: RepositoryContext, run_id: RunId, *, by: str = "task", start: int = 0, limit: int = EVERY
) -> Json:
    """Return rows of the timeline of a run in the public JSON form.

    Args:
        context: The repository and its record.
        run_id: The run.
        by: ``task`` for a row for each task, ``worker`` for one for each slot of a worker.
        start: The number of the first row, from 0.
        limit: Most rows to return.

    Raises:
        UnknownEntityError: There is no such run.
    """
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        of_tasks, needs = tasks.outlines(conn, run_id), tasks.needs(conn, run_id)
        if by == "task":
            merged = _grouped((gate.workstream_id, gate) for gate in gates.on_merged_results(conn, run_id))
            every: list[TaskOutline | str] = [*of_tasks, *merged]
            part = _TimelinePart(
                chosen=every[start : start + limit], tasks=of_tasks, needs=needs, merged=merged
            )
            rows, total = _task_rows(context, conn, run, part), len(every)
        else:
            rows, total = _worker_rows(conn, run, start, limit)
    return {
        "run_id": run.id,
        "name": run.name,
        "state": str(run.state),
        "by": by,
        "began_at": iso_millis(run.created_at),
        "seconds": _since(run.created_at, run.completed_at or context.clock.now()),
        "is_over": run.completed_at is not None,
        "start": start,
        "total": total,
        "rows": rows,
        "critical_path": critical_path(of_tasks, needs),
    }


def spans_of_task(
    changes: Sequence[Event], begin: datetime, why: Callable[[Event, bool], str]
) -> Sequence[ActivitySpan]:
    """Return the spans of a task, from its changes of state in their order.

    Args:
        changes: The changes of state of the task.
        begin: The time that spans are counted from.
        why: Returns why it waited after a change, or waits, in which case the change is its last.
    """
    found: list[ActivitySpan] = []
    attempt = 0
    for change, after in zip_longest(changes, changes[1:]):
        attempt += change.to_state == TaskState.RUNNING
        if (kind := _KINDS.get(str(change.to_state))) is not None:
            found.append(
                ActivitySpan(
                    begin=_since(begin, change.timestamp),
                    end=None if after is None else _since(begin, after.timestamp),
                    kind=kind,
                    label=f"attempt {attempt}" if kind in _ACTIVE else why(change, after is None),
                    about=str(change.entity_id),
                )
            )
    return found


class _WaitLabels:
    """Return what tasks wait for, or have waited for.

    The record has the sentence of a present wait. Of a past one it has the state, which tells the kind of
    wait, and the reason of a retry.
    """

    def __init__(
        self,
        of_tasks: Sequence[TaskOutline],
        needs: Mapping[str, Sequence[str]],
        streams: Mapping[str, str],
        present: Mapping[str, str],
    ) -> None:
        self._tasks = {task.id: task for task in of_tasks}
        self._needs, self._streams, self._present = needs, streams, present

    def why(self, change: Event, is_present: bool) -> str:
        """Return what the task of a change waited for after it, or waits for if the change is its last."""
        task = self._tasks[str(change.entity_id)]
        if is_present and task.id in self._present:
            return self._present[task.id]
        match change.to_state:
            case TaskState.BLOCKED:
                names = [self._tasks[need].name for need in self._needs.get(task.id, ())]
                return f"for {'the task' if len(names) == 1 else 'the tasks'} {listed(names)}"
            case TaskState.PENDING:
                return f"for its workstream {self._streams[task.workstream_id]} to be ready"
            case TaskState.QUEUED:
                return "for its turn"
        reason = change.reason or {}
        return f"because of {reason.get('code')}: {reason.get('message')}" if reason else ""


def critical_path(of_tasks: Sequence[TaskOutline], needs: Mapping[str, Sequence[str]]) -> Sequence[str]:
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


def _task_rows(context: RepositoryContext, conn: Connection, run: RunRow, part: _TimelinePart) -> list[Json]:
    """Return the rows of some tasks of a run, and of the gates on the merged results of workstreams."""
    streams = {stream.id: stream.name for stream in workstreams.of_run(conn, run.id)}
    shown = [each for each in part.chosen if isinstance(each, TaskOutline)]
    changes: defaultdict[str, list[Event]] = defaultdict(list)
    for change in events.transitions_of(conn, [task.id for task in shown]):
        changes[str(change.entity_id)].append(change)
    waits = _WaitLabels(part.tasks, part.needs, streams, _present_waits(context, conn, run, shown))
    rows = [
        _row(
            task.id,
            f"{streams[task.workstream_id]}/{task.name}",
            spans_of_task(changes[task.id], run.created_at, waits.why),
            state=task.state,
        )
        for task in shown
    ]
    judged = [each for each in part.chosen if isinstance(each, str)]
    return rows + [_row(id_, streams[id_], _gate_spans(part.merged[id_], run.created_at)) for id_ in judged]


def _present_waits(
    context: RepositoryContext, conn: Connection, run: RunRow, shown: Sequence[TaskOutline]
) -> Mapping[str, str]:
    """Return what each of some tasks waits for now."""
    unfinished = {task.id for task in shown if not TASK.is_terminal(task.state)}
    if has_ended(run) or not unfinished:
        return {}
    streams = {task.workstream_id for task in shown if task.id in unfinished}
    rows = read_unfinished(conn, run, streams, now=context.clock.now())
    rows = replace(rows, line=server_line(context, conn, run))
    waiting = [task for task in rows.tasks if task.id in unfinished]
    explained = why_waiting(rows, is_alive=context.is_at_work(conn, run), among=waiting)
    return {id_: f"for {why.what}; until {why.until}" for id_, why in explained.items()}


def _worker_rows(conn: Connection, run: RunRow, start: int, limit: int) -> tuple[list[Json], int]:
    """Return the rows of some slots of workers that have run gates of a run, and the number of all."""
    slots = uet_workers.get_many(conn, gates.slots_of_run(conn, run.id))
    hosts = workers.get_many(conn, {slot.worker_id for slot in slots.values()})
    names = {id_: hosts[slot.worker_id].name for id_, slot in slots.items()}
    ordered = sorted(names, key=lambda slot: (names[slot], slot))
    shown = ordered[start : start + limit]
    by_slot = _grouped((gate.uet_worker_id, gate) for gate in gates.of_slots(conn, run.id, shown))
    return [_row(slot, names[slot], _gate_spans(by_slot[slot], run.created_at)) for slot in shown], len(
        ordered
    )


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
