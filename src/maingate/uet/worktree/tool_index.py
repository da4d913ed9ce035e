"""The index that a tool leaves in its clone, which knows of files what the work tree does not show.

A file may be absent because the tool looks at a part of the tree only (git-sparse-checkout), be tracked
though rules ignore it (`git add --force`), be tracked no more though it is there (`git rm --cached`), or have
a conflict that is not resolved. A commit of the tool's goes by that, so a patch does, too.

The index is the tool's: git reads a copy of it as data, in a git directory that the tool has never seen, and
no more than names and marks are taken from it. Standard library and few modules of ``uet`` only: a UET worker
process imports this.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.uet.worktree.clone_tips import content_of_ref

_MOST_BYTES: Final = 256 * 1024 * 1024
_SKIPPED: Final = frozenset({b"S", b"s"})
_UNMERGED: Final = frozenset({b"M", b"m"})
_BEGIN: Final = b"<<<<<<< "
_END: Final = b">>>>>>> "


@dataclass(frozen=True, kw_only=True)
class ToolIndex:
    """The names in an index.

    Args:
        tracked: All of them.
        out_of_sight: The files that are not to be in the work tree.
        unmerged: The files with a conflict that is not marked as resolved.
    """

    tracked: frozenset[bytes]
    out_of_sight: frozenset[bytes] = frozenset()
    unmerged: frozenset[bytes] = frozenset()


def read_tool_index(tree: Path, git_dir: Path, git: Callable[..., bytes]) -> ToolIndex | None:
    """Read the index of a tool's clone; None where it has none, or none that git can read.

    Args:
        tree: The work tree, with the clone.
        git_dir: The directory that a copy is put into.
        git: Runs git there.
    """
    content = content_of_ref(os.fsencode(tree), b".git", b"index", limit=_MOST_BYTES)
    if not content:
        return None
    copy = git_dir / "index-of-tool"
    copy.write_bytes(content)
    try:
        listed = git("ls-files", "-v", "-z", env={"GIT_INDEX_FILE": str(copy)})
    except GitError:  # it is damaged, or needs another file of the clone
        return None
    marked = [(entry[:1], entry[2:]) for entry in listed.split(b"\0")[:-1]]
    return None if not marked else _index_of(marked)


def _index_of(marked: Iterable[tuple[bytes, bytes]]) -> ToolIndex:
    entries = list(marked)
    return ToolIndex(
        tracked=frozenset(path for _, path in entries),
        out_of_sight=frozenset(path for mark, path in entries if mark in _SKIPPED),
        unmerged=frozenset(path for mark, path in entries if mark in _UNMERGED),
    )


def has_conflict(top: bytes, path: bytes) -> bool:
    """Return whether a file has the markers of a conflict in it."""
    lines = content_of_ref(top, path, limit=_MOST_BYTES).split(b"\n")
    return any(line.startswith(_BEGIN) for line in lines) and any(line.startswith(_END) for line in lines)
