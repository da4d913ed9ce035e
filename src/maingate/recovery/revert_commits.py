"""The commits of a rollback: they take landed patches back, newest first.

See docs/SPECIFICATION.md §2.5.

A workstream that is taken back whole is one revert: of its merge against the first parent, or of its squashed
commit. Else each patch is taken back by itself. Reverts are three-way merges in the object store: nothing is
checked out, and building them moves no ref.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from maingate.db.dao.patches import PatchRow
from maingate.errors import RepositoryError
from maingate.git.merge import MergeConflict, merge_commits, merge_trees
from maingate.git.own_commits import change_of
from maingate.git.repository import Repository
from maingate.git.reverted import was_taken_back
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.landed_workstreams import LandedWorkstream
from maingate.wording import listed

OWN_COMMIT: Final = "Maingate-Patch"
"""The trailer by which a commit says which patch it is."""

_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class Undo:
    """One change to take back.

    Args:
        patches: The patches that it holds.
        label: Its name for people.
        commit: The commit that brought it to the target.
        after: The tree with it.
        before: The tree without it.
        is_whole: Whether it is all that the commit brought.
    """

    patches: tuple[str, ...]
    label: str
    commit: str
    after: str
    before: str
    is_whole: bool = True


@dataclass(frozen=True, kw_only=True)
class Reverted:
    """The result of a rollback, ready to land.

    Args:
        old: The target's head that it is built on.
        new: The commit to move the target to; ``old`` when there is nothing left to take back.
        tree: The tree of ``new``.
        commits: The commit that takes each patch back, by patch; empty for one that is gone already.
    """

    old: str
    new: str
    tree: str
    commits: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class CommitWording:
    """The text of the commits of a rollback.

    Args:
        rollback_id: Its identifier, for the trailers.
        label: The name of the rolled back patches, for people.
        reason: Why.
        style: How the run lands.
    """

    rollback_id: str
    label: str
    reason: str
    style: LandingStyle


def undos(repository: Repository, streams: Iterable[LandedWorkstream], wanted: set[str]) -> list[Undo]:
    """List the changes to take back, newest first.

    Args:
        repository: Where the commits are.
        streams: The workstreams that hold the wanted patches.
        wanted: The patches to take back.

    Raises:
        RepositoryError: A commit that is needed is gone from the repository.
    """
    newest_first = sorted(streams, key=_landed_at, reverse=True)
    return [undo for stream in newest_first for undo in _undos_of(repository, stream, wanted)]


def build(
    repository: Repository, changes: Sequence[Undo], wording: CommitWording, *, head: str, at: datetime
) -> Reverted | Reason:
    """Build the commits that take changes back on a head of the target.

    Args:
        repository: The repository that commits are written to.
        changes: The changes to take back, newest first.
        wording: The text of the commits.
        head: The target's head.
        at: The time to stamp commits with.

    Returns:
        The result, or the reason why one of the changes cannot be taken back any more.
    """
    tip, tree = head, repository.tree_of(head)
    commits: dict[str, str] = {}
    for undo in changes:
        made = ""
        merged = merge_trees(repository, base=undo.after, ours=tree, theirs=undo.before)
        if isinstance(merged, MergeConflict):
            if not was_taken_back(
                repository, before=undo.before, after=undo.after, since=undo.commit, head=head
            ):
                return _conflict(undo, merged.paths, head)
        elif merged != tree:
            message = _message(repository, undo, wording)
            made = tip = repository.commit(
                tree=merged, parents=[tip], message=message, date=at, trailers=_trailers(undo, wording)
            )
            tree = merged
        commits.update(dict.fromkeys(undo.patches, made))
    built = Reverted(old=head, new=tip, tree=tree, commits=commits)
    return _together(repository, built, wording, at)


def _together(repository: Repository, built: Reverted, wording: CommitWording, at: datetime) -> Reverted:
    """Join several reverts into one step of the branch: it never has a state that no gate has seen."""
    made = list(dict.fromkeys(commit for commit in built.commits.values() if commit))
    if len(made) < 2 or wording.style is LandingStyle.REBASE:  # noqa: PLR2004 - a single revert is one step
        return built
    is_squash = wording.style is LandingStyle.SQUASH
    subjects = "\n".join(f"* {_subject(repository, commit)}" for commit in made)
    new = repository.commit(
        tree=built.tree,
        parents=[built.old] if is_squash else [built.old, built.new],
        message=f"Roll back {wording.label}\n\n{wording.reason}\n\n{subjects}",
        date=at,
        trailers=[("Maingate-Rollback", wording.rollback_id)],
    )
    commits = built.commits
    if is_squash:
        commits = {patch: new if commit else "" for patch, commit in commits.items()}
    return Reverted(old=built.old, new=new, tree=built.tree, commits=commits)


# -- what there is to take back ------------------------------------------------------------------------------


def _undos_of(repository: Repository, stream: LandedWorkstream, wanted: set[str]) -> list[Undo]:
    mine = [patch for patch in stream.patches if patch.id in wanted]
    landed = stream.row.landed_commit
    is_whole = len(mine) == len(stream.patches)
    if landed is not None and is_whole and stream.landing is not LandingStyle.REBASE:
        return [_whole(repository, landed, tuple(patch.id for patch in mine), stream.row.name)]
    if stream.landing is LandingStyle.SQUASH:
        return _parts(repository, stream, {patch.id for patch in mine})
    return [_own(repository, patch, stream) for patch in reversed(mine)]


def _whole(repository: Repository, commit: str, patches: tuple[str, ...], label: str) -> Undo:
    """Return the undoing of all that a commit changed against its first parent."""
    _require(repository, commit, label)
    parents = repository.read_commit(commit).parents
    if not parents:
        raise RepositoryError(f"{commit} has no parent, so it cannot be reverted")
    before, after = repository.tree_of(parents[0]), repository.tree_of(commit)
    return Undo(patches=patches, label=label, commit=commit, after=after, before=before)


def _own(repository: Repository, patch: PatchRow, stream: LandedWorkstream) -> Undo:
    """Return the undoing of a patch with a commit of its own; it has none when nothing was left of it."""
    label = stream.label_of(patch)
    commit = patch.commit or ""
    _require(repository, commit, label)
    if stream.has_own_commit(patch):
        return _as_it_was(repository, patch, stream)
    if f"{OWN_COMMIT}: {patch.id}".encode() not in repository.read_commit(commit).message.split(b"\n"):
        tree = repository.tree_of(commit)
        return Undo(patches=(patch.id,), label=label, commit=commit, after=tree, before=tree)
    return _whole(repository, commit, (patch.id,), label)


def _as_it_was(repository: Repository, patch: PatchRow, stream: LandedWorkstream) -> Undo:
    """Return the undoing of a patch that landed as the commit that it is of.

    Of a merge with the target, only its own part is taken back: the rest was on the target before.
    """
    commit, label = patch.commit or "", stream.label_of(patch)
    before, after = change_of(repository, commit)
    landed = repository.read_commit(stream.row.landed_commit or "")
    own, *others = repository.read_commit(commit).parents
    if any(repository.is_ancestor(other, landed.parents[0]) for other in others):
        merged = merge_commits(repository, ours=own, theirs=others[0]) if len(others) == 1 else None
        if merged is None or isinstance(merged, MergeConflict):
            raise RepositoryError(
                f"{label} cannot be reverted by itself: {commit} is a merge with what was on the target "
                "already; roll back the whole workstream"
            )
        before = merged
    return Undo(patches=(patch.id,), label=label, commit=commit, after=after, before=before)


def _parts(repository: Repository, stream: LandedWorkstream, wanted: set[str]) -> list[Undo]:
    """Return the undoings of patches of a squashed commit, by their trees on the workstream's own ref."""
    base = stream.row.base_commit or ""
    _require(repository, base, stream.row.name)
    trees = [repository.tree_of(base), *(patch.tree or "" for patch in stream.patches)]
    found = []
    for patch, (before, after) in zip(stream.patches, pairwise(trees), strict=True):
        if patch.id not in wanted:
            continue
        label = stream.label_of(patch)
        for tree in (before, after):
            _require(repository, tree, label)
        found.append(
            Undo(
                patches=(patch.id,),
                label=label,
                commit=patch.commit or "",
                after=after,
                before=before,
                is_whole=False,
            )
        )
    return found[::-1]


