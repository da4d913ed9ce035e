"""What the core hears (events) and what it asks for (effects): plain values, no behaviour.

An effect is carried out by the shell around the core and always comes back as exactly one event. Events name
what they are about and what they were computed on, so that one which comes too late is recognised and
ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.requests import Answer, Override
from maingate.db.dao.tool_runs import ToolRun
from maingate.db.transitions import Step
from maingate.events import Event as HistoryEvent
from maingate.ids import PatchId, TaskId, WorkstreamId
from maingate.orchestrator.core.lanes import Judgement, Tip
from maingate.reasons import Reason
from maingate.recovery.circuit_breaker import Change as BreakerChange
from maingate.recovery.circuit_breaker import Probe


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a workstream would make of the target: a commit, and each patch's own commit on it."""

    onto: Tip
    tip: Tip
    commits: Mapping[PatchId, str]


# -- events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PatchTaken:
    """A task gave a patch: its row, its bytes, and either what was made of it or why it is refused.

    Args:
        is_final: Whether it is of no use to let its tool make another.
        tool_run: How the tool that made it ended; None for a ready patch.
    """

    task: TaskId
    patch: PatchRow
    diff: bytes
    material: Any = None
    refusal: Reason | None = None
    is_policy: bool = False
    is_final: bool = False
    tool_run: ToolRun | None = None


@dataclass(frozen=True, kw_only=True)
class NothingTaken:
    """A task gave no patch at all."""

    task: TaskId
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class PatchRestored:
    """A patch on record was read again: what was made of it, or why it is refused now."""

    task: TaskId
    material: Any = None
    refusal: Reason | None = None


class StepEnd(Enum):
    """How a task without a patch ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    """Its worker was lost; it is not known how far it came."""


@dataclass(frozen=True, kw_only=True)
class StepEnded:
    """An attempt of a task without a patch ended.

    Args:
        task: The task.
        attempt: Its attempt.
        end: How it ended.
        reason: Why, where it is not ``DONE``.
        seconds: How long its command took; None where there was none, or nobody knows.
    """

    task: TaskId
    attempt: int
    end: StepEnd
    reason: Reason | None = None
    seconds: float | None = None


class ToolEnd(Enum):
    """How a tool ended that gave no patch."""

    FAILED = "failed"
    LOST = "lost"
    """Its worker was lost, or could not make ready for it; it says nothing about the tool."""
    LIMITED = "limited"
    """Its provider refuses for a while, or is down; it says nothing about the task."""


@dataclass(frozen=True, kw_only=True)
class ToolEnded:
    """A tool ended without a patch.

    Args:
        seconds: How long its provider wants to be left alone, where it is `ToolEnd.LIMITED`.
        tool_run: How it ended; None where it is not known to have begun.
    """

    task: TaskId
    attempt: int
    end: ToolEnd
    reason: Reason
    seconds: float = 0.0
    tool_run: ToolRun | None = None


@dataclass(frozen=True, kw_only=True)
class ToolDue:
    """A tool was left alone for as long as its provider wanted it, or its breaker."""

    tool: str
    of_breaker: bool = False


@dataclass(frozen=True, kw_only=True)
class BreakersRead:
    """What is on record of all breakers: others use tools too, and people reset and trip breakers.

    Args:
        rows: The breakers.
        given_up: Those of their probes that belong to other runs and that no living process works on.
    """

    rows: tuple[BreakerRow, ...]
    given_up: frozenset[Probe] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ApprovalsRead:
    """How many people have approved the patches that wait for it."""

    counts: Mapping[PatchId, int]


@dataclass(frozen=True, kw_only=True)
class RetryDue:
    """A task has waited long enough for its next attempt."""

    task: TaskId
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a patch applied, the commit and tree that came out of it, and all that was done to it."""

    tip: Tip
    method: str
    repairs: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PatchesApplied:
    """Patches of one lane were applied, each on the one before it, up to the first that did not apply.

    Args:
        tasks: Those that were asked for.
        onto: What the first was applied on.
        fits: How those that applied did, in order.
        refusal: Why the next one did not; None when all did.
    """

    tasks: tuple[TaskId, ...]
    onto: Tip
    fits: tuple[Fit, ...]
    refusal: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class PatchJudged:
    """The gates judged a patch's commit."""

    task: TaskId
    commit: str
    judgement: Judgement


