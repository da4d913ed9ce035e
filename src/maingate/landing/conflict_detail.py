"""Particulars of a conflict with the target: the patch at fault, and what the target has in its place.

A tool that makes the patch again is told them (`maingate.tools.prompts`).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from maingate.commits import LandingInput, Tip
from maingate.git.merge import MergeConflict, merge_commits
from maingate.git.repository import Repository
from maingate.reasons import Reason

if TYPE_CHECKING:
    from maingate.git.command import Argument

MOST_BYTES: Final = 8 * 1024
"""Bytes of the beginning of the target's changes in a reason."""

_MOST_FILES: Final = 20
"""Files of which the changes are told."""

_PRINTED: Final = ("-r", "-p", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color")


def with_particulars(
    repository: Repository, landing: LandingInput, conflict: Reason, *, onto: Tip, target: str
) -> Reason:
    """Return the reason of a conflict with the first patch that conflicts, and the changes of the target.

    Args:
        repository: The repository.
        landing: The workstream.
        conflict: Why it cannot be merged onto the target.
        onto: The head of the target.
        target: Full name of the target.
    """
    detail: dict[str, Any] = {**conflict.detail, "changes": _changes(repository, landing, conflict, onto)}
    if "patch" not in detail:
        detail["patch"] = _first_in_conflict(repository, landing, onto, target)
    task = landing.tasks.get(detail["patch"])
    return replace(conflict, detail=detail if task is None else {**detail, "task": task})


def _first_in_conflict(repository: Repository, landing: LandingInput, onto: Tip, target: str) -> str | None:
    """Return the first patch with which the workstream cannot be merged any more."""
    for patch, commit in landing.commits:
        if isinstance(merge_commits(repository, ours=onto.commit, theirs=commit, into=target), MergeConflict):
            return patch
    return None


def _changes(repository: Repository, landing: LandingInput, conflict: Reason, onto: Tip) -> str:
    """Return the beginning of what the target has changed in the files since the workstream began."""
    base, head = landing.base.tree, onto.tree
    named = set(conflict.detail.get("paths", ()))
    changed = repository.changed_paths(base, head)
    paths = sorted(path for path in changed if path.decode(errors="backslashreplace") in named)
    if not paths:
        return ""
    words: list[Argument] = [
        "--literal-pathspecs",
        "diff-tree",
        *_PRINTED,
        base,
        head,
        "--",
        *paths[:_MOST_FILES],
    ]
    printed = repository.private_git_dir().git(*words).stdout
    text = printed[:MOST_BYTES].decode(errors="replace")
    left = len(printed) - MOST_BYTES
    return text if left <= 0 else f"{text}\n[… {left} more bytes]"
