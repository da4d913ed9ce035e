"""Trial of a rollback: the reverts are built in a place that is removed, and nothing moves."""

from collections.abc import Iterator
from datetime import datetime

from maingate.errors import RepositoryError
from maingate.git.repository import Repository
from maingate.git.scratch_repository import scratch_over
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason
from maingate.recovery.landed_workstreams import LandedRun
from maingate.recovery.revert_commits import CommitWording, build, undos
from maingate.recovery.rollback_values import RollbackEnd, RollbackOutcome, RollbackRequest
from maingate.state.patch_ledger import PatchState


def try_rollback(
    repository: Repository, run: LandedRun, request: RollbackRequest, *, at: datetime
) -> RollbackOutcome:
    """Return the outcome that a rollback would have before its gates run.

    Args:
        repository: The repository.
        run: The run that landed the patches.
        request: The rollback; without patches, only commands are owed.
        at: The time to stamp commits with.

    Raises:
        UsageError: One of the patches is not on the target.
        RepositoryError: The target, or a commit that is needed, is gone.
    """
    ref = run.row.target_ref
    if (head := repository.ref_value(ref)) is None:
        raise RepositoryError(f"{ref} is gone; create it again, then roll back")
    notes = tuple(_commands(run, request))
    if not request.patches:
        return RollbackOutcome(end=RollbackEnd.PENDING, ref=ref, old=head, new=head, notes=notes)
    wording = CommitWording(
        rollback_id=request.id,
        label=request.label,
        reason=request.reason,
        style=LandingStyle(run.row.landing),
    )
    with scratch_over(repository) as scratch:
        changes = undos(scratch, run.holding(request.patches), set(request.patches))
        built = build(scratch, changes, wording, head=head, at=at)
    if isinstance(built, Reason):
        return RollbackOutcome(end=RollbackEnd.REFUSED, ref=ref, old=head, new=head, reason=built)
    return RollbackOutcome(
        end=RollbackEnd.PENDING,
        ref=ref,
        old=head,
        new=head,
        commits={patch: "" for patch, commit in built.commits.items() if not commit},
        gates=() if built.new == head else tuple(run.required_gates(request.patches)),
        notes=notes,
    )


def _commands(run: LandedRun, request: RollbackRequest) -> Iterator[str]:
    """Yield for each workstream of which nothing would be left the commands that would run then."""
    gone = {row.workstream_id for row in run.ledger if row.id in request.patches}
    left = {
        row.workstream_id
        for row in run.ledger
        if row.state is PatchState.COMMITTED and row.id not in request.patches
    }
    for row in run.workstreams:
        commands = len(run.plan.workstreams[row.name].on_rollback)
        if commands and row.id in gone - left:
            yield f"then the on_rollback commands of {row.name} run ({commands})"
