"""The state of a person's checkout: uncommitted edits, and operations in progress."""

import os
from datetime import timedelta
from typing import Final

from maingate.git.trees import GitEntry
from maingate.landing.checkouts.prepared_files import new_stage
from maingate.landing.checkouts.working_trees import Checkout

IN_PROGRESS: Final = {
    "MERGE_HEAD": "a merge is in progress",
    "CHERRY_PICK_HEAD": "a cherry-pick is in progress",
    "REVERT_HEAD": "a revert is in progress",
    "rebase-merge": "a rebase is in progress",
    "rebase-apply": "a rebase or `git am` is in progress",
    "BISECT_LOG": "a bisection is in progress",
}
_SUBMODULE: Final = 0o160000
_SHOWN: Final = 20
_FILTER_TIME: Final = timedelta(minutes=1)
_STATUS: Final = (
    "status",
    "--porcelain=v1",
    "-z",
    "--no-renames",
    "--untracked-files=no",
    "--ignore-submodules=dirty",
)


def uncommitted_changes(checkout: Checkout) -> tuple[str, ...]:
    """List uncommitted changes of a working tree, and a merge or rebase in progress.

    Untracked files do not count, nor does a file that is byte for byte what git would check out: where its
    attributes contradict how it was stored, git calls it changed, and the change can be neither committed nor
    stashed. Nor does a submodule that is at another commit than the index says: no landing touches its files,
    and after one that moved it, to commit that would take the landing back.
    At most the first twenty changes are listed.

    Raises:
        GitError: git cannot look at it.
    """
    found = [said for name, said in IN_PROGRESS.items() if (checkout.git_dir / name).exists()]
    records = [record for record in checkout.git(*_STATUS).stdout.split(b"\0") if record]
    unstaged = [record[3:] for record in records if record[:3] == b" M "]
    unreal = _as_checked_out(checkout, unstaged)
    changed = [record[3:] for record in records if record[3:] not in unreal]
    filters = _filters(checkout, [path for path in changed[:_SHOWN] if path in unstaged])
    found += [
        f"{os.fsdecode(path)} has uncommitted changes{filters.get(path, '')}" for path in changed[:_SHOWN]
    ]
    if len(changed) > _SHOWN:
        found.append(f"and {len(changed) - _SHOWN} more files have uncommitted changes")
    return tuple(found)


def _as_checked_out(checkout: Checkout, paths: list[bytes]) -> set[bytes]:
    """Return those of some files that are unchanged although git calls them changed."""
    if not paths:
        return set()
    entries = _entries(checkout, paths)
    submodules = {path for path, entry in entries.items() if entry.mode == _SUBMODULE}
    files = {path: entry for path, entry in entries.items() if path not in submodules}
    return submodules | new_stage(checkout, _FILTER_TIME, "look").same_as_checked_out(files)


def _filters(checkout: Checkout, paths: list[bytes]) -> dict[bytes, str]:
    """Return a remark on each file that a filter writes: it may write different content each time."""
    if not paths:
        return {}
    told = checkout.git("check-attr", "-z", "filter", "--", *paths).stdout.split(b"\0")
    names = dict(zip(told[::3], map(os.fsdecode, told[2::3]), strict=False))
    return {
        path: f" (or its filter {name!r} does not write the same each time)"
        for path, name in names.items()
        if name not in {"unspecified", "set", "unset", ""}
    }


def _entries(checkout: Checkout, paths: list[bytes]) -> dict[bytes, GitEntry]:
    wanted, found = set(paths), {}
    for record in checkout.git("ls-files", "-s", "-z").stdout.split(b"\0"):
        facts, _, path = record.partition(b"\t")
        if path in wanted:
            mode, oid, _ = facts.split(b" ")
            found[path] = GitEntry(int(mode, 8), oid.decode())
    return found


def in_progress(checkout: Checkout) -> tuple[str, ...]:
    """List the operations that a person has begun in a checkout and not finished: a merge, a rebase."""
    return tuple(said for name, said in IN_PROGRESS.items() if (checkout.git_dir / name).exists())