def _require(repository: Repository, object_id: str, label: str) -> None:
    if not object_id or not repository.has_object(object_id):
        raise RepositoryError(
            f"{label} cannot be reverted: {object_id or 'its commit'} is no longer in the repository; "
            "fetch it, or roll back the whole workstream"
        )


def _landed_at(stream: LandedWorkstream) -> tuple[datetime, str]:
    times = [patch.committed_at for patch in stream.patches if patch.committed_at is not None]
    return max(times), stream.row.id


# -- words ---------------------------------------------------------------------------------------------------


def _message(repository: Repository, undo: Undo, wording: CommitWording) -> bytes:
    subject = _subject(repository, undo.commit)
    if not undo.is_whole:
        what = f"This takes {undo.label} out of commit {undo.commit}."
        return f"Take {undo.label} back\n\n{wording.reason}\n\n{what}".encode(errors="surrogateescape")
    parents = repository.read_commit(undo.commit).parents
    reversing = f", reversing changes\nmade to {parents[0]}" if len(parents) > 1 else ""
    what = f"This reverts commit {undo.commit}{reversing}."
    return f'Revert "{subject}"\n\n{wording.reason}\n\n{what}'.encode(errors="surrogateescape")


def _subject(repository: Repository, commit: str) -> str:
    message = repository.read_commit(commit).message
    return message.split(b"\n", 1)[0].decode(errors="surrogateescape") or "(no subject)"


def _trailers(undo: Undo, wording: CommitWording) -> list[tuple[str, str]]:
    return [
        ("Maingate-Rollback", wording.rollback_id),
        *(("Maingate-Reverts", patch) for patch in undo.patches),
    ]


def _conflict(undo: Undo, paths: Sequence[bytes], head: str) -> Reason:
    names = [path.decode(errors="backslashreplace") for path in paths]
    return Reason(
        code=ReasonCode.CONFLICT,
        message=f"{undo.label} cannot be reverted: later commits changed the same lines in "
        f"{listed(names, _SHOWN)}; roll those back first, or revert it by hand",
        detail={"paths": names, "onto": head, "commit": undo.commit, "patches": list(undo.patches)},
    )