@dataclass(frozen=True, kw_only=True)
class WorkstreamMerged:
    """A workstream was merged onto the target's head: a candidate, or why it conflicts."""

    workstream: WorkstreamId
    candidate: Candidate | None = None
    conflict: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class CandidateJudged:
    """The gates judged the merged result.

    Args:
        sealed: The same with the record's seal on its commit, to land instead; None to land what was judged.
    """

    workstream: WorkstreamId
    candidate: Candidate
    judgement: Judgement
    sealed: Candidate | None = None


@dataclass(frozen=True, kw_only=True)
class TargetLanded:
    """The target moved to the candidate."""

    workstream: WorkstreamId
    candidate: Candidate
    intent: str


@dataclass(frozen=True, kw_only=True)
class TargetMoved:
    """Someone else moved the target first; nothing was landed."""

    workstream: WorkstreamId
    intent: str


@dataclass(frozen=True, kw_only=True)
class LandingObstructed:
    """The checkout of the target cannot follow; nothing was landed and a person must look."""

    workstream: WorkstreamId
    intent: str
    obstacle: str


@dataclass(frozen=True, kw_only=True)
class LandingFailed:
    """The target did not move to the candidate, and cannot, for a reason of the workstream's own."""

    workstream: WorkstreamId
    intent: str
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class WorkstreamBroken:
    """Something that a workstream cannot do without is gone, or cannot be written."""

    workstream: WorkstreamId
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class LandingFound:
    """The target holds what an earlier intent of the workstream meant to land: it has landed."""

    workstream: WorkstreamId
    intent: str
    tip: Tip


@dataclass(frozen=True, kw_only=True)
class LandingOwed:
    """An earlier intent was not carried out, and the target is where it was: it still can be."""

    workstream: WorkstreamId
    candidate: Candidate
    intent: str


@dataclass(frozen=True, kw_only=True)
class CancelAsked:
    """Somebody wants the run, or a workstream or task of it, to end now.

    Args:
        reason: Why.
        entity: The workstream or task; None for the run.
        request: What is to be answered, where it was asked through the database.
    """

    reason: Reason
    entity: str | None = None
    request: str | None = None


@dataclass(frozen=True, kw_only=True)
class OverrideAsked:
    """Somebody decides by hand about a task or a workstream of the run.

    Args:
        override: What is decided.
        entity: The task or workstream.
        message: Why.
        operator: Who decides it.
        request: What is to be answered.
    """

    override: Override
    entity: str
    message: str
    operator: str
    request: str


Event = (
    PatchTaken
    | NothingTaken
    | PatchRestored
    | StepEnded
    | ToolEnded
    | ToolDue
    | BreakersRead
    | ApprovalsRead
    | RetryDue
    | PatchesApplied
    | PatchJudged
    | WorkstreamMerged
    | CandidateJudged
    | TargetLanded
    | TargetMoved
    | LandingObstructed
    | LandingFailed
    | WorkstreamBroken
    | LandingFound
    | LandingOwed
    | CancelAsked
    | OverrideAsked
)

# -- effects -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TakePatch:
    """Get the task's patch, parse it and hold it against policy."""

    task: TaskId


@dataclass(frozen=True, kw_only=True)
class RestorePatch:
    """Read a patch again that was taken in by a process that is gone."""

    task: TaskId


@dataclass(frozen=True, kw_only=True)
class DoNothing:
    """Carry a task out that is only a point for others to need."""

    task: TaskId
    attempt: int


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Run the task's command on a worker, on a commit."""

    task: TaskId
    attempt: int
    tip: Tip


@dataclass(frozen=True, kw_only=True)
class RunTool:
    """Have the task's tool make a patch on a commit.

    Args:
        budget_usd: What it may cost; None for any amount.
    """

    task: TaskId
    attempt: int
    tip: Tip
    budget_usd: float | None = None


@dataclass(frozen=True, kw_only=True)
class WaitForTool:
    """Let so many seconds pass before the tool is used again, for its provider or its breaker."""

    tool: str
    seconds: float
    of_breaker: bool = False


@dataclass(frozen=True, kw_only=True)
class StopCommand:
    """End the task's command or tool; nobody wants to know what comes of it."""

    task: TaskId


@dataclass(frozen=True, kw_only=True)
class WaitForRetry:
    """Let so many seconds pass before the task's next attempt."""

    task: TaskId
    attempt: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ApplyPatches:
    """Apply the tasks' patches in order, the first onto a tip, and make each a commit; moves no ref."""

    tasks: tuple[TaskId, ...]
    onto: Tip


