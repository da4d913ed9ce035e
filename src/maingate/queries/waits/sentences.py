"""The sentences about entities of a run under way: the cause of each wait, its beginning and its end.

This is the one place that makes these sentences, from rows and published holds (`queries.waits.run_rows`).
The sentences are phrased so that "waits for …" and "until …" read well. Work under way is kept apart from
mere waiting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Final

from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.queries.waits.explanation import (
    NEXT_STEP,
    Explanation,
    draining,
    gated,
    held,
    next_step,
    of_tool,
    ordered,
    waits,
)
from maingate.queries.waits.handed_over import handed_over, on_board
from maingate.queries.waits.run_rows import RowsUnderWay, RunRows, has_ended
from maingate.state.gate import GateState
from maingate.state.holds import Hold, HoldCode
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from maingate.wording import listed, missing_approvals

FREE_WORKER: Final = "a free worker"

_WORK: Final[Mapping[str, str]] = {
    "patch": "its patch to be read",
    "tool": "its tool to end",
    "command": "its command to end",
    "noop": "its turn to be recorded",
}
"""The work of a running task, by its kind."""

_IDLE: Final = frozenset({HoldCode.APPROVALS, HoldCode.WORKSTREAM})
"""Codes of patches about which nothing is being done."""


class Explainer:
    """Makes the sentences about the entities of a living run."""

    def __init__(self, rows: RunRows) -> None:
        self._rows, self._standing = rows, RowsUnderWay(rows)

    def explain(self, row: EntityRow) -> Explanation:
        """Return why an entity of the run that has not ended is where it is."""
        match row:
            case RunRow():
                return self._run(row)
            case WorkstreamRow():
                return self._workstream(row)
            case TaskRow():
                return self._task(row)
            case PatchRow():
                return self._patch(row)
            case GateRow():
                return _gate(row)
        raise TypeError(f"not of a run: {row!r}")

    # -- run and workstreams ---------------------------------------------------------------------------------

    def _run(self, run: RunRow) -> Explanation:
        if run.state is RunState.PENDING:
            return next_step(run, "its first step")
        if (hold := self._standing.draining) is not None:
            return draining(run, hold)
        still = [stream for stream in self._rows.workstreams if not has_ended(stream)]
        if not still:
            return next_step(run, "its end to be recorded")
        what = f"its workstreams {_states(still)}"
        return waits(run, HoldCode.PARTS, what, "the last of them ends", is_moving=True)

    def _workstream(self, stream: WorkstreamRow) -> Explanation:
        if (kept := self._of_the_target(stream)) is not None:
            return kept
        match stream.state:
            case WorkstreamState.BLOCKED:
                return self._needing(stream, self._standing.streams, "workstream")
            case WorkstreamState.READY:
                return self._beginning(stream)
            case WorkstreamState.EXECUTING:
                return self._executing(stream)
            case WorkstreamState.VALIDATING:
                return self._landing(stream)
        return next_step(stream, "the run to check its needs", is_moving=False)

    def _of_the_target(self, stream: WorkstreamRow) -> Explanation | None:
        """Return that a workstream waits for a person who stopped its queue, or for another run's process."""
        if (order := self._standing.order_about(stream)) is not None:
            return ordered(stream, order, self._rows.run)
        return handed_over(stream, self._rows.run, self._rows.target)

    def _beginning(self, stream: WorkstreamRow) -> Explanation:
        """Return the hold of all tasks that could begin; a worker when one of them has none."""
        queued = [task for task in self._standing.tasks_of[stream.id] if task.state is TaskState.QUEUED]
        holds = [self._held(task) for task in queued]
        what = "its first task to start"
        if not holds:
            return next_step(stream, what, is_moving=False)
        if (first := holds[0]) is None or None in holds:
            return waits(stream, HoldCode.WORKER, what, "a worker is free")
        return replace(first, since=stream.changed_at)

    def _executing(self, stream: WorkstreamRow) -> Explanation:
        lane = [task for task in self._standing.tasks_of[stream.id] if not has_ended(task)]
        if not lane:
            return next_step(stream, "its tasks' end to be recorded")
        if all(self._standing.is_kept(self._standing.patch_of.get(task.id)) for task in lane):
            return self._landing(stream)
        answers = [self._validating(task) for task in lane if task.state is TaskState.VALIDATING]
        unapproved = next((each for each in answers if each.code is HoldCode.APPROVALS), None)
        is_anything_done = any(task.state is TaskState.RUNNING for task in lane) or any(
            each.code not in _IDLE and not _is_behind(each) for each in answers
        )
        if unapproved is not None and not is_anything_done:
            return replace(unapproved, since=stream.changed_at)
        what = f"{'its task' if len(lane) == 1 else 'its tasks'} {_states(lane)}"
        until = "it ends" if len(lane) == 1 else "the last of them ends"
        is_moving = any(task.state in (TaskState.RUNNING, TaskState.VALIDATING) for task in lane)
        return waits(stream, HoldCode.PARTS, what, until, is_moving=is_moving)

    def _landing(self, stream: WorkstreamRow) -> Explanation:
        first = self._standing.next_to_land
        branch = self._rows.run.target_ref.removeprefix("refs/heads/")
        if stream.id in self._rows.landing:
            what = f"{branch} to be moved to it"
            return waits(stream, HoldCode.LANDING, what, "git has moved the branch", is_moving=True)
        if first is not None and first is not stream:
            what = f"{first.name} ({first.state}), which lands before it"
            return waits(
                stream,
                HoldCode.LANDING_ORDER,
                what,
                f"{first.name} ends",
                kind="those that land before",
                about={"workstream": first.id},
            )
        if gates := self._standing.gates[stream.id]:
            return gated(stream, gates, "gates on the merged result")
        what = "its merged result and a free worker for its gates"
        return waits(stream, HoldCode.WORKER, what, "a worker is free")

    # -- tasks -----------------------------------------------------------------------------------------------

    def _task(self, task: TaskRow) -> Explanation:
        match task.state:
            case TaskState.BLOCKED:
                return self._needing(task, self._standing.tasks, "task")
            case TaskState.QUEUED:
                return self._held(task) or self._queued(task)
            case TaskState.RETRYING:
                return _retrying(task)
            case TaskState.RUNNING:
                what = f"{_WORK[task.kind]} (attempt {max(1, task.attempt)})"
                return waits(task, HoldCode.WORK, what, "it ends, or its time is up", is_moving=True)
            case TaskState.VALIDATING:
                return self._validating(task)
        stream = self._standing.streams[task.workstream_id]
        what = f"its workstream {stream.name} ({stream.state})"
        kind = "a workstream to be ready"
        return waits(task, HoldCode.WORKSTREAM, what, f"{stream.name} is ready", kind=kind)

    def _queued(self, task: TaskRow) -> Explanation:
        if self._standing.draining is not None:
            resume = f"maingate resume {task.run_id}"
            what, until = (
                "the run to go on: its process starts nothing new",
                f"`{resume}`, once it has exited",
            )
            return waits(task, HoldCode.DRAINING, what, until, command=resume)
        running = self._standing.running_tasks
        until = "one of the running tasks ends" if running else NEXT_STEP
        place, front = self._standing.front(task.workstream_id)
        what = f"a free worker ({running} tasks run)"
        if front is not None and front is not task:
            ahead = f"{self._standing.label(front)} ({front.state})"
            what = f"a free worker, behind {ahead} at place {place} of its lane"
        return waits(task, HoldCode.WORKER, what, until, kind=FREE_WORKER)

    def _held(self, task: TaskRow) -> Explanation | None:
        """Return what a tool task waits for besides a worker: its tool, or a task with the same paths."""
        hold = self._standing.hold(task)
        if hold is None:
            return None
        if hold.code is HoldCode.PATHS:
            return self._held_by_paths(task, hold)
        tool = str(hold.about["tool"])
        what, until = of_tool(hold)
        command = f"maingate breaker reset {tool} --reason TEXT" if "breaker" in hold.about else None
        return held(task, hold, what, until, kind=f"the tool {tool}", command=command)

    def _held_by_paths(self, task: TaskRow, hold: Hold) -> Explanation | None:
        rival = self._standing.tasks.get(str(hold.about["task"]))
        if rival is None:
            return None
        what = f"{self._standing.label(rival)} ({rival.state}), which may write the same paths"
        return held(task, hold, what, "it ends", kind="tasks that may write the same paths")

    def _validating(self, task: TaskRow) -> Explanation:
        patch = self._standing.patch_of.get(task.id)
        if patch is None or has_ended(patch):
            return next_step(task, "its end to be recorded")
        return replace(self._patch(patch), since=task.changed_at)

    # -- patches ---------------------------------------------------------------------------------------------

    def _patch(self, patch: PatchRow) -> Explanation:
        stream = self._standing.streams[patch.workstream_id]
        match patch.state:
            case PatchState.VALIDATED:
                return self._unapproved(patch)
            case PatchState.QUEUED:
                is_kept = self._standing.is_kept(patch)
                return _unlanded(patch, stream) if is_kept else self._behind(patch)
            case PatchState.APPLIED:
                return self._judged(patch)
            case PatchState.APPLY_FAILED:
                return next_step(patch, "another attempt to apply")
            case PatchState.VERIFIED:
                return _unlanded(patch, stream)
        return next_step(patch, "its text and the policy to be checked")

    def _unapproved(self, patch: PatchRow) -> Explanation:
        hold = self._standing.hold(patch)
        missing = 1 if hold is None else int(hold.about["missing"])
        label = self._standing.label(self._standing.tasks[patch.task_id])
        return waits(
            patch,
            HoldCode.APPROVALS,
            missing_approvals(label, missing),
            "it is approved",
            kind="approvals",
            about={"missing": missing},
            command=f"maingate patch approve {label}",
        )

    def _judged(self, patch: PatchRow) -> Explanation:
        """Name the gates on its tree, on its base, or on the merged result of its workstream."""
        if found := self._standing.gates_on(patch):
            return gated(patch, found, "gates")
        if patch.workstream_id in self._rows.target.items:
            return self._workstream(self._standing.streams[patch.workstream_id])
        boarded = on_board(patch, self._rows.run, self._rows.target)
        return boarded or waits(patch, HoldCode.WORKER, "a free worker for its gates", "a worker is free")

    def _behind(self, patch: PatchRow) -> Explanation:
        """Name the front of the lane, which an accepted patch waits behind."""
        place, front = self._standing.front(patch.workstream_id)
        if front is None or front.id == patch.task_id:
            found = self._standing.gates[patch.id]
            return gated(patch, found, "gates") if found else next_step(patch, "its turn to be applied")
        ahead, name = self._standing.patch_of.get(front.id), self._standing.label(front)
        kind = "patches ahead in the lane"
        if ahead is None or ahead.state is not PatchState.APPLIED:
            what = f"{name} ({front.state}) at place {place} of its lane"
            return waits(patch, HoldCode.LANE, what, f"{name} moves on", kind=kind)
        what = f"the patch of {name}, which is ahead of it in its lane"
        if gates := self._standing.gates[ahead.id]:
            return replace(gated(patch, gates, f"{what}: gates"), code=HoldCode.LANE)
        return waits(patch, HoldCode.LANE, what, f"{name} is verified", kind=kind)

    def _needing(
        self,
        row: WorkstreamRow | TaskRow,
        others: Mapping[str, WorkstreamRow] | Mapping[str, TaskRow],
        kind: str,
    ) -> Explanation:
        needed = [others[name] for name in self._rows.needs.get(row.id, ())]
        still = [one for one in needed if not has_ended(one)]
        if not still:
            return next_step(row, f"the end of each {kind} it needs to be checked")
        until = "it completes" if len(still) == 1 else "they complete"
        what = f"the {kind}{'s' if len(still) > 1 else ''} {_states(still)}"
        return waits(row, HoldCode.NEEDS, what, until, kind=f"{kind}s that they need")


