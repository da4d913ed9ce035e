"""The public JSON objects of the parts of a run, as its report has them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.overviews.run_counts import GateCount
from maingate.db.dao.overviews.taken_back import TakenBack
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.verdicts import Evidence
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.events import iso_millis
from maingate.reasons import Reason
from maingate.state.gate import GateState
from maingate.state.holds import HoldCode
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

Json = dict[str, Any]


def target_json(run: RunRow, tree_of: Callable[[str], str] | None) -> Json:
    """Return the target of a run: its ref, and the commits before and after."""
    new = run.new_head or run.old_head
    tree = tree_of(new) if tree_of is not None and new is not None else None
    return {"ref": run.target_ref, "old": run.old_head, "new": new, "tree": tree}


def workstream_json(stream: WorkstreamRow) -> Json:
    """Return a workstream with its state and reason."""
    return {
        "id": stream.id,
        "name": stream.name,
        "title": stream.title,
        "state": str(stream.state),
        "critical": stream.is_critical,
        "reason": reason_json(stream.reason),
        "landed": stream.landed_commit,
    }


def task_json(task: TaskRow, workstream: str, patch: PatchRow | None) -> Json:
    """Return a task with its state, reason and present patch."""
    return {
        "id": task.id,
        "name": f"{workstream}/{task.name}",
        "state": str(task.state),
        "critical": task.is_critical,
        "reason": reason_json(task.reason),
        "retry_count": task.retry_count,
        "patch": None if patch is None else patch_json(patch),
    }


def taken_back_of_task(task: TaskRow, patch: PatchRow | None, found: Mapping[str, TakenBack]) -> Json | None:
    """Return the rollback of the changes that a passed-over task had on the target; None without one."""
    if patch is None or task.state is not TaskState.COMPLETED or patch.id not in found:
        return None
    return found[patch.id].as_json()


def taken_back_of_stream(
    stream: WorkstreamRow, patches: Iterable[PatchRow], found: Mapping[str, TakenBack]
) -> Json | None:
    """Return the first such rollback of a workstream that had nothing to land; None without one."""
    if stream.state is not WorkstreamState.COMPLETED or stream.landed_commit is not None:
        return None
    mine = (found[patch.id] for patch in patches if patch.workstream_id == stream.id and patch.id in found)
    return next((one.as_json() for one in mine), None)


def patch_json(patch: PatchRow) -> Json:
    """Return a task's present patch."""
    return {
        "id": patch.id,
        "state": str(patch.state),
        "reason": reason_json(patch.quarantine_reason or patch.reason),
        "commit": patch.commit,
        "method": patch.method,
        "repairs": list(patch.repairs),
    }


def gates_json(rows: Iterable[GateRow], evidence: Iterable[Evidence]) -> Json:
    """Return how many gate executions ended in which way, and how many verdicts were reused.

    One that was stopped, because its answer was not needed any more, is no execution of a gate.
    """
    ends = (GateState.PASSED, GateState.FAILED)
    ended = [row for row in rows if row.state in ends and not row.is_not_needed]
    lost = sum(row.is_lost for row in ended)
    return gate_counts_json(
        GateCount(
            reused=sum(one.reused for one in evidence),
            passed=sum(row.state == GateState.PASSED for row in ended),
            failed=sum(row.state == GateState.FAILED for row in ended) - lost,
            flaky=sum(row.is_flaky for row in ended),
            lost=lost,
        )
    )


def gate_counts_json(counted: GateCount) -> Json:
    """Return the counts of the ended executions of gates."""
    return {
        "run": counted.passed + counted.failed + counted.lost,
        "reused": counted.reused,
        "passed": counted.passed,
        "failed": counted.failed,
        "flaky": counted.flaky,
        "lost": counted.lost,
    }


def seconds_json(run: RunRow, now: datetime | None, paused: float) -> float | None:
    """Return the time that a run has taken so far, without pauses; None when it is not known.

    Args:
        run: The run.
        now: The time, for a run that has not ended.
        paused: Seconds without a process, before it was resumed.
    """
    end = run.completed_at or now
    if end is None:
        return None
    return round(max(0.0, (end - (run.started_at or end)).total_seconds() - paused), 3)


def reason_json(reason: Reason | None) -> Json | None:
    """Return a reason; None when there is none."""
    return None if reason is None else reason.as_json()


def lifecycle_json(row: EntityRow) -> Json:
    """Return the version of an entity, which grows with each change of its state, and its times."""
    times = ("created_at", "changed_at", "started_at", "completed_at")
    return {"version": row.version, **{name: getattr(row, name) for name in times}}


def moment_json(at: datetime | None) -> str | None:
    """Return a time; None when there is none."""
    return None if at is None else iso_millis(at)


def is_held_by_order(waiting: Json | None) -> bool:
    """Return whether an order about the queue is why an entity waits; then it is not stuck."""
    return waiting is not None and waiting["code"] == HoldCode.QUEUE
