"""Events: the input of the core, as plain values.

Each effect comes back as exactly one event. An event names its subject and the state that it was computed
on (an attempt, a commit, an intent), so that a late or repeated one is recognised and ignored.

The module is long because it is one list, all that the core can be told, in the order of a task's way to the
target; `CoreEvent` joins it at the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from maingate.commits import Candidate, LandingIntent, Tip
from maingate.ids import PatchId, TaskId, WorkstreamId
from maingate.orchestrator.core.queue_items import QueueAnswer, QueueItem
from maingate.reasons import NOT_RUN, Reason, ReasonCode
from maingate.recovery.circuit_breaker import Guard, Probe
from maingate.state.operator_rules import Override
from maingate.state.queue_control import QueueLeave
from maingate.state.steps.step import Head
from maingate.state.tool_run import ToolRun
from maingate.verdicts.blame import GateAnswer, Judgement


class NewPatch(Protocol):
    """The row of a patch that is to be created; opaque to the core but for its identity."""

    @property
    def id(self) -> str:
        """Its identifier."""
        ...

    @property
    def head(self) -> Head:
        """Its state and version."""
        ...


@dataclass(frozen=True, kw_only=True)
class PatchTaken:
    """A task produced a patch.

    Args:
        patch: The patch's row.
        diff: Its bytes.
        material: The parsed patch, to be applied; None when it is refused.
        refusal: Why it is refused; None when it is accepted.
        is_policy: Whether the policy refused it, rather than the parser.
        is_final: Whether another attempt of its tool is pointless.
        needs_approval: Whether a person has to approve it, whatever the number of reviewers.
        tool_run: The attempt of the tool that made it; None for a ready patch.
    """

    task: TaskId
    patch: NewPatch
    diff: bytes
    material: Any = None
    refusal: Reason | None = None
    is_policy: bool = False
    is_final: bool = False
    needs_approval: bool = False
    tool_run: ToolRun | None = None


@dataclass(frozen=True, kw_only=True)
class NoPatchTaken:
    """A task has no patch: its file is missing or cannot be read."""

    task: TaskId
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class PatchRestored:
    """A patch of the record was read again: the parsed patch, or why it is refused now."""

    task: TaskId
    material: Any = None
    refusal: Reason | None = None
    needs_approval: bool = False


class AttemptEnd(Enum):
    """The ends of an attempt of a task without a patch."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    """Its worker was lost; its progress is unknown."""


@dataclass(frozen=True, kw_only=True)
class AttemptEnded:
    """An attempt of a task without a patch ended.

    Args:
        task: The task.
        attempt: Its attempt.
        end: How it ended.
        reason: Why, when it is not ``DONE``.
        seconds: How long its command took; None without a command, or when unknown.
    """

    task: TaskId
    attempt: int
    end: AttemptEnd
    reason: Reason | None = None
    seconds: float | None = None


class ToolEnd(Enum):
    """The ends of an attempt of a tool that produced no patch."""

    FAILED = "failed"
    LOST = "lost"
    """Its worker was lost or could not prepare; no evidence about the tool."""
    LIMITED = "limited"
    """Its provider refuses for a while, or is down; no evidence about the task."""


@dataclass(frozen=True, kw_only=True)
class ToolEnded:
    """An attempt of a tool ended without a patch.

    Args:
        seconds: How long to pause the tool, for `ToolEnd.LIMITED`.
        tool_run: The attempt's row; None when the tool is not known to have started.
    """

    task: TaskId
    attempt: int
    end: ToolEnd
    reason: Reason
    seconds: float = 0.0
    tool_run: ToolRun | None = None


@dataclass(frozen=True, kw_only=True)
class ToolDue:
    """The pause of a tool is over: that of its provider or, with ``of_breaker``, that of its breaker."""

    tool: str
    of_breaker: bool = False


@dataclass(frozen=True, kw_only=True)
class BreakersRead:
    """All breakers were read from the database: other runs and operators change them, too.

    Args:
        guards: The breakers.
        given_up: Probes of other runs whose process has exited.
    """

    guards: tuple[Guard, ...]
    given_up: frozenset[Probe] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ApprovalsRead:
    """The number of approvals of each patch that waits for approval was read."""

    counts: Mapping[PatchId, int]


@dataclass(frozen=True, kw_only=True)
class RetryDue:
    """The wait before a task's next attempt is over."""

    task: TaskId
    attempt: int


@dataclass(frozen=True, kw_only=True)
class AppliedPatch:
    """A patch that applied.

    Args:
        tip: The resulting commit.
        method: How it applied: ``exact``, ``offset`` or ``three_way``.
        repairs: All repairs of its text.
    """

    tip: Tip
    method: str
    repairs: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PatchesApplied:
    """Patches of one lane were applied, each on the one before it, up to the first that did not apply.

    Args:
        tasks: The tasks of the effect.
        onto: The commit that the first patch was applied to.
        applied: The patches that applied, in order.
        refusal: Why the next one did not apply; None when all did.
    """

    tasks: tuple[TaskId, ...]
    onto: Tip
    applied: tuple[AppliedPatch, ...]
    refusal: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class PatchJudged:
    """The gates of a patch's commit ended."""

    task: TaskId
    commit: str
    judgement: Judgement


@dataclass(frozen=True, kw_only=True)
class FoundLanding:
    """A workstream that the target holds by an earlier intent.

    Args:
        tip: The commit of the intent.
    """

    workstream: WorkstreamId
    intent: str
    tip: Tip