def _is_behind(waiting: Explanation) -> bool:
    """Return whether a patch merely waits behind the front of its lane."""
    return waiting.code is HoldCode.LANE and not waiting.is_moving


def _unlanded(patch: PatchRow, stream: WorkstreamRow) -> Explanation:
    """Return that a patch waits for its workstream: all that is known of it alone speaks for it."""
    what = f"its workstream {stream.name} ({stream.state})"
    kind = "a workstream to land"
    return waits(patch, HoldCode.WORKSTREAM, what, f"{stream.name} lands", kind=kind)


def _gate(gate: GateRow) -> Explanation:
    match gate.state:
        case GateState.RUNNING:
            until = "it ends, or its time is up"
            return waits(gate, HoldCode.WORK, "its command to end", until, is_moving=True)
        case GateState.BLOCKED:
            what = "a gate that it needs, which did not pass"
            return waits(gate, HoldCode.NEEDS, what, "that gate passes")
    return waits(gate, HoldCode.WORKER, FREE_WORKER, "a worker is free")


def _retrying(task: TaskRow) -> Explanation:
    why = f", because {task.reason.code}: {task.reason.message}" if task.reason else ""
    last = task.max_retries + 1 + task.lost_count
    what = f"attempt {task.attempt + 1} of {max(last, task.attempt + 1)}{why}"
    until = NEXT_STEP if task.not_before is None else f"{task.not_before.astimezone(UTC):%H:%M:%S} UTC"
    return waits(task, HoldCode.RETRY, what, until)


def _states(rows: Sequence[WorkstreamRow | TaskRow]) -> str:
    return listed([f"{row.name} ({row.state})" for row in rows])
