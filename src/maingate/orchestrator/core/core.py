"""The pure core of a run: ``(picture, event) -> decision``.

It knows no clock, no SQL and no process. For each event it changes its picture and returns what must be
recorded and which effects follow. An event that does not answer the newest question is ignored, so events may
come twice or late. The cost of an event is what it changes, never the size of the run.

Three rules make the result independent of timing where all patches are ready: the patches of a workstream are
applied in the plan's order, workstreams land in the plan's order, several at once where they can, and a
workstream begins on the commit by which the last of those it needs landed; without needs, on the run's base.
That order has a workstream behind all that could land when its needs had, unless its priority is higher. One
whose tools are still at work has no place in it yet, and holds up no other.

Each event goes to one of its parts (`maingate.orchestrator.core.core_assembly`):

    tasks          what is queued and started, and what comes of attempts  (attempts, tool_use, approvals)
    patch_lanes    patches on their way onto their workstream's ref
    landing_queue  the landing: workstreams tested together, landed in order, blamed rightly
    operator       cancels and overrides
    endings        the consequences of an ending
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from maingate.ids import PatchId, TaskId, WorkstreamId
from maingate.orchestrator.core.core_assembly import CoreParts, RunLimits
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.drain import Drain
from maingate.orchestrator.core.events import (
    CancelRequested,
    CoreEvent,
    OverrideRequested,
    QueueOrdersRead,
    TargetTaken,
    WorkstreamBroken,
)
from maingate.orchestrator.core.queue.queue_view import QueueView
from maingate.orchestrator.core.snapshot import RunNode, TaskNode, WorkstreamNode
from maingate.orchestrator.core.turn import AppliedOverride, Turn
from maingate.state.holds import Hold, HoldCode
from maingate.state.operator_rules import RequestAnswer
from maingate.state.run import RunState
from maingate.state.steps import runs as run_steps

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Core:
    """Decides about the events of one run.

    Args:
        run: The picture, as the database has it: a new run, or one that was interrupted anywhere.
        limits: The limits of this process.
        now: The time; set anew by the shell before each call.
    """

    def __init__(self, run: RunNode, limits: RunLimits, *, now: datetime = _NEVER) -> None:
        self._turn = Turn(run, now)
        self._parts = CoreParts(self._turn, limits)
        self._handlers = self._parts.handlers()
        self.tasks_total = len(self._turn.tasks)

    # -- one event, one decision -----------------------------------------------------------------------------

    def begin(
        self,
        broken: Sequence[WorkstreamBroken] = (),
        orders: QueueOrdersRead | None = None,
        *,
        taken: TargetTaken | None = None,
    ) -> Decision:
        """Decide about all that is owed, wherever the run stands: it is new, or its process was killed.

        A decision is recorded whole or not at all. So only the effects of the last ones can be missing, and
        these are requested again here: in one place, from the states alone.

        Args:
            broken: The workstreams of which something is gone.
            orders: The orders about the queue; None for none.
            taken: The news that this process holds the target, with what another one had begun.
        """
        if orders is not None:
            self._parts.landing_queue.ordered(orders)
        if taken is not None:
            self._parts.landing_queue.taken(taken)
        if self.run.state is RunState.PENDING:
            self._turn.move_run(run_steps.start(self.run.head))
        for workstream in self.run.workstreams.values():
            self._parts.tasks.take_up(workstream)
        for event in broken:
            self._parts.operator.broken(event)
        self._parts.endings.go_on()
        return self._decide()

    def handle(self, *events: CoreEvent) -> Decision:
        """Decide about events that have come together: first what each changes, then what follows."""
        for event in events:
            self._hear(event)
            self._draw_consequences()
        return self._decide()

    def _hear(self, event: CoreEvent) -> None:
        queue = self._parts.landing_queue
        serves_others = queue.has_passengers and type(event) in queue.handlers()
        if not self.is_over or serves_others:
            handler = self._handlers.get(type(event))
            if handler is None:
                raise TypeError(f"not an event: {event!r}")
            handler(event)
        elif isinstance(event, OverrideRequested):
            self._parts.operator.override(event)
        elif isinstance(event, CancelRequested) and event.request is not None:
            said = f"run {self.run.name} is {self.run.state} already"
            self._turn.decision.answers.append(RequestAnswer(request=event.request, said=said))

    def _decide(self) -> Decision:
        """Draw all consequences, then apply, start and land what is possible now."""
        self._draw_consequences()
        while self._parts.landing_queue.step():
            self._draw_consequences()
        if not self.is_over and not self.drain.is_on:
            for task in self._parts.scheduler.start():
                self._parts.tasks.start(task)
        return self._turn.take_decision()

    def _draw_consequences(self) -> None:
        """Draw all consequences one by one, and apply the next patches of lanes that have changed."""
        while True:
            while (ended := self._turn.next_follow_up()) is not None:
                match ended:
                    case TaskNode():
                        self._parts.endings.task_ended(ended)
                    case WorkstreamNode():
                        self._parts.endings.workstream_ended(ended)
                    case AppliedOverride():
                        self._parts.operator.answer(ended)
            changed = self._turn.take_changed_lanes()
            if not changed:
                return
            for workstream in changed:
                self._parts.lanes.apply_next(workstream)
                if workstream.is_applied:
                    self._parts.landing_queue.board(workstream)

    def take_holds(self) -> Mapping[str, Hold | None]:
        """Return the holds that changed since the last call, by entity; None for one that is gone."""
        turn = self._turn
        if not self.is_over:
            blocker = self._parts.landing_queue.blocker
            about: dict[str, str] = {"next": blocker.id} if blocker is not None else {}
            if turn.drain.is_on:
                about["why"] = turn.drain.reason
            turn.hold(self.run.id, HoldCode.DRAINING if turn.drain.is_on else HoldCode.PARTS, about)
        return turn.board.take_changes()

    def queue_view(self, now: datetime) -> QueueView:
        """Return what people and programs are shown of the queue at a moment."""
        return self._parts.landing_queue.view(now)

    @property
    def kept_by_drain(self) -> frozenset[str] | None:
        """The workstreams that a drain still lands, where its order does not say so yet; None elsewhere."""
        return self._parts.landing_queue.kept_by_drain

    # -- what the shell reads --------------------------------------------------------------------------------

    @property
    def run(self) -> RunNode:
        """The picture of the run."""
        return self._turn.run

    @property
    def now(self) -> datetime:
        """The time of the current event."""
        return self._turn.now

    @now.setter
    def now(self, now: datetime) -> None:
        self._turn.now = now

    @property
    def is_over(self) -> bool:
        """Return whether the run has ended."""
        return self._turn.is_over

    @property
    def drain(self) -> Drain:
        """The drain of the run: whether nothing new is started, and why."""
        return self._turn.drain

    @property
    def tasks(self) -> Iterable[TaskNode]:
        """Every task of the run."""
        return self._turn.tasks.values()

    @property
    def tasks_ended(self) -> int:
        """The number of tasks that have ended."""
        return self._turn.tasks_ended

    def task(self, task_id: TaskId) -> TaskNode:
        """Return a task."""
        return self._turn.tasks[task_id]

    def workstream(self, workstream_id: WorkstreamId) -> WorkstreamNode:
        """Return a workstream."""
        return self._turn.workstreams[workstream_id]

    def may_have_landed(self, entity: str) -> bool:
        """Return whether a task, a workstream or some of the run may be on the target, unrecorded."""
        return self._parts.landing_queue.may_have_landed(entity)

    @property
    def holds_target(self) -> bool:
        """Return whether this process is the one that lands."""
        return self._parts.landing_queue.holds_target

    @property
    def commits_of_others(self) -> Collection[str]:
        """The merged results that gates run on for other runs, after this run's own end."""
        return self._parts.landing_queue.commits_of_others

    @property
    def serves_others(self) -> bool:
        """Return whether workstreams of other runs are on board."""
        return self._parts.landing_queue.has_passengers

    @property
    def is_landing(self) -> bool:
        """Return whether the target is about to move."""
        return self._parts.landing_queue.is_landing

    @property
    def wants_target(self) -> bool:
        """Return whether there is something to land, and another process holds the target."""
        return self._parts.landing_queue.wants_target

    @property
    def may_let_target_go(self) -> bool:
        """Return whether this process holds the target and has nothing to land."""
        return self._parts.landing_queue.may_let_go

    def lands_after(self, workstream: WorkstreamNode) -> WorkstreamNode | None:
        """Return the workstream that must leave before this one can land; None without one."""
        return self._parts.landing_queue.ahead_of(workstream)

    @property
    def unapproved(self) -> Sequence[PatchId]:
        """The patches that wait for approval; safe to read from any thread."""
        return self._parts.approvals.waiting

    def approvals_wanted(self, patch_id: PatchId) -> tuple[str, int]:
        """Return the task of an unapproved patch and the approvals it needs; safe from any thread."""
        return self._parts.approvals.wanted(patch_id)
