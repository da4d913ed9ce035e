"""The picture of a run in memory: a cache of the database, rebuilt from it at start. The core decides on it.

Nodes hold states, needs and the number of open children. Everything in them is a copy of a row or can be
derived from rows; the database stays the truth.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from maingate.commits import LandingInput, LandingIntent, Tip
from maingate.ids import PatchId, RunId, TaskId, WorkstreamId
from maingate.orchestrator.core.effect_inputs import RetryInput, RunInput, TaskInput
from maingate.orchestrator.core.lane_order import Lane
from maingate.orchestrator.task_scheduler import dependents_of
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan, TaskPlan, WorkstreamPlan
from maingate.reasons import Reason
from maingate.recovery.circuit_breaker import Guard
from maingate.state.holds import Hold
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.state.steps.step import Head
from maingate.state.task import TASK, TaskState
from maingate.state.workstream import WORKSTREAM, WorkstreamState

_BEHIND: Final = "+"
"""The end of an intent's id for a place between its landing and the next one."""


@dataclass(kw_only=True, eq=False)
class PatchNode:
    """A patch of the run; ``commit`` and ``tree`` are where it stands on its workstream's ref.

    Args:
        approvals: The number of approvals, as last read.
        needs_approval: Whether it needs one, whatever the number of reviewers.
    """

    id: PatchId
    head: Head
    state: PatchState
    commit: str | None = None
    tree: str | None = None
    method: str = "exact"
    approvals: int = 0
    needs_approval: bool = False


@dataclass(kw_only=True, eq=False)
class TaskNode:
    """A task of the run.

    Args:
        unmet: The number of needed tasks that are not completed yet.
        gates: The gates that must pass on its patch.
        place: Its place in its workstream's lane; of a task without a patch, among the workstream's tasks.
        attempt: The number of the present attempt; an answer to an older one is ignored.
        retries: The number of attempts that failed and were followed by another.
        losses: The number of attempts that were lost with their worker.
        put_offs: The number of attempts that the provider of its tool has put off.
        file: The file of its ready patch.
        request: The text that its tool is asked to act on.
        reviewers: The number of approvals that its patch needs by the plan.
        replaces: The patch of another run that its first one stands for.
        delay: Seconds until its next attempt is due, when it was loaded.
        material: The parsed patch that waits to be applied; opaque to the core, dropped when settled.
    """

    id: TaskId
    head: Head
    name: str
    label: str
    plan: TaskPlan
    workstream: "WorkstreamNode"
    is_critical: bool
    needs: Sequence[str]
    gates: tuple[str, ...]
    state: TaskState
    unmet: int = 0
    place: int = 0
    attempt: int = 0
    retries: int = 0
    losses: int = 0
    put_offs: int = 0
    file: str | None = None
    request: str = ""
    reviewers: int = 0
    replaces: str | None = None
    delay: float = 0.0
    reason: Reason | None = None
    patch: PatchNode | None = None
    material: Any = None

    @property
    def kind(self) -> TaskKind:
        """The source of its patch, or the kind of its work."""
        return self.plan.kind

    @property
    def is_ready_to_apply(self) -> bool:
        """Return whether its patch is accepted and waits to be applied.

        See docs/SPECIFICATION.md §2.2: queued.
        """
        is_accepted = self.patch is not None and self.patch.state is PatchState.QUEUED
        return is_accepted and self.material is not None and self.state is TaskState.VALIDATING

    @property
    def has_ended(self) -> bool:
        """Return whether it ended: completed, failed or cancelled."""
        return TASK.is_terminal(self.state)

    @property
    def free_attempts(self) -> int:
        """The number of its past attempts that used up no retry, and were neither lost nor put off."""
        return self.attempt - 1 - self.retries - self.losses - self.put_offs

    @property
    def is_done_already(self) -> bool:
        """Return whether it is done because the target has the change of its patch already."""
        is_dropped = self.patch is not None and self.patch.state is PatchState.DROPPED
        return is_dropped and self.state is TaskState.COMPLETED

    @property
    def is_in_doubt(self) -> bool:
        """Return whether its patch may land, or have landed, with its workstream: requests have to wait."""
        return self.workstream.is_in_doubt and not self.has_ended

    @cached_property
    def input(self) -> TaskInput:
        """The facts about it that stay the same, for effects."""
        return TaskInput(
            id=self.id,
            label=self.label,
            workstream=self.workstream.id,
            plan=self.plan,
            policy=self.workstream.plan.policy,
        )

    def retry_input(self) -> RetryInput | None:
        """Return why its last attempt failed, for the tool that makes the next one; None at the first."""
        if self.reason is None or not (self.retries or self.patch):
            return None
        return RetryInput(reason=self.reason, patch=self.patch.id if self.patch else None)

    def require_patch(self) -> PatchNode:
        """Return its patch.

        Raises:
            RuntimeError: It has none.
        """
        if self.patch is None:
            raise RuntimeError(f"task {self.label} has no patch")
        return self.patch


