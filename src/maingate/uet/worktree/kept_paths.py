"""Find the paths of a worktree that are kept and not tracked."""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH118

import os
from collections.abc import Collection, Iterator
from functools import partial
from typing import Final

from maingate.git.trees import folders_of
from maingate.system.removal import forced
from maingate.uet.worktree.keep_rules import KeepRules

_GIT: Final = b".git"


def kept_paths(tree: bytes, rules: KeepRules, tracked: Collection[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Return what is kept, each folder before what is in it, and whether it is one of the checkout's own.

    Folders that lead to what is kept are among them. Links are not followed.

    Args:
        tree: The worktree.
        rules: The paths that are kept.
        tracked: The paths that the commit in the tree tracks, submodules among them.

    Raises:
        OSError: A folder cannot be read.
    """
    own = folders_of(tracked) | set(tracked)
    told: set[bytes] = set()
    waiting = [(b"", False)]
    while waiting:
        folder, is_kept = waiting.pop()
        for name, is_folder in _entries(os.path.join(tree, folder)):
            path = folder + b"/" + name if folder else name
            if path == _GIT:
                continue
            is_kept_here = is_kept or rules.keeps(path)
            if is_kept_here and (is_folder or path not in own):
                for leading in _leading(path):
                    if leading not in told:
                        told.add(leading)
                        yield leading, leading in own
            if is_folder and (is_kept_here or path in own or rules.keeps_below(path)):
                waiting.append((path, is_kept_here))


def _leading(path: bytes) -> list[bytes]:
    """Return the folders that lead to a path, outermost first, and the path."""
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _entries(folder: bytes) -> list[tuple[bytes, bool]]:
    listed = forced(partial(_list, folder), folder)
    return [(name, is_folder) for name, is_folder in listed]


def _list(folder: bytes) -> list[tuple[bytes, bool]]:
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
