"""Effects: the work that the core asks the shell for, as plain values.

The shell carries each effect out and answers with exactly one event (`maingate.orchestrator.core.events`).
An effect brings all that it needs as values (`maingate.orchestrator.core.effect_inputs`), because it is
carried out in another thread while the core changes its nodes.
"""

from dataclasses import dataclass

from maingate.commits import Candidate, LandingInput, Tip
from maingate.ids import PatchId, TaskId, WorkstreamId
from maingate.orchestrator.core.effect_inputs import PatchInput, RetryInput, TaskInput
from maingate.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class TakePatch:
    """Read the task's ready patch, parse it, and check it against policy.

    Args:
        file: The file of the patch.
        base: The commit that its workstream begins on.
        replaces: The patch of an earlier run that it stands for.
    """

    input: TaskInput
    file: str
    base: Tip
    replaces: str | None = None

    @property
    def task(self) -> TaskId:
        """The task."""
        return self.input.id


@dataclass(frozen=True, kw_only=True)
class RestorePatch:
    """Read a patch of the record again; the process that took it in has exited."""

    input: TaskInput
    patch: PatchId
    base: Tip

    @property
    def task(self) -> TaskId:
        """The task."""
        return self.input.id


@dataclass(frozen=True, kw_only=True)
class RunNoop:
    """Complete a ``noop`` task: a point in the plan that other tasks need."""

    task: TaskId
    attempt: int


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Run the task's command on a worker, in a worktree of ``tip``."""

    input: TaskInput
    attempt: int
    tip: Tip

    @property
    def task(self) -> TaskId:
        """The task."""
        return self.input.id


@dataclass(frozen=True, kw_only=True)
class RunTool:
    """Run the task's tool on a worker, in a worktree of ``tip``, to produce a patch.

    Args:
        request: The text that the tool is asked to act on.
        retry: The failure that the tool is told of, where this attempt follows one.
        replaces: The patch that the new one stands for.
        budget_usd: Maximum cost in dollars; None for no limit.
    """

    input: TaskInput
    attempt: int
    tip: Tip
    request: str
    retry: RetryInput | None = None
    replaces: str | None = None
    budget_usd: float | None = None

    @property
    def task(self) -> TaskId:
        """The task."""
        return self.input.id


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
    """Apply patches of one workstream in order, the first onto ``onto``, each as one commit; moves no ref."""

    patches: tuple[PatchInput, ...]
    onto: Tip

    @property
    def tasks(self) -> tuple[TaskId, ...]:
        """The tasks of the patches."""
        return tuple(each.task.id for each in self.patches)


@dataclass(frozen=True, kw_only=True)
class JudgePatch:
    """Run the task's gates on ``tip``, its patch applied to ``onto``, in a workstream that has a base."""

    input: TaskInput
    patch: PatchId | None
    gates: tuple[str, ...]
    tip: Tip
    onto: Tip
    base: Tip

    @property
    def task(self) -> TaskId:
        """The task."""
        return self.input.id


@dataclass(frozen=True, kw_only=True)
class StopJudging:
    """Stop the gates on a commit that is not needed any more."""

    commit: str


@dataclass(frozen=True, kw_only=True)
class MergeWorkstream:
    """Check whether the workstream has landed; if not, merge it onto the target's head. Moves no ref."""

    input: LandingInput

    @property
    def workstream(self) -> WorkstreamId:
        """The workstream."""
        return self.input.workstream


@dataclass(frozen=True, kw_only=True)
class JudgeCandidate:
    """Run the workstream's gates on the merged result."""

    workstream: WorkstreamId
    name: str
    gates: tuple[str, ...]
    candidate: Candidate


@dataclass(frozen=True, kw_only=True)
class LandCandidate:
    """Move the target to the candidate by compare-and-swap; the intent is recorded already."""

    workstream: WorkstreamId
    name: str
    candidate: Candidate
    intent: str


@dataclass(frozen=True, kw_only=True)
class MoveWorkstreamRef:
    """Move the workstream's own ref to its settled commit; all moves but the last may be skipped."""

    workstream: WorkstreamId
    ref: str
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
