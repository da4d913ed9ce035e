"""Effects: the work that the core asks the shell for, as plain values.

The shell carries each effect out and answers with exactly one event (`maingate.orchestrator.core.events`).
An effect brings all that it needs as values (`maingate.orchestrator.core.effect_inputs`), because it is
carried out in another thread while the core changes its nodes.
"""

from dataclasses import dataclass

from maingate.commits import Candidate, LandingInput, Tip
from maingate.ids import PatchId, TaskId, WorkstreamId
from maingate.orchestrator.core.effect_inputs import PatchInput, RetryInput, TaskInput
from maingate.plan.choices import LandingStyle
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
    """Run the task's gates on ``tip``, its patch applied to ``onto``, in a workstream that has a base.

    Args:
        failures: How often a gate must fail before that counts; where it is 0, known failures do. None for
            as often as the settings say.
    """

    input: TaskInput
    patch: PatchId | None
    gates: tuple[str, ...]
    tip: Tip
    onto: Tip
    base: Tip
    failures: int | None = None

    @property
    def task(self) -> TaskId:
        """The task."""
        return self.input.id


@dataclass(frozen=True, kw_only=True)
class StopJudging:
    """Stop the gates on a commit that is not needed any more."""

    commit: str


@dataclass(frozen=True, kw_only=True)
class LookAtTarget:
    """Read the target's head, and which workstreams an earlier process has landed.

    Args:
        look: Identifier of this look.
        meant: The workstreams that were to land, with their intents.
        is_held: Whether this process holds the target, so that checkouts may be brought along.
    """

    look: str
    meant: tuple[LandingInput, ...]
    is_held: bool = True


@dataclass(frozen=True, kw_only=True)
class ChainLink:
    """A workstream that is merged onto those before it in a chain.

    Args:
        input: The workstream.
        style: How its run lands.
        is_sealed: Whether its commit is sealed before it is judged.
        made: Its candidate on another commit with the tree of the one before it; None without one.
    """

    input: LandingInput
    style: LandingStyle
    is_sealed: bool
    made: Candidate | None = None


@dataclass(frozen=True, kw_only=True)
class BuildChain:
    """Merge workstreams onto one another, the first onto ``onto``; moves no ref.

    Args:
        build: Identifier of this building.
        onto: The commit that the first is merged onto.
        links: The workstreams.
        before: The commits from the target's head up to ``onto``, and the workstream that each came from: a
            conflict is one with the first of them that it occurs with.
    """

    build: str
    onto: Tip
    links: tuple[ChainLink, ...]
    before: tuple[tuple[WorkstreamId | None, Tip], ...]

    @property
    def workstreams(self) -> tuple[WorkstreamId, ...]:
        """The workstreams."""
        return tuple(link.input.workstream for link in self.links)


@dataclass(frozen=True, kw_only=True)
class CommitInside:
    """A commit that lands before the last one of a merged result, and has to pass by itself.

    Args:
        label: Name of it for people.
        tip: The commit.
        gates: Its gates.
    """

    label: str
    tip: Tip
    gates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class JudgeChain:
    """Run gates on the merged result of workstreams, each once.

    Args:
        run: Identifier of this run of gates.
        workstreams: The workstreams, in order; none for the target itself.
        asked_for: The workstream whose landing it decides: the last, or the one that is to be put on it.
        label: Name of the merged result for people.
        gates: The gates.
        tip: The merged result.
        inside: Commits before it that are to be judged as well.
        is_asked_again: Whether the gates are to run although their answers are known.
        is_urgent: Whether it goes before what is only tested ahead.
    """

    run: str
    workstreams: tuple[WorkstreamId, ...]
    asked_for: WorkstreamId
    label: str
    gates: tuple[str, ...]
    tip: Tip
    inside: tuple[CommitInside, ...] = ()
    is_asked_again: bool = False
    is_urgent: bool = True


@dataclass(frozen=True, kw_only=True)
class SealCar:
    """Make the commits of a car again, each with the ledger's seal and on the one before it.

    Args:
        car: Identifier of the car.
        workstreams: The workstreams that it lands.
        candidates: The candidate of each, with whether it is sealed already.
    """

    car: str
    workstreams: tuple[WorkstreamId, ...]
    candidates: tuple[tuple[Candidate, bool], ...]


@dataclass(frozen=True, kw_only=True)
class CarMember:
    """A workstream that lands together with others.

    Args:
        candidate: Its candidate, on that of the member before it.
        intent: The intent on record to land it.
    """

    workstream: WorkstreamId
    name: str
    candidate: Candidate
    intent: str


@dataclass(frozen=True, kw_only=True)
class LandCar:
    """Move the target to the last candidate by compare-and-swap; the intents are recorded already."""

    car: str
    members: tuple[CarMember, ...]

    @property
    def workstreams(self) -> tuple[WorkstreamId, ...]:
        """The workstreams that land."""
        return tuple(member.workstream for member in self.members)


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
    | LookAtTarget
    | BuildChain
    | JudgeChain
    | SealCar
    | LandCar
    | MoveWorkstreamRef
    | KeepEvidence
)
