"""Changes that patches make elsewhere than they say, because a merge follows what was moved meanwhile.

A patch edits `a.txt`, the target has renamed it to `b.txt`: git makes the edit there. Policy has judged
`a.txt`. So it judges once more what each patch really changes on the target, and the merge stands where it
permits that.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from maingate.git.merge import MergeConflict, Rebased, pick_tree
from maingate.git.repository import Repository
from maingate.git.trees import TreeConflictError
from maingate.reasons import Reason
from maingate.uet.executor import Executor
from maingate.uet.step_values import Order


@dataclass(frozen=True, kw_only=True)
class Strayed:
    """A change that a patch makes on the target, part of it elsewhere than the patch says.

    Args:
        patch: The patch, by its id or by another name that its caller knows.
        before: The tree without the change.
        after: The tree with it.
        paths: The paths that the patch itself does not name.
    """

    patch: str
    before: str
    after: str
    paths: tuple[bytes, ...]


JudgeStrayed = Callable[[Strayed], Reason | None]
"""Returns why policy refuses a change; None where it permits it."""


def strayed_in_merge(
    repository: Repository,
    commits: Sequence[tuple[str, str]],
    *,
    own: tuple[str, str],
    merge: tuple[str, str],
) -> list[Strayed]:
    """List the changes of patches that a merge has taken elsewhere.

    Each patch is picked onto the target to learn what it changes there. Where that does not give the merged
    tree, every patch answers for all the paths that none of them names.

    Args:
        repository: The repository.
        commits: The patches with their commits, oldest first.
        own: The trees before and after their commits.
        merge: The trees before and after the merge.
    """
    paths = _unnamed(repository, own, merge)
    if not paths:
        return []
    picked = _picked(repository, commits, merge)
    if picked is not None:
        return picked
    try:
        after = repository.splice(merge[0], {path: repository.entry_at(merge[1], path) for path in paths})
    except TreeConflictError:  # a file and a folder change places: then they answer for all of the merge
        after = merge[1]
    every = tuple(sorted(paths))
    return [Strayed(patch=patch, before=merge[0], after=after, paths=every) for patch, _ in commits]


def strayed_in_rebase(
    repository: Repository, commits: Sequence[tuple[str, str]], moved: Rebased, *, onto: str
) -> list[Strayed]:
    """List the changes of patches that are made elsewhere since their commits were made again.

    Args:
        repository: The repository.
        commits: The patches with their commits, oldest first.
        moved: The commits made again.
        onto: Their new base, a commit.
    """
    found: list[Strayed] = []
    before, now = onto, dict(moved.commits)
    for patch, old in commits:
        new = now[old]
        if new not in (old, before):  # neither kept nor left out
            trees = repository.tree_of(before), repository.tree_of(new)
            found += _strayed(repository, patch, old, trees)
        before = new
    return found


def judged_by(executor: Executor, order_of: Callable[[str], Order], *, name: str) -> JudgeStrayed:
    """Return the judgement of strayed changes by the policy of the task of each patch.

    Args:
        executor: Checks changes against policy.
        order_of: Returns the task of a patch, and the policy that holds for it.
        name: The name of the workstream.
    """

    def judge(strayed: Strayed) -> Reason | None:
        return executor.judge_elsewhere(
            order_of(strayed.patch), strayed.before, strayed.after, strayed.paths, name=name
        )

    return judge


def refusal_of(found: Sequence[Strayed], judge: JudgeStrayed) -> Reason | None:
    """Return why the first of some changes is refused; None where policy permits them all."""
    return next((refusal for each in found if (refusal := judge(each)) is not None), None)


def _picked(
    repository: Repository, commits: Sequence[tuple[str, str]], merge: tuple[str, str]
) -> list[Strayed] | None:
    """Pick patches onto the target one by one; None where that does not give the merged tree."""
    found: list[Strayed] = []
    before, merged = merge
    for patch, commit in commits:
        tree = pick_tree(repository, commit, onto=before)
        if isinstance(tree, MergeConflict):
            return None
        found += _strayed(repository, patch, commit, (before, tree))
        before = tree
    return found if before == merged else None


def _strayed(repository: Repository, patch: str, commit: str, trees: tuple[str, str]) -> list[Strayed]:
    made = repository.read_commit(commit)
    before = repository.tree_of(made.parents[0]) if made.parents else None
    paths = _unnamed(repository, (before, made.tree), trees)
    if not paths:
        return []
    return [Strayed(patch=patch, before=trees[0], after=trees[1], paths=tuple(sorted(paths)))]


def _unnamed(
    repository: Repository, own: tuple[str | None, str], change: tuple[str, str]
) -> AbstractSet[bytes]:
    """Return the paths that one change has and the other has not."""
    return repository.changed_paths(*change).keys() - repository.changed_paths(*own).keys()
