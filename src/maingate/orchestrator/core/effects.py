"""Effects: the work that the core asks the shell for, as plain values.

The shell carries each effect out and answers with exactly one event (`maingate.orchestrator.core.events`).
"""

from dataclasses import dataclass

from maingate.ids import PatchId, TaskId, WorkstreamId
from maingate.orchestrator.core.commits import Candidate, Tip
from maingate.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class TakePatch:
    """Read the task's patch, parse it, and check it against policy."""

    task: TaskId


@dataclass(frozen=True, kw_only=True)
class RestorePatch:
    """Read a patch of the record again; the process that took it in has exited."""

    task: TaskId


@dataclass(frozen=True, kw_only=True)
class RunNoop:
    """Complete a ``noop`` task: a point in the plan that other tasks need."""

    task: TaskId
    attempt: int


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Run the task's command on a worker, in a worktree of ``tip``."""

    task: TaskId
    attempt: int
    tip: Tip


@dataclass(frozen=True, kw_only=True)
class RunTool:
    """Run the task's tool on a worker, in a worktree of ``tip``, to produce a patch.

    Args:
        budget_usd: Maximum cost in dollars; None for no limit.
    """

    task: TaskId
    attempt: int
    tip: Tip
    budget_usd: float | None = None


@dataclass(frozen=True, kw_only=True)
class WaitForTool:
    """Start a timer of ``seconds`` for a paused tool.

    Args:
        of_breaker: True when the tool's breaker is open; False when its provider refuses for a while.
    """

    tool: str
    seconds: float
    of_breaker: bool = False


@dataclass(frozen=True, kw_only=True)
class StopCommand:
    """Stop the task's command or tool; its result is ignored."""

    task: TaskId


@dataclass(frozen=True, kw_only=True)
class WaitForRetry:
    """Start a timer of ``seconds`` for the task's next attempt."""

    task: TaskId
    attempt: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ApplyPatches:
    """Apply the tasks' patches in order, the first onto ``onto``, each as one commit; moves no ref."""

    tasks: tuple[TaskId, ...]
    onto: Tip


@dataclass(frozen=True, kw_only=True)
class JudgePatch:
    """Run the task's gates on ``tip``, its patch applied to ``onto``."""

    task: TaskId
    tip: Tip
    onto: Tip


@dataclass(frozen=True, kw_only=True)
class StopJudging:
    """Stop the gates on a commit that is not needed any more."""

    commit: str


@dataclass(frozen=True, kw_only=True)
class MergeWorkstream:
    """Check whether the workstream has landed; if not, merge it onto the target's head. Moves no ref."""

    workstream: WorkstreamId


@dataclass(frozen=True, kw_only=True)
class JudgeCandidate:
    """Run the workstream's gates on the merged result."""

    workstream: WorkstreamId
    candidate: Candidate


@dataclass(frozen=True, kw_only=True)
class LandCandidate:
    """Move the target to the candidate by compare-and-swap; the intent is recorded already."""

    workstream: WorkstreamId
    candidate: Candidate
    intent: str


@dataclass(frozen=True, kw_only=True)
class MoveWorkstreamRef:
    """Move the workstream's own ref to its settled commit; all moves but the last may be skipped."""

    workstream: WorkstreamId
    commit: str
    is_last: bool = False


@dataclass(frozen=True, kw_only=True)
class KeepEvidence:
    """Write the quarantined patch and its reason into the quarantine folder."""

    patch: PatchId
    reason: Reason


Effect = (
    TakePatch
    | RestorePatch
    | RunNoop
    | RunCommand
    | RunTool
    | WaitForTool
    | StopCommand
    | WaitForRetry
    | ApplyPatches
    | JudgePatch
    | StopJudging
    | MergeWorkstream
    | JudgeCandidate
    | LandCandidate
    | MoveWorkstreamRef
    | KeepEvidence
)
