"""Why what has not ended is where it is, since when, and what will move it: pure, read from rows alone.

Every entity of a run that has not ended has an answer. What works has one too (its command, its gates); it is
told apart from what merely waits. The answers are put so that "it waits for …" and "until …" read well.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow, present
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.events import iso_millis
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.plan.order import stable_order
from maingate.plan.scopes import Scopes
from maingate.state.circuit_breaker import BreakerState
from maingate.state.gate import GateState
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from maingate.wording import listed

FREE_WORKER: Final = "a free worker"
AHEAD: Final = "patches ahead in the lane"
APPROVALS: Final = "approvals"

NEXT_STEP: Final = "the run takes its next step"

_WORK: Final[Mapping[str, str]] = {
    "patch": "its patch to be taken in",
    "tool": "its tool to end",
    "command": "its command to end",
    "noop": "its turn to be recorded",
}
"""What a running task waits for, by its kind."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Why an entity is where it is.

    Args:
        what: What it waits for.
        since: When it got there.
        until: What will move it.
        is_moving: Whether something works on it now.
        kind: What it waits for without particulars, the same for all that wait for the same thing; empty
            where that is ``what``.
    """

    what: str
    since: datetime
    until: str
    is_moving: bool = False
    kind: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "for": self.what,
            "since": iso_millis(self.since),
            "until": self.until,
            "moving": self.is_moving,
            "kind": self.kind or self.what,
        }


@dataclass(frozen=True, kw_only=True)
class RunRows:
    """All rows of one run, read at one moment.

    Args:
        run: The run.
        workstreams: Its workstreams in the plan's order.
        tasks: Its tasks in the plan's order.
        patches: Its patches.
        gates: Its gates.
        landing: The workstreams whose landing was begun and is not settled: their intents are pending.
        needs: For each workstream and each task, those of its kind that it needs.
        breakers: The breakers of all tools.
        approvals_missing: How many people have still to approve each patch that waits for that; what is not
            listed waits for one.
        is_overspent: Whether the tools have cost what the plan lets them, so that resuming needs more.
    """

    run: RunRow
    workstreams: Sequence[WorkstreamRow]
    tasks: Sequence[TaskRow]
    patches: Sequence[PatchRow]
    gates: Sequence[GateRow]
    landing: Collection[str]
    needs: Mapping[str, Sequence[str]]
    breakers: Sequence[BreakerRow] = ()
    approvals_missing: Mapping[str, int] = field(default_factory=dict)
    is_overspent: bool = False

    def open_ones(self) -> Iterator[EntityRow]:
        """Yield every entity that has not ended; what landed has, though it may be rolled back."""
        if has_ended(self.run):
            return
        for row in (self.run, *self.workstreams, *self.tasks, *self.patches, *self.gates):
            if not has_ended(row):
                yield row


def lacks_approval(task: str, missing: int) -> str:
    """Say how many people have still to approve a task's patch, and how they do."""
    return f"{missing} more approval{'s' * (missing != 1)}: `maingate patch approve {task}`"


def has_ended(row: EntityRow) -> bool:
    """Tell whether nothing but a person will move an entity any more."""
    return MACHINES[row.machine].is_terminal(row.state) or row.state == PatchState.COMMITTED


def why_waiting(rows: RunRows, *, is_alive: bool) -> dict[str, Waiting]:
    """Say for every entity of a run that has not ended why it is where it is.

    Args:
        rows: The run; the cost is in proportion to their number.
        is_alive: Whether a living process is at work on it.

    Returns:
        The answers by the entities' ids; nothing for what has ended.
    """
    if not is_alive:
        return {row.id: _abandoned(row, rows) for row in rows.open_ones()}
    scene = _Scene(rows)
    return {row.id: scene.answer(row) for row in rows.open_ones()}


def _abandoned(row: EntityRow, rows: RunRows) -> Waiting:
    resume = f"maingate resume {rows.run.id}"
    if rows.is_overspent:
        return Waiting(what="a larger budget", since=row.changed_at, until=f"`{resume} --budget-usd N`")
    return Waiting(
        what="a process to go on with the run: its own is gone",
        kind="a process to go on with the run",
        since=row.changed_at,
        until=f"`{resume}`",
    )


