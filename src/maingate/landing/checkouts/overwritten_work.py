"""Work of people in a checkout that a patch, or a move of its branch, would overwrite: neither happens.

Two questions are answered here. Before any gate runs: a patch says itself which files it makes, and where one
of them is in a checkout of the target and is not tracked, that checkout could not follow, and all work on the
patch would be for nothing. So the patch is refused as soon as it is taken in and the policy has accepted it.
The plan as a whole is not: others need not wait for that file, and a patch that is refused anyway must not
keep a run from starting. And before a branch moves: which files of a person, tracked or not, are in its way.
"""

import errno
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maingate.git.repository import Repository
from maingate.git.trees import GitEntry
from maingate.landing.checkouts.prepared_files import paths_of
from maingate.landing.checkouts.working_trees import Checkout, checkouts_of
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode

if TYPE_CHECKING:
    from maingate.patches.intake import Intake

_SHOWN_OF_A_PATCH: Final = 5
_SHOWN_OF_A_MOVE: Final = 20
_SUBMODULE: Final = 0o160000

SeenCheckouts = tuple[str, Sequence[Checkout]]
"""The tree of a branch, and its checkouts that are there, as they were seen at one moment."""


def seen_now(repository: Repository, ref: str) -> SeenCheckouts:
    """Return the tree of a branch and its checkouts, for `refusal_of` many patches at one moment."""
    head = repository.ref_value(ref)
    if head is None:
        return "", ()
    return repository.tree_of(head), [each for each in checkouts_of(repository, ref) if each.is_there]


def refusal_of(repository: Repository, intake: "Intake", seen: SeenCheckouts) -> Reason | None:
    """Return the refusal of a patch that would overwrite untracked files of a checkout; else None.

    Args:
        repository: The repository.
        intake: The patch.
        seen: The branch that it is to land on.
    """
    tree, checkouts = seen
    for checkout in checkouts:
        blocked = list(in_the_way(repository, checkout.top, tree, _new_paths(repository, tree, intake)))
        if blocked:
            return _refusal(checkout, blocked)
    return None


def overwritten_files(
    repository: Repository,
    checkout: Checkout,
    tree: str,
    changed: Mapping[bytes, tuple[GitEntry | None, GitEntry | None]],
    theirs: Iterable[bytes],
) -> Iterator[str]:
    """Return the files of a person that a move of the branch would overwrite, as sentences.

    Args:
        repository: The repository that has the tree.
        checkout: The checkout, whose index is held.
        tree: The commit or tree of the tracked files.
        changed: The entries of each file that the move changes, before and after it.
        theirs: Those of the files that are neither as before nor as after the move.
    """
    found = sorted(theirs)
    new_ones = [path for path in found if changed[path][0] is None]
    in_way = list(in_the_way(repository, checkout.top, tree, new_ones))
    for name in paths_of(in_way[:_SHOWN_OF_A_MOVE]):
        yield f"{name} is not tracked and would be overwritten"
    edited = [path for path in found if path not in set(new_ones)]
    hidden = _hidden(checkout, edited[:_SHOWN_OF_A_MOVE])
    for path in edited[:_SHOWN_OF_A_MOVE]:
        yield f"{show_path(path)} has uncommitted changes{hidden.get(path, '')}"
    more = len(in_way[_SHOWN_OF_A_MOVE:]) + len(edited[_SHOWN_OF_A_MOVE:])
    if more:
        yield f"and {more} more files"
    if found:
        yield "commit, stash or move that away first"


def _hidden(checkout: Checkout, paths: Sequence[bytes]) -> dict[bytes, str]:
    """Return a remark, with a command, on each file whose changes `git status` does not show."""
    if not paths:
        return {}
    told = checkout.git("--literal-pathspecs", "ls-files", "-v", "-z", "--", *paths).stdout.split(b"\0")
    remarks = {}
    for record in told[:-1]:
        tag, path = record[:1], record[2:]
        marks = [
            *(["skip-worktree"] if tag in b"Ss" else ()),
            *(["assume-unchanged"] if tag.islower() else ()),
        ]
        if marks:
            undo = " ".join(f"--no-{mark}" for mark in marks)
            remarks[path] = (
                f" that `git status` does not show, since it is marked {' and '.join(marks)}"
                f" (`git update-index {undo} {shlex.quote(show_path(path))}`)"
            )
    return remarks


def in_the_way(repository: Repository, top: Path, tree: str, paths: Iterable[bytes]) -> Iterator[bytes]:
    """Return the untracked paths that new files would overwrite, or that keep them from being made.

    git itself would overwrite ignored files.

    Args:
        repository: The repository that has the tree.
        top: The top of the working tree.
        tree: The tree of the tracked files.
        paths: The new files.
    """
    for path in sorted(paths):
        yield from _untracked_at(repository, tree, top, path)


def _refusal(checkout: Checkout, blocked: list[bytes]) -> Reason:
    names = [show_path(path) for path in blocked]
    more = len(names[_SHOWN_OF_A_PATCH:])
    shown = ", ".join(names[:_SHOWN_OF_A_PATCH]) + (f" and {more} more" if more else "")
    return Reason(
        code=ReasonCode.CHECKOUT_BLOCKED,
        message=f"it would overwrite untracked files in {checkout.top}: {shown}; move them away, or "
        "commit them, then `maingate patch recover` tries again",
        detail={"checkout": str(checkout.top), "paths": names},
    )


def _new_paths(repository: Repository, tree: str, intake: "Intake") -> list[bytes]:
    """List the paths that will be written to; the files in a moved submodule stay, as with `git checkout`."""
    return [
        change.new_path
        for change in intake.files
        if change.new_path is not None
        and not (change.new_mode in {None, _SUBMODULE} and _is_submodule(repository, tree, change.new_path))
    ]


def _is_submodule(repository: Repository, tree: str, path: bytes) -> bool:
    entry = repository.entry_at(tree, path)
    return entry is not None and entry.mode == _SUBMODULE


def _untracked_at(repository: Repository, tree: str, worktree: Path, path: bytes) -> Iterator[bytes]:
    parts = path.split(b"/")
    top = os.fsencode(worktree)
    for length in range(1, len(parts) + 1):
        prefix = b"/".join(parts[:length])
        mode = _mode_of(os.path.join(top, prefix))  # noqa: PTH118 - names are bytes
        if mode is None:
            return
        if not stat.S_ISDIR(mode):
            if repository.entry_at(tree, prefix) is None:
                yield prefix
            return
    yield from _untracked_below(repository, tree, top, path)


def _untracked_below(repository: Repository, tree: str, top: bytes, path: bytes) -> Iterator[bytes]:
    for directory, _, names in os.walk(os.path.join(top, path)):  # noqa: PTH118 - names are bytes
        for name in names:
            there = os.path.relpath(os.path.join(directory, name), top)  # noqa: PTH118 - names are bytes
            if repository.entry_at(tree, there) is None:
                yield there


def _mode_of(path: bytes) -> int | None:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # nothing can be there
            return None
        raise
