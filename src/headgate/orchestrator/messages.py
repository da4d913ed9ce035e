"""What the core hears (events) and what it asks for (effects): plain values, no behaviour.

An effect is carried out by the shell around the core and always comes back as exactly one event. Events name
what they are about and what they were computed on, so that one which comes too late is recognised and
ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from headgate.db.dao.patches import PatchRow
from headgate.db.transitions import Step
from headgate.ids import PatchId, TaskId, WorkstreamId
from headgate.orchestrator.lane import Judgement, Tip
from headgate.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a workstream would make of the target: a commit, and each patch's own commit on it."""

    onto: Tip
    tip: Tip
    commits: Mapping[PatchId, str]


# -- events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PatchTaken:
    """A task gave a patch: its row, its bytes, and either what was made of it or why it is refused."""

    task: TaskId
    patch: PatchRow
    diff: bytes
    material: Any = None
    refusal: Reason | None = None
    is_policy: bool = False


@dataclass(frozen=True, kw_only=True)
class NothingTaken:
    """A task gave no patch at all."""

    task: TaskId
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a patch applied, and the commit and tree that came out of it."""

    tip: Tip
    method: str
    notes: tuple[str, ...] = ()


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
    """The gates judged the merged result."""

    workstream: WorkstreamId
    candidate: Candidate
    judgement: Judgement


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
class CancelAsked:
    """Somebody wants the run to end now."""

    reason: Reason


Event = (
    PatchTaken
    | NothingTaken
    | PatchesApplied
    | PatchJudged
    | WorkstreamMerged
    | CandidateJudged
    | TargetLanded
    | TargetMoved
    | LandingObstructed
    | CancelAsked
)

# -- effects -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TakePatch:
    """Get the task's patch, parse it and hold it against policy."""

    task: TaskId


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
    """Merge the workstream onto the target's head as it is now; moves no ref."""

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
    """What is about to be done to the target, for the record: from ``old`` to ``new``, with these patches."""

    id: str
    workstream: WorkstreamId
    old: str
    new: str
    patches: tuple[PatchId, ...]


@dataclass(kw_only=True)
class Decision:
    """What one event brings about.

    Args:
        patches: New rows of the ledger with their diffs, written before the steps.
        steps: Transitions, in order, all in one transaction.
        intents: Intents to record in the same transaction.
        intents_landed: Intents that are fulfilled.
        intents_abandoned: Intents that came to nothing.
        target: What the target's head is from now on, where it moved.
        guesses: Effects that leave no trace and may begin at once.
        effects: Effects that may begin only when the steps are durable.
    """

    patches: list[tuple[PatchRow, bytes]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    intents: list[Intention] = field(default_factory=list)
    intents_landed: list[str] = field(default_factory=list)
    intents_abandoned: list[str] = field(default_factory=list)
    target: str | None = None
    guesses: list[Effect] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Tell whether anything is to be recorded."""
        return bool(
            self.patches or self.steps or self.intents or self.intents_landed or self.intents_abandoned
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
        (one.guesses, other.guesses),
        (one.effects, other.effects),
    ]
