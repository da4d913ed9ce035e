"""The rows of a run under way, and how they stand to each other: lanes, landing order, tools.

The rules of the core decide what waits for what (`maingate.orchestrator.core.holds`,
`maingate.recovery.circuit_breaker`, `maingate.plan.order`), applied to rows.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow, present
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.orchestrator.core.holds import first_open, first_rival, is_used_up
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.plan.order import landing_order, stable_order
from maingate.plan.scopes import Scopes
from maingate.recovery.breaker_store import guard_of
from maingate.recovery.circuit_breaker import Blocked, Probe, may_start
from maingate.state.circuit_breaker import BreakerState
from maingate.state.gate import GateState
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.task import TaskState


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
        approvals_missing: The number of approvals that each waiting patch lacks; one where it is not listed.
        is_served: Whether a living server is to give the run a process.
        is_overspent: Whether the tools have cost what the plan allows, so that resuming needs more.
        now: The time; None where it is not known, and then no pause of a tool is over.
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
    is_served: bool = False
    now: datetime | None = None

    def open_ones(self) -> Iterator[EntityRow]:
        """Yield every entity that has not ended; a patch that landed has, though it may be rolled back."""
        if has_ended(self.run):
            return
        for row in (self.run, *self.workstreams, *self.tasks, *self.patches, *self.gates):
            if not has_ended(row):
                yield row


def has_ended(row: EntityRow) -> bool:
    """Return whether only a person can move an entity any more."""
    return MACHINES[row.machine].is_terminal(row.state) or row.state == PatchState.COMMITTED


@dataclass(frozen=True, kw_only=True)
class PausedTool:
    """A tool that its breaker pauses, with the state of the breaker."""

    tool: str
    state: BreakerState


@dataclass(frozen=True, kw_only=True)
class BusyTool:
    """A tool that is used as often at once as it may be."""

    tool: str
    limit: int


ToolHold = PausedTool | BusyTool | TaskRow
"""A hold of a queued tool task besides workers; a task when both may write the same paths."""


class Standing:
    """The rows of a run, arranged so that each relation is found at once."""

    def __init__(self, rows: RunRows) -> None:
        self.rows = rows
        self.streams = {stream.id: stream for stream in rows.workstreams}
        self.tasks = {task.id: task for task in rows.tasks}
        self.patch_of = present(rows.patches)
        self.lanes = self._lanes()
        self.fronts = {owner: self._front(lane) for owner, lane in self.lanes.items()}
        self.next_to_land = first_open(self._landing_order(), has_ended)
        self.running_tasks = sum(task.state is TaskState.RUNNING for task in rows.tasks)
        self.gates: defaultdict[str, list[GateRow]] = defaultdict(list)
        for gate in rows.gates:
            if gate.state is GateState.RUNNING:
                self.gates[gate.patch_id or gate.workstream_id or ""].append(gate)
                self.gates[gate.tree].append(gate)

    def label(self, task: TaskRow) -> str:
        """Return a task's name with that of its workstream."""
        return f"{self.streams[task.workstream_id].name}/{task.name}"

    def tool_hold(self, task: TaskRow) -> ToolHold | None:
        """Return what a queued tool task waits for besides a worker; None without such a hold."""
        if task.kind != TaskKind.TOOL:
            return None
        tool = self._tool_of(task)
        limit = self._plan.tools[tool].max_concurrent
        if limit is not None and is_used_up(limit, self._busy[tool]):
            return BusyTool(tool=tool, limit=limit)
        return self._rival(task) or self._pause(tool)

    def _pause(self, tool: str) -> PausedTool | None:
        breaker = next((one for one in self.rows.breakers if one.tool == tool), None)
        if breaker is None or breaker.opened_at is None:
            return None
        now = self.rows.now or breaker.opened_at
        is_paused = isinstance(may_start(guard_of(breaker), now, self._is_running), Blocked)
        return PausedTool(tool=tool, state=breaker.state) if is_paused else None

    def _is_running(self, probe: Probe) -> bool:
        """Return whether a probe is under way; one of another run counts as such."""
        task = self.tasks.get(probe.task)
        return task is None or (task.state is TaskState.RUNNING and task.attempt == probe.attempt)

    def _rival(self, task: TaskRow) -> TaskRow | None:
        apart = self._scopes.apart_from(self._named(task))
        if not apart & self._open_tools:
            return None
        lane = self._open_lanes[task.workstream_id]
        before = lane[: bisect_left(lane, self._place[task.id], key=lambda other: self._place[other.id])]
        elsewhere = (other for other in self._running_tools if other.workstream_id != task.workstream_id)
        return first_rival(
            reversed(before), elsewhere, lambda other: bool(apart & self._scopes.bits[self._named(other)])
        )

    @cached_property
    def _busy(self) -> Counter[str]:
        """The number of running tasks of each tool."""
        return Counter(self._tool_of(task) for task in self._running_tools)

    @cached_property
    def _place(self) -> dict[str, int]:
        """The place of each task in its lane."""
        return {task.id: place for lane in self.lanes.values() for place, task in enumerate(lane)}

    @cached_property
    def _open_lanes(self) -> dict[str, list[TaskRow]]:
        return {owner: [task for task in lane if _is_open_tool(task)] for owner, lane in self.lanes.items()}

    @cached_property
    def _running_tools(self) -> list[TaskRow]:
        return [task for task in self.rows.tasks if _is_open_tool(task) and task.state is TaskState.RUNNING]

    @cached_property
    def _open_tools(self) -> int:
        """All tool tasks that have not ended, as a sum of their bits."""
        tools = (task for task in self.rows.tasks if _is_open_tool(task))
        return sum(self._scopes.bits[self._named(task)] for task in tools)

    @cached_property
    def _plan(self) -> Plan:
        return Plan.from_json(self.rows.run.plan)

    @cached_property
    def _scopes(self) -> Scopes:
        return Scopes(self._plan)

    def _tool_of(self, task: TaskRow) -> str:
        workstream, name = self._named(task)
        return str(self._plan.workstreams[workstream].tasks[name].tool)

    def _named(self, task: TaskRow) -> tuple[str, str]:
        return self.streams[task.workstream_id].name, task.name

    def _lanes(self) -> dict[str, list[TaskRow]]:
        """Return each workstream's tasks in the order in which their patches are applied."""
        needs: dict[str, dict[str, Sequence[str]]] = {stream.id: {} for stream in self.rows.workstreams}
        for task in self.rows.tasks:
            needs[task.workstream_id][task.id] = self.rows.needs.get(task.id, ())
        return {owner: [self.tasks[name] for name in stable_order(lane)] for owner, lane in needs.items()}

    def _landing_order(self) -> list[WorkstreamRow]:
        needs = {stream.id: self.rows.needs.get(stream.id, ()) for stream in self.rows.workstreams}
        order = landing_order(needs, lambda name: self.streams[name].priority)
        return [self.streams[name] for name in order]

    def _front(self, lane: Sequence[TaskRow]) -> tuple[int, TaskRow | None]:
        """Return the first task of a lane that has not ended, and its place from 1."""
        front = first_open(enumerate(lane, start=1), lambda placed: has_ended(placed[1]))
        return front or (0, None)


def _is_open_tool(task: TaskRow) -> bool:
    return task.kind == TaskKind.TOOL and not has_ended(task)
