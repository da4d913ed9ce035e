"""The parts of the core, joined: each gets the ones it works with, and each event goes to one of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.endings import Endings
from maingate.orchestrator.core.events import (
    ApprovalsRead,
    AttemptEnded,
    BreakersRead,
    CancelRequested,
    CoreEvent,
    NoPatchTaken,
    OverrideRequested,
    PatchesApplied,
    PatchJudged,
    PatchRestored,
    PatchTaken,
    RetryDue,
    ToolDue,
    ToolEnded,
    WorkstreamBroken,
)
from maingate.orchestrator.core.lane_renewal import LaneRenewal
from maingate.orchestrator.core.next_attempt import TaskAttempts
from maingate.orchestrator.core.operator import Operator
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.queue.landing_queue import LandingQueue
from maingate.orchestrator.core.queue.queue_state import Request
from maingate.orchestrator.core.tasks import Tasks
from maingate.orchestrator.core.tool_endings import ToolEndings
from maingate.orchestrator.core.tool_use import ToolUse
from maingate.orchestrator.core.turn import Turn
from maingate.orchestrator.task_scheduler import TaskScheduler
from maingate.orchestrator.train.record import TrainRecord
from maingate.orchestrator.train.values import TrainPolicy
from maingate.plan.choices import TaskKind
from maingate.recovery.circuit_breaker import COOLDOWN, THRESHOLD
from maingate.recovery.retry_handler import RetryPolicy


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """The limits of one process for one run, by settings and command line.

    Args:
        worker_id: The orchestration worker on whose behalf tasks run.
        capacity: How many tasks of each kind may be running at once.
        window: How many patches of a lane may be applied and wait for their gates.
        lookahead: How far ahead of its lane a workstream's patches may be produced.
        retries: When a task is tried again.
        breaker_threshold: How many failures of a tool in a row open its breaker.
        breaker_cooldown: How long a breaker stays open.
        budget_usd: Maximum cost of all tools, instead of the plan's; None for the plan's.
        train: The promises and costs of the train.
        record: The past that the train expects to go on.
        gate_runs: How many runs of gates on merged results may be under way at once.
        reviewers: The minimum number of approvals for each patch by the settings; the plan may demand more.
        holds_target: Whether this process holds the target from the beginning.
    """

    worker_id: str
    capacity: Mapping[TaskKind, int]
    window: int
    lookahead: int = 16
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    breaker_threshold: int = THRESHOLD
    breaker_cooldown: timedelta = COOLDOWN
    budget_usd: float | None = None
    train: TrainPolicy = field(default_factory=TrainPolicy)
    record: TrainRecord = field(default_factory=TrainRecord)
    gate_runs: int = 1
    reviewers: int = 0
    holds_target: bool = True


class CoreParts:
    """The parts of the core for one run."""

    def __init__(self, turn: Turn, limits: RunLimits) -> None:
        self.turn = turn
        self.tools = ToolUse(
            turn,
            threshold=limits.breaker_threshold,
            cooldown=limits.breaker_cooldown,
            budget_usd=limits.budget_usd,
        )
        self.scheduler = TaskScheduler(
            capacity=limits.capacity,
            lookahead=limits.lookahead,
            hold=self.tools.hold,
            unhold=self.tools.unhold,
        )
        self.approvals = Approvals(turn, reviewers=limits.reviewers)
        attempts = TaskAttempts(turn, self.scheduler, self.tools, limits.retries)
        self.tool_endings = ToolEndings(turn, self.tools, attempts)
        self.lanes = Lanes(turn, self.scheduler, attempts, self.approvals, window=limits.window)
        self.renewal = LaneRenewal(turn, self.lanes, attempts)
        self.landing_queue = LandingQueue(
            turn,
            self.approvals,
            self.lanes,
            self.renewal,
            apply=self._apply,
            workers=limits.gate_runs,
            policy=limits.train,
            record=limits.record,
            holds_target=limits.holds_target,
        )
        self.tasks = Tasks(
            turn,
            self.scheduler,
            attempts=attempts,
            tools=self.tools,
            approvals=self.approvals,
            lanes=self.lanes,
            renewal=self.renewal,
            worker_id=limits.worker_id,
            commands=limits.capacity.get(TaskKind.COMMAND, 0),
        )
        self.endings = Endings(
            turn,
            self.scheduler,
            tasks=self.tasks,
            lanes=self.lanes,
            landing_queue=self.landing_queue,
            approvals=self.approvals,
        )
        self.operator = Operator(
            turn,
            self.scheduler,
            tasks=self.tasks,
            lanes=self.lanes,
            endings=self.endings,
            landing_queue=self.landing_queue,
            worker_id=limits.worker_id,
        )

    def handlers(self) -> Mapping[type[CoreEvent], Callable[[Any], None]]:
        """Return the part that handles each event."""
        tasks, lanes, landing, operator = self.tasks, self.lanes, self.landing_queue, self.operator
        return {
            PatchTaken: tasks.patch_taken,
            NoPatchTaken: tasks.no_patch_taken,
            AttemptEnded: tasks.attempt_ended,
            ToolEnded: self.tool_endings.tool_ended,
            RetryDue: tasks.retry_due,
            ToolDue: self._tool_due,
            BreakersRead: self._breakers_read,
            ApprovalsRead: self.approvals.approvals_read,
            PatchRestored: lanes.patch_restored,
            PatchesApplied: lanes.patches_applied,
            PatchJudged: lanes.patch_judged,
            **landing.handlers(),
            WorkstreamBroken: operator.broken,
            CancelRequested: operator.cancel,
            OverrideRequested: operator.override,
        }

    def _apply(self, request: Request) -> None:
        self.operator.apply(request)

    def _tool_due(self, event: ToolDue) -> None:
        self.scheduler.release(self.tools.tool_due(event))

    def _breakers_read(self, event: BreakersRead) -> None:
        for key in self.tools.breakers_read(event):
            self.scheduler.release(key)