@dataclass(kw_only=True, eq=False)
class WorkstreamNode:
    """A workstream of the run, with its tasks and its lane.

    Args:
        run: The run.
        ref: Its own ref, ``refs/maingate/<run>/<workstream>``.
        open_tasks: The number of its tasks that have not ended.
        landing: Its place in the order in which workstreams land.
        begins_on: The commit that it is to begin on; None for the head of the target.
        base: The commit that it begins on.
        settled: When it was loaded: the last of its commits whose gates have passed.
        landed: The target's head once it landed; None when it had nothing to land.
        landed_by: The intent by which it landed; those of one target sort by the order of their landings.
        found_on: The target's head that had all of it when it was to land; None where that was not so.
        done_since: When it was loaded: the time from which on only its landing was left; None before that.
        may_defer_gates: Whether its merged result may be judged before its patches, and these if that fails.
        defers_gates: Whether that is so still.
        intents: All intents to land it, oldest first.
        open_intent: The intent that may be carried out at any moment, or may have been.
        is_offered: Whether it is handed to the process that holds the target, which has not answered yet.
    """

    id: WorkstreamId
    run: RunId
    head: Head
    name: str
    plan: WorkstreamPlan
    is_critical: bool
    needs: Sequence[str]
    gates: tuple[str, ...]
    ref: str
    state: WorkstreamState
    tasks: list[TaskNode] = field(default_factory=list)
    by_name: dict[str, TaskNode] = field(default_factory=dict)
    dependents: Mapping[str, list[str]] = field(default_factory=dict)
    unmet: int = 0
    open_tasks: int = 0
    landing: int = 0
    lane: Lane[TaskNode] | None = None
    begins_on: Tip | None = None
    base: Tip | None = None
    settled: Tip | None = None
    done_since: datetime | None = None
    landed: Tip | None = None
    landed_by: str = ""
    found_on: Tip | None = None
    may_defer_gates: bool = False
    defers_gates: bool = False
    intents: list[LandingIntent] = field(default_factory=list)
    open_intent: str | None = None
    is_offered: bool = False
    reason: Reason | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Return whether it may land, or have landed, without a record of it: requests have to wait."""
        return self.open_intent is not None or self.is_offered

    @cached_property
    def keeps_patches(self) -> bool:
        """Return whether its patches stay off the record until it lands: tools may have to make others."""
        return self.plan.base is None and any(task.kind is TaskKind.TOOL for task in self.tasks)

    @property
    def has_ended(self) -> bool:
        """Return whether its state is terminal."""
        return WORKSTREAM.is_terminal(self.state)

    def seat(self, tasks: Sequence[TaskNode]) -> None:
        """Take the tasks in, in the order in which their patches will be applied."""
        self.by_name = {task.name: task for task in tasks}
        self.dependents = dependents_of(tasks)
        self.tasks = [self.by_name[name] for name in self.plan.task_order()]
        for place, task in enumerate(self.tasks):
            task.place = place
        for place, task in enumerate(self.patch_tasks()):
            task.place = place
        for task in tasks:
            task.unmet = sum(self.by_name[name].state is not TaskState.COMPLETED for name in set(task.needs))
        self.open_tasks = sum(not task.has_ended for task in tasks)

    def patch_tasks(self) -> list[TaskNode]:
        """List the tasks that have a place in the lane, in its order."""
        return [task for task in self.tasks if task.kind.gives_a_patch]

    def landing_input(self) -> LandingInput:
        """Return it as it would land now.

        Raises:
            RuntimeError: It has no lane.
        """
        if self.base is None or self.lane is None:
            raise RuntimeError(f"{self.name} has no lane")
        made = [(task, patch.commit) for task, patch in self._verified() if patch.commit]
        applied = [*self.lane.kept, *(self.lane.chain if self.defers_gates else ())]
        made += [(car.item, car.tip.commit) for car in applied]
        return LandingInput(
            run=self.run,
            workstream=self.id,
            name=self.name,
            title=self.plan.title or "",
            base=self.base,
            settled=self.tip_to_land(),
            commits=tuple((task.require_patch().id, commit) for task, commit in made),
            tasks={task.require_patch().id: task.name for task, _ in made},
            gates=self.gates,
            patch_gates={task.require_patch().id: task.gates for task, _ in made},
            intents=tuple(self.intents),
            open_intent=self.open_intent,
        )

    def tip_to_land(self) -> Tip:
        """Return the commit that it would land as: with the patches whose gates have passed, or are deferred.

        Raises:
            RuntimeError: It has no lane.
        """
        if self.lane is None:
            raise RuntimeError(f"{self.name} has no lane")
        return self.lane.tip if self.defers_gates else self.lane.proven

    @property
    def is_applied(self) -> bool:
        """Return whether all its open tasks have applied patches, whose gates passed or are deferred."""
        lane = self.lane
        if lane is None or lane.applying is not None:
            return False
        unjudged = len(lane.chain) if self.defers_gates else 0
        return len(lane.kept) + unjudged == self.open_tasks > 0

    @property
    def has_something_to_land(self) -> bool:
        """Return whether there are patches that would land with it."""
        return self.is_applied or any(
            task.patch is not None and task.patch.state is PatchState.VERIFIED for task in self.tasks
        )

    def reason_not_to_land(self) -> Reason | None:
        """Return the reason of a task that is done because the target has its change; None without one."""
        return next((task.reason for task in self.tasks if task.is_done_already), None)

    def _verified(self) -> list[tuple[TaskNode, PatchNode]]:
        return [(task, task.patch) for task in self.landed_patches() if task.patch]

    def landed_patches(self) -> list[TaskNode]:
        """List the tasks whose patches are verified on its ref, in lane order."""
        return [task for task in self.tasks if task.patch and task.patch.state is PatchState.VERIFIED]


@dataclass(kw_only=True, eq=False)
class RunNode:
    """The run: its workstreams in the order in which they land, and the base it began on.

    Args:
        admitted: The time it was admitted.
        base: The target's head when the run was admitted.
        workstreams: By name, in the plan's order.
        order: The same, in landing order.
        spent: The cost of each task's tools so far, in micro-dollars.
        breakers: The breakers of all tools, as they were when it was loaded.
        holds: The holds that are on record, as they were when it was loaded.
        head_seen: The head of the target as it was last read; None before that.
    """

    id: RunId
    head: Head
    name: str
    plan: Plan
    target: str
    state: RunState
    admitted: datetime
    base: Tip
    workstreams: Mapping[str, WorkstreamNode]
    order: Sequence[WorkstreamNode]
    dependents: Mapping[str, list[str]]
    open_workstreams: int
    tip: Tip
    spent: Mapping[str, int] = field(default_factory=dict)
    breakers: Sequence[Guard] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    head_seen: Tip | None = None

    @property
    def newest(self) -> Tip:
        """The newest head of the target that is known."""
        return self.head_seen or self.tip

    @property
    def input(self) -> RunInput:
        """The facts about it that stay the same, for effects."""
        return RunInput(id=self.id, plan=self.plan, target=self.target, base=self.base)

    def base_of(self, workstream: WorkstreamNode) -> Tip:
        """Return the commit that a workstream begins on, now that all it needs has ended.

        That is the one by which the last of these landed, and not the present head of the target. Workstreams
        that land beside or after them depend on how long gates take. One that had nothing to land stands for
        those that it needs itself, unless it was found on the target.
        """
        if workstream.begins_on is not None:
            return workstream.begins_on
        landings = {"": self.base}
        wanted, seen = list(workstream.needs), set[str]()
        while wanted:
            name = wanted.pop()
            need = self.workstreams[name]
            if name in seen:
                continue
            seen.add(name)
            if (there := need.landed or need.found_on) is None:
                wanted += need.needs
            else:
                landings[need.landed_by] = there
        return landings[max(landings)]

    def note_found(self, workstream: WorkstreamNode, head: Tip, *, after: Iterable[WorkstreamNode]) -> None:
        """Note that a head of the target has all of a workstream, behind some workstreams that landed."""
        workstream.found_on = head
        workstream.landed_by = max((each.landed_by for each in after), default="") + _BEHIND

    @property
    def needs_workers(self) -> bool:
        """Return whether a command, a tool or a gate of it may still have to run."""
        open_tasks = [task for workstream in self.order for task in workstream.tasks if not task.has_ended]
        if any(task.kind in {TaskKind.COMMAND, TaskKind.TOOL} for task in open_tasks):
            return True
        return any(ws.gates or any(task.gates for task in ws.tasks) for ws in self.order if not ws.has_ended)
