"""Rules for the untracked paths that a plan keeps beside what a commit tracks.

Rules speak of paths; whether something there is tracked, and so follows the commit like all else, is known
from the commit alone.
"""

import fnmatch
import os
from collections.abc import Iterable, Sequence
from typing import Final

from maingate.git.trees import folders_of

_SUBMODULE: Final = b"160000 "


class KeepRules:
    """The untracked paths that a worktree keeps between jobs.

    Args:
        patterns: Globs. One without a slash means that name in any tracked folder, others are paths from the
            root of the tree.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        cleaned = [os.fsencode(pattern).strip(b"/") for pattern in patterns]
        self.patterns = tuple(pattern for pattern in cleaned if pattern)
        self._names = [pattern for pattern in self.patterns if b"/" not in pattern]
        self._paths = [pattern.split(b"/") for pattern in self.patterns if b"/" in pattern]

    def keeps(self, path: bytes) -> bool:
        """Return whether a path, relative to the tree, is kept with all it holds."""
        if not self.patterns:
            return False
        parts = path.split(b"/")
        return any(fnmatch.fnmatchcase(parts[-1], name) for name in self._names) or any(
            len(parts) == len(wanted) and _match(parts, wanted) for wanted in self._paths
        )

    def keeps_below(self, path: bytes) -> bool:
        """Return whether something in the folder at a path could be kept."""
        parts = path.split(b"/")
        return any(len(parts) < len(wanted) and _match(parts, wanted) for wanted in self._paths)

    def among(self, listed: Iterable[bytes]) -> list[bytes]:
        """Return the lines of ``git ls-tree -r`` whose paths lie at, below or in the way of kept paths."""
        known: dict[bytes, bool] = {b"": False}
        return [line for line in listed if self._concerns(line.partition(b"\t")[2], known)]

    def _concerns(self, path: bytes, known: dict[bytes, bool]) -> bool:
        folder = path.rpartition(b"/")[0]
        return self._is_inside(folder, known) or self.keeps(path) or self.keeps_below(path)

    def _is_inside(self, folder: bytes, known: dict[bytes, bool]) -> bool:
        """Return whether a folder is kept, or in one that is; answers are cached."""
        found = known.get(folder)
        if found is None:
            found = known[folder] = self._is_inside(folder.rpartition(b"/")[0], known) or self.keeps(folder)
        return found


def folders_listed(lines: Iterable[bytes]) -> frozenset[bytes]:
    """Return the folders of a commit, submodules among them, from lines of ``git ls-tree -r``."""
    paths, submodules = [], set()
    for line in lines:
        entry, _, path = line.partition(b"\t")
        paths.append(path)
        if entry.startswith(_SUBMODULE):
            submodules.add(path)
    return frozenset(folders_of(paths) | submodules)


def _match(parts: Sequence[bytes], wanted: Sequence[bytes]) -> bool:
    return all(fnmatch.fnmatchcase(part, glob) for part, glob in zip(parts, wanted, strict=False))