@dataclass(frozen=True, kw_only=True)
class TargetSeen:
    """The target was read.

    Args:
        look: Identifier of the look.
        head: Its head.
        found: The workstreams that it holds already.
    """

    look: str
    head: Tip
    found: tuple[FoundLanding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LinkRefused:
    """A workstream that could not be merged onto those before it.

    Args:
        behind: The workstream that it conflicts with; None when it cannot be merged onto the target itself.
    """

    workstream: WorkstreamId
    reason: Reason
    behind: WorkstreamId | None = None


@dataclass(frozen=True, kw_only=True)
class ChainBuilt:
    """Workstreams were merged onto one another, up to the first that could not be.

    Args:
        build: Identifier of the building.
        candidates: Those that were, in order.
        refused: The next one, if it could not be merged.
    """

    build: str
    candidates: tuple[Candidate, ...]
    refused: LinkRefused | None = None


@dataclass(frozen=True, kw_only=True)
class ChainJudged:
    """Gates ran on the merged result of workstreams.

    Args:
        run: Identifier of the run of gates.
        answers: The answer of each gate; of several commits, a pass only where it passed on each.
        inside: The answers about commits before the merged result, each with the tree.
        started: When they began, in seconds on the process's own scale.
        ended: When the last ended.
        fault: The reason why they could not be run; None when they were.
    """

    run: str
    answers: tuple[GateAnswer, ...]
    started: float
    ended: float
    fault: Reason | None = None
    inside: tuple[tuple[str, GateAnswer], ...] = ()

    def unanswered(self) -> Reason | None:
        """Return the reason why a gate could not be run; None when all were."""
        for answer in self.answers:
            if answer.fault in NOT_RUN:
                return Reason(
                    code=ReasonCode(str(answer.fault)),
                    message=f"gate {answer.gate} could not be run: {answer.message}",
                    detail={"gate": answer.gate, "gate_id": answer.gate_id, "output": answer.excerpt},
                )
        return self.fault


@dataclass(frozen=True, kw_only=True)
class QueueOrdersRead:
    """The orders of people about the queue of the target, as far as they are in force now.

    Args:
        leave: The steps that they leave to the queue.
        on_board: The workstreams that a drain still lands; None for those on board when it is heard of.
        ranks: Workstreams that were moved: below 0 to the front, the lowest first, above 0 to the end.
    """

    leave: QueueLeave = field(default_factory=QueueLeave)
    on_board: frozenset[str] | None = None
    ranks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CarSealed:
    """The commits of a car are sealed.

    Args:
        candidates: The candidate of each member, on that of the member before it.
    """

    car: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class TargetLanded:
    """The target moved to the last candidate of a car."""

    car: str


@dataclass(frozen=True, kw_only=True)
class TargetMoved:
    """Another process or person moved the target first; nothing landed."""

    car: str


@dataclass(frozen=True, kw_only=True)
class LandingObstructed:
    """A checkout of the target cannot follow; nothing landed, and a person must act."""

    car: str
    obstacle: str


@dataclass(frozen=True, kw_only=True)
class LandingFailed:
    """The target cannot move to a car for a reason that is its members' own, or one member's."""

    car: str
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class WorkstreamBroken:
    """An object or ref that a workstream depends on is gone or cannot be written."""

    workstream: WorkstreamId
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class CancelRequested:
    """An operator cancels the run, a workstream or a task.

    Args:
        reason: Why.
        entity: The workstream or task; None for the run.
        request: The request to answer; None for a signal.
    """

    reason: Reason
    entity: str | None = None
    request: str | None = None


@dataclass(frozen=True, kw_only=True)
class OverrideRequested:
    """An operator decides about a task or a workstream by hand.

    Args:
        override: The decision.
        entity: The task or workstream.
        message: Why.
        operator: The operator's name.
        request: The request to answer.
    """

    override: Override
    entity: str
    message: str
    operator: str
    request: str


@dataclass(frozen=True, kw_only=True)
class TargetTaken:
    """This process holds the target from now on, and lands what is on board.

    Args:
        landing: The workstreams, of any run, that a process which is gone was about to land.
    """

    landing: tuple[QueueItem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TargetLetGo:
    """This process lets the target go; nothing of its own is on board."""


@dataclass(frozen=True, kw_only=True)
class QueueRead:
    """The workstreams of other runs were read that this process may land beside its own.

    Args:
        waiting: All that wait, in the order of their places; others that were on board have left.
        wanted_back: Those that their own process wants back.
    """

    waiting: tuple[QueueItem, ...] = ()
    wanted_back: tuple[WorkstreamId, ...] = ()


@dataclass(frozen=True, kw_only=True)
class QueueAnswered:
    """The process that holds the target answered about a workstream of this run.

    Args:
        answer: The answer.
        intents: Those to land it that are not settled, oldest first.
        head: The head of the target when the answer was read.
    """

    answer: QueueAnswer
    intents: tuple[LandingIntent, ...] = ()
    head: Tip | None = None


CoreEvent = (
    PatchTaken
    | NoPatchTaken
    | PatchRestored
    | AttemptEnded
    | ToolEnded
    | ToolDue
    | BreakersRead
    | ApprovalsRead
    | RetryDue
    | PatchesApplied
    | PatchJudged
    | TargetSeen
    | ChainBuilt
    | ChainJudged
    | QueueOrdersRead
    | CarSealed
    | TargetLanded
    | TargetMoved
    | LandingObstructed
    | LandingFailed
    | TargetTaken
    | TargetLetGo
    | QueueRead
    | QueueAnswered
    | WorkstreamBroken
    | CancelRequested
    | OverrideRequested
)