class _Scene:
    """The rows of a living run, arranged so that each answer is found at once."""

    def __init__(self, rows: RunRows) -> None:
        self._rows = rows
        self._streams = {stream.id: stream for stream in rows.workstreams}
        self._tasks = {task.id: task for task in rows.tasks}
        self._patch_of = present(rows.patches)
        self._lanes = self._lanes_of_tasks()
        self._fronts = {owner: _front_of(lane) for owner, lane in self._lanes.items()}
        self._next_to_land = next((one for one in self._in_landing_order() if not has_ended(one)), None)
        self._running_tasks = sum(task.state is TaskState.RUNNING for task in rows.tasks)
        self._gates: defaultdict[str, list[GateRow]] = defaultdict(list)
        for gate in rows.gates:
            if gate.state is GateState.RUNNING:
                self._gates[gate.patch_id or gate.workstream_id or ""].append(gate)
                self._gates[gate.tree].append(gate)

    def answer(self, row: EntityRow) -> Waiting:
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
                return self._gate(row)
        raise TypeError(f"not of a run: {row!r}")

    # -- run and workstreams ---------------------------------------------------------------------------------

    def _run(self, run: RunRow) -> Waiting:
        if run.state is RunState.PENDING:
            return _waits(run, "its first step", NEXT_STEP, is_moving=True)
        still = [stream for stream in self._rows.workstreams if not has_ended(stream)]
        if not still:
            return _waits(run, "its end to be recorded", NEXT_STEP, is_moving=True)
        return _waits(run, f"its workstreams {_states(still)}", "the last of them ends", is_moving=True)

    def _workstream(self, stream: WorkstreamRow) -> Waiting:
        match stream.state:
            case WorkstreamState.BLOCKED:
                return self._needing(stream, self._streams, "workstream")
            case WorkstreamState.READY:
                return self._beginning(stream)
            case WorkstreamState.EXECUTING:
                return self._executing(stream)
            case WorkstreamState.VALIDATING:
                return self._landing(stream)
        return _waits(stream, "the run to look at what it needs", NEXT_STEP)

    def _beginning(self, stream: WorkstreamRow) -> Waiting:
        """Say what its first task waits for: a worker, unless something else holds all that could begin."""
        first = None
        for task in self._lanes[stream.id]:
            if task.state is TaskState.QUEUED:
                held = self._held(task) if task.kind == TaskKind.TOOL else None
                if held is None:
                    return _waits(stream, "its first task to start", "a worker is free")
                first = first or held
        if first is None:
            return _waits(stream, "its first task to start", NEXT_STEP)
        return replace(first, since=stream.changed_at)

    def _executing(self, stream: WorkstreamRow) -> Waiting:
        lane = [task for task in self._lanes[stream.id] if not has_ended(task)]
        if not lane:
            return _waits(stream, "its tasks' end to be recorded", NEXT_STEP, is_moving=True)
        answers = [self._validating(task) for task in lane if task.state is TaskState.VALIDATING]
        unapproved = next((each for each in answers if each.kind == APPROVALS), None)
        is_anything_done = any(task.state is TaskState.RUNNING for task in lane) or any(
            each.kind not in {APPROVALS, AHEAD} for each in answers
        )
        if unapproved is not None and not is_anything_done:
            return replace(unapproved, since=stream.changed_at)
        what = f"{'its task' if len(lane) == 1 else 'its tasks'} {_states(lane)}"
        is_moving = any(task.state in (TaskState.RUNNING, TaskState.VALIDATING) for task in lane)
        return _waits(
            stream, what, "it ends" if len(lane) == 1 else "the last of them ends", is_moving=is_moving
        )

    def _landing(self, stream: WorkstreamRow) -> Waiting:
        first = self._next_to_land
        branch = self._rows.run.target_ref.removeprefix("refs/heads/")
        if stream.id in self._rows.landing:
            return _waits(stream, f"{branch} to be moved to it", "git has moved the branch", is_moving=True)
        if first is not None and first is not stream:
            what = f"{first.name} ({first.state}), which lands before it"
            return _waits(stream, what, f"{first.name} ends", kind="those that land before")
        if gates := self._gates[stream.id]:
            return _gated(stream, gates, "gates on the merged result")
        return _waits(stream, "its merged result and a free worker for its gates", "a worker is free")

    # -- tasks -----------------------------------------------------------------------------------------------

    def _task(self, task: TaskRow) -> Waiting:
        match task.state:
            case TaskState.BLOCKED:
                return self._needing(task, self._tasks, "task")
            case TaskState.QUEUED:
                return self._queued(task)
            case TaskState.RETRYING:
                return _retrying(task)
            case TaskState.RUNNING:
                what = f"{_WORK[task.kind]} (attempt {max(1, task.attempt)})"
                return _waits(task, what, "it ends, or its time is up", is_moving=True)
            case TaskState.VALIDATING:
                return self._validating(task)
        stream = self._streams[task.workstream_id]
        what = f"its workstream {stream.name} ({stream.state})"
        return _waits(task, what, f"{stream.name} is ready", kind="a workstream to be ready")

    def _queued(self, task: TaskRow) -> Waiting:
        if task.kind == TaskKind.TOOL and (held := self._held(task)) is not None:
            return held
        until = "one of the running tasks ends" if self._running_tasks else NEXT_STEP
        place, front = self._fronts[task.workstream_id]
        if front is None or front is task:
            what = f"a free worker ({self._running_tasks} tasks run)"
            return _waits(task, what, until, kind=FREE_WORKER)
        behind = f"behind {self._label(front)} ({front.state}) at place {place} of its lane"
        return _waits(task, f"a free worker, {behind}", until, kind=FREE_WORKER)

    def _held(self, task: TaskRow) -> Waiting | None:
        """Say what a tool task waits for besides a worker: its tool, or who may write what it may write."""
        tool = self._tool_of(task)
        breaker = next((one for one in self._rows.breakers if one.tool == tool), None)
        if breaker is not None and breaker.state is not BreakerState.CLOSED:
            what = f"the tool {tool}, which is left alone: its breaker is {breaker.state}"
            return _waits(task, what, "a task that tries it out ends well", kind=f"the tool {tool}")
        apart = self._scopes.apart_from(self._named(task))
        if not apart & self._open_tools:
            return None
        for other in self._may_be_in_the_way(task):
            if apart & self._scopes.bits[self._named(other)]:
                what = f"{self._label(other)} ({other.state}), which may write the same paths"
                return _waits(task, what, "it ends", kind="tasks that may write the same paths")
        return None

    def _may_be_in_the_way(self, task: TaskRow) -> Iterator[TaskRow]:
        """Yield the open tools before it in its lane, the nearest first, then those that run elsewhere."""
        lane = self._open_lanes[task.workstream_id]
        yield from reversed(lane[: bisect_left(lane, self._place[task.id], key=self._place_of)])
        for other in self._running_tools:
            if other.workstream_id != task.workstream_id:
                yield other

    def _place_of(self, task: TaskRow) -> int:
        return self._place[task.id]

    @cached_property
    def _place(self) -> dict[str, int]:
        """The place of each task in its lane."""
        return {task.id: place for lane in self._lanes.values() for place, task in enumerate(lane)}

    @cached_property
    def _open_lanes(self) -> dict[str, list[TaskRow]]:
        return {owner: [task for task in lane if _is_open_tool(task)] for owner, lane in self._lanes.items()}

    @cached_property
    def _running_tools(self) -> list[TaskRow]:
        return [task for task in self._rows.tasks if _is_open_tool(task) and task.state is TaskState.RUNNING]

    @cached_property
    def _open_tools(self) -> int:
        """All tool tasks that have not ended, as a sum of their bits."""
        tools = (task for task in self._rows.tasks if _is_open_tool(task))
        return sum(self._scopes.bits[self._named(task)] for task in tools)

    @cached_property
    def _plan(self) -> Plan:
        return Plan.from_json(self._rows.run.plan)

    @cached_property
    def _scopes(self) -> Scopes:
        return Scopes(self._plan)

    def _tool_of(self, task: TaskRow) -> str | None:
        workstream, name = self._named(task)
        return self._plan.workstreams[workstream].tasks[name].tool

    def _named(self, task: TaskRow) -> tuple[str, str]:
        return self._streams[task.workstream_id].name, task.name

    def _validating(self, task: TaskRow) -> Waiting:
        patch = self._patch_of.get(task.id)
        if patch is None or has_ended(patch):
            return _waits(task, "its end to be recorded", NEXT_STEP, is_moving=True)
        return replace(self._patch(patch), since=task.changed_at)

    # -- patches and gates -----------------------------------------------------------------------------------

    def _patch(self, patch: PatchRow) -> Waiting:
        stream = self._streams[patch.workstream_id]
        match patch.state:
            case PatchState.QUEUED:
                return self._boarding(patch)
            case PatchState.APPLIED:
                return self._judged(patch)
            case PatchState.APPLY_FAILED:
                return _waits(patch, "another attempt to apply", NEXT_STEP, is_moving=True)
            case PatchState.VERIFIED:
                what = f"its workstream {stream.name} ({stream.state})"
                return _waits(patch, what, f"{stream.name} lands", kind="a workstream to land")
        if patch.state is PatchState.VALIDATED:
            missing = self._rows.approvals_missing.get(patch.id, 1)
            what = lacks_approval(self._label(self._tasks[patch.task_id]), missing)
            return _waits(patch, what, "it is approved", kind=APPROVALS)
        return _waits(patch, "its text and the policy to be looked at", NEXT_STEP, is_moving=True)

    def _judged(self, patch: PatchRow) -> Waiting:
        """Name the gates on its tree, whoever asked for them first, or else those on what it was put on."""
        on_tree = self._gates[patch.tree or patch.id]
        if gates := on_tree or self._gates[patch.id] or self._gates[patch.workstream_id]:
            return _gated(patch, gates, "gates")
        return _waits(patch, "a free worker for its gates", "a worker is free")

    def _boarding(self, patch: PatchRow) -> Waiting:
        """Say what keeps an accepted patch from being applied: the one at the front of its lane."""
        place, front = self._fronts[patch.workstream_id]
        if front is None or front.id == patch.task_id:
            return _waits(patch, "its turn to be applied", NEXT_STEP, is_moving=True)
        ahead, name = self._patch_of.get(front.id), self._label(front)
        if ahead is None or ahead.state is not PatchState.APPLIED:
            what = f"{name} ({front.state}) at place {place} of its lane"
            return _waits(patch, what, f"{name} moves on", kind=AHEAD)
        what = f"the patch of {name}, which is ahead of it in its lane"
        gates = self._gates[ahead.id]
        if gates:
            return _gated(patch, gates, f"{what}: gates")
        return _waits(patch, what, f"{name} is verified", kind=AHEAD)

    def _gate(self, gate: GateRow) -> Waiting:
        match gate.state:
            case GateState.RUNNING:
                return _waits(gate, "its command to end", "it ends, or its time is up", is_moving=True)
            case GateState.BLOCKED:
                return _waits(gate, "a gate that it needs and that did not pass", "that one passes after all")
        return _waits(gate, "a free worker", "a worker is free")

    # -- how things stand to each other ----------------------------------------------------------------------

    def _needing(
        self,
        row: WorkstreamRow | TaskRow,
        others: Mapping[str, WorkstreamRow] | Mapping[str, TaskRow],
        kind: str,
    ) -> Waiting:
        needed = [others[name] for name in self._rows.needs.get(row.id, ())]
        still = [one for one in needed if not has_ended(one)]
        if not still:
            return _waits(row, f"the end of each {kind} it needs to be looked at", NEXT_STEP, is_moving=True)
        plural = "it completes" if len(still) == 1 else "they complete"
        what = f"the {kind}{'s' if len(still) > 1 else ''} {_states(still)}"
        return _waits(row, what, plural, kind=f"{kind}s that they need")

    def _lanes_of_tasks(self) -> dict[str, list[TaskRow]]:
        """Give each workstream's tasks in the order in which their patches are applied."""
        lanes: dict[str, dict[str, Sequence[str]]] = {stream.id: {} for stream in self._rows.workstreams}
        for task in self._rows.tasks:
            lanes[task.workstream_id][task.id] = self._rows.needs.get(task.id, ())
        return {owner: [self._tasks[name] for name in stable_order(lane)] for owner, lane in lanes.items()}

    def _in_landing_order(self) -> list[WorkstreamRow]:
        needs = {stream.id: self._rows.needs.get(stream.id, ()) for stream in self._rows.workstreams}
        order = stable_order(needs, rank=lambda name: (-self._streams[name].priority,))
        return [self._streams[name] for name in order]

    def _label(self, task: TaskRow) -> str:
        return f"{self._streams[task.workstream_id].name}/{task.name}"