@dataclass(frozen=True, kw_only=True)
class JudgePatch:
    """Run the task's gates on its commit."""

    task: TaskId
    tip: Tip
    onto: Tip


@dataclass(frozen=True, kw_only=True)
class ForgetJudging:
    """Stop judging a commit that nobody wants any more."""

    commit: str


@dataclass(frozen=True, kw_only=True)
class MergeWorkstream:
    """See whether the workstream has landed; if not, merge it onto the target's head. Moves no ref."""

    workstream: WorkstreamId


@dataclass(frozen=True, kw_only=True)
class JudgeCandidate:
    """Run the workstream's gates on the merged result."""

    workstream: WorkstreamId
    candidate: Candidate


@dataclass(frozen=True, kw_only=True)
class LandCandidate:
    """Move the target by compare-and-swap; its intent is on record already."""

    workstream: WorkstreamId
    candidate: Candidate
    intent: str


@dataclass(frozen=True, kw_only=True)
class MoveWorkstreamRef:
    """Point the workstream's own ref at what is settled; all but the last move may be left out."""

    workstream: WorkstreamId
    commit: str
    is_last: bool = False


@dataclass(frozen=True, kw_only=True)
class KeepEvidence:
    """Write the quarantined patch with its reason where people look for it."""

    patch: PatchId
    reason: Reason


Effect = (
    TakePatch
    | RestorePatch
    | DoNothing
    | RunCommand
    | RunTool
    | WaitForTool
    | StopCommand
    | WaitForRetry
    | ApplyPatches
    | JudgePatch
    | ForgetJudging
    | MergeWorkstream
    | JudgeCandidate
    | LandCandidate
    | MoveWorkstreamRef
    | KeepEvidence
)


@dataclass(frozen=True, kw_only=True)
class Intention:
    """What is about to be done to the target, for the record: from ``old`` to ``new``.

    Args:
        commits: The commit of each patch that lands with it.
    """

    id: str
    workstream: WorkstreamId
    old: str
    new: str
    commits: Mapping[PatchId, str]


@dataclass(kw_only=True)
class Decision:
    """What one event brings about.

    Args:
        patches: New rows of the ledger with their diffs, written before the steps.
        steps: Transitions, in order, all in one transaction.
        intents: Intents to record in the same transaction.
        intents_landed: Intents that are fulfilled.
        intents_abandoned: Intents that came to nothing.
        answers: What came of requests.
        overrides: What people have decided, for the record.
        tool_runs: How tools ended.
        breakers: What that says about the tools' breakers.
        target: What the target's head is from now on, where it moved.
        guesses: Effects that leave no trace and may begin at once.
        effects: Effects that may begin only when the steps are durable.
    """

    patches: list[tuple[PatchRow, bytes]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    intents: list[Intention] = field(default_factory=list)
    intents_landed: list[str] = field(default_factory=list)
    intents_abandoned: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    overrides: list[HistoryEvent] = field(default_factory=list)
    tool_runs: list[ToolRun] = field(default_factory=list)
    breakers: list[BreakerChange] = field(default_factory=list)
    target: str | None = None
    guesses: list[Effect] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Tell whether anything is to be recorded."""
        return bool(self.steps) or self.has_rows

    @property
    def has_rows(self) -> bool:
        """Tell whether anything but transitions is to be recorded."""
        return self.target is not None or bool(
            self.patches
            or self.intents
            or self.intents_landed
            or self.intents_abandoned
            or self.answers
            or self.overrides
            or self.tool_runs
            or self.breakers
        )

    def __iadd__(self, other: "Decision") -> Self:
        """Append what another event brought about."""
        for mine, theirs in _pairs(self, other):
            mine.extend(theirs)
        self.target = other.target or self.target
        return self


def _pairs(one: Decision, other: Decision) -> Sequence[tuple[list[Any], list[Any]]]:
    return [
        (one.patches, other.patches),
        (one.steps, other.steps),
        (one.intents, other.intents),
        (one.intents_landed, other.intents_landed),
        (one.intents_abandoned, other.intents_abandoned),
        (one.answers, other.answers),
        (one.overrides, other.overrides),
        (one.tool_runs, other.tool_runs),
        (one.breakers, other.breakers),
        (one.guesses, other.guesses),
        (one.effects, other.effects),
    ]
