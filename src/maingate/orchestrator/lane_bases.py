"""The commits that lanes are laid on, as a process finds them when it begins with a run.

The row of a workstream has the commit on which it began, and gets another one when its patches are recorded
as applied. Between, its lane may have been laid anew on a newer commit of the target
(`maingate.orchestrator.core.lane_renewal`); its patches tell on which.
"""

from collections.abc import Iterable, Iterator

from maingate.commits import Tip
from maingate.errors import MissingObjectError
from maingate.git.repository import Repository
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.reasons import ReasonCode
from maingate.state.patch_ledger import PatchState

_ON_RECORD = frozenset({PatchState.APPLIED, PatchState.VERIFIED})


def tip_of(repository: Repository, commit: str) -> Tip:
    """Return a commit with its tree; a missing commit fails only the items that need it."""
    try:
        return Tip(commit=commit, tree=repository.tree_of(commit))
    except MissingObjectError:
        return Tip(commit=commit, tree=commit)


def head_of(repository: Repository, target: str) -> Tip | None:
    """Return the head of a target; None where the branch is gone."""
    commit = repository.ref_value(target)
    return None if commit is None else tip_of(repository, commit)


def base_of(
    repository: Repository,
    workstream: WorkstreamNode,
    *,
    recorded: str,
    made_on: Iterable[str],
    head: Tip | None,
) -> str:
    """Return the commit that the lane of a workstream is laid on.

    Args:
        repository: The repository.
        workstream: The workstream.
        recorded: The commit in its row.
        made_on: The commits that its present patches were made on.
        head: The head of the target.
    """
    if not workstream.keeps_patches:
        return recorded
    for task in workstream.patch_tasks():
        patch = task.patch
        if patch is not None and patch.state in _ON_RECORD and patch.commit is not None:
            return _parent_of(repository, patch.commit) or recorded
    base, newest = recorded, None if head is None else _without_own(repository, workstream, head.commit)
    for commit in (*made_on, *_conflicting_heads(workstream)):
        fork = _fork(repository, commit, newest)
        if fork is not None and leads(repository, base, fork):
            base = fork
    return base


def _without_own(repository: Repository, workstream: WorkstreamNode, head: str) -> str:
    """Return the newest commit of a target before a workstream landed, on record or not."""
    return next(
        (intent.old for intent in workstream.intents if leads(repository, intent.new, head)),
        head,
    )


def _fork(repository: Repository, commit: str, head: str | None) -> str | None:
    """Return the commit of a target that another one is made on; None without one.

    A tool works on the patches before its own, so the other commit may be one of the lane.
    """
    if head is None or not (repository.has_object(commit) and repository.has_object(head)):
        return None
    return repository.merge_base(commit, head)


def _conflicting_heads(workstream: WorkstreamNode) -> Iterator[str]:
    """Yield the heads of the target on which tools are to make patches again."""
    for task in workstream.tasks:
        if (
            task.reason is not None
            and task.reason.code is ReasonCode.CONFLICT
            and "onto" in task.reason.detail
        ):
            yield str(task.reason.detail["onto"])


def _parent_of(repository: Repository, commit: str) -> str | None:
    if not repository.has_object(commit):
        return None
    parents = repository.read_commit(commit).parents
    return parents[0] if parents else None


def leads(repository: Repository, ancestor: str, commit: str) -> bool:
    """Return whether a commit has another in its history, as far as both are here."""
    are_here = repository.has_object(ancestor) and repository.has_object(commit)
    return are_here and repository.is_ancestor(ancestor, commit)