def _is_open_tool(task: TaskRow) -> bool:
    return task.kind == TaskKind.TOOL and not has_ended(task)


def _front_of(lane: Sequence[TaskRow]) -> tuple[int, TaskRow | None]:
    """Give the first task of a lane that has not ended, and its place from 1."""
    return next(((place, task) for place, task in enumerate(lane, start=1) if not has_ended(task)), (0, None))


def _waits(row: EntityRow, what: str, until: str, *, is_moving: bool = False, kind: str = "") -> Waiting:
    return Waiting(what=what, since=row.changed_at, until=until, is_moving=is_moving, kind=kind)


def _gated(row: EntityRow, gates: Sequence[GateRow], what: str) -> Waiting:
    names = listed(list(dict.fromkeys(gate.name for gate in gates)))
    since = min(gate.changed_at for gate in gates).astimezone(UTC)
    until = "they have passed or failed" if len(gates) > 1 else "it has passed or failed"
    return _waits(row, f"{what} {names}, running since {since:%H:%M:%S} UTC", until, is_moving=True)


def _retrying(task: TaskRow) -> Waiting:
    why = f", because {task.reason.code}: {task.reason.message}" if task.reason else ""
    last = task.max_retries + 1 + task.lost_count
    what = f"attempt {task.attempt + 1} of {max(last, task.attempt + 1)}{why}"
    if task.not_before is None:
        return _waits(task, what, NEXT_STEP)
    return _waits(task, what, f"{task.not_before.astimezone(UTC):%H:%M:%S} UTC")


def _states(rows: Sequence[WorkstreamRow | TaskRow]) -> str:
    return listed([f"{row.name} ({row.state})" for row in rows])
