"""The submodules of a tree: their places, and the command that checks them out."""

import os
import re
from typing import Final

from maingate.git.gitmodules import configured_paths
from maingate.git.objects import ObjectStore

_FILE: Final = b".gitmodules"
_LINK: Final = 0o160000
_GLOB: Final = re.compile(r"[*?\[]")
_BORROW: Final = (
    *("-c", "submodule.alternateLocation=superproject"),
    *("-c", "submodule.alternateErrorStrategy=info"),
)
"""Options by which a submodule borrows the objects that the person's own clone of it has."""
_UPDATE: Final = ("git", *_BORROW, "submodule", "--quiet", "update", "--init")


def submodule_paths(store: ObjectStore, tree: str) -> tuple[str, ...]:
    """Return the paths of the submodules that a tree has and configures, in the file's order."""
    blob = store.blob_at(tree, _FILE)
    if blob is None:
        return ()
    entries = ((path, store.entry_at(tree, path)) for path in configured_paths(blob.data))
    return tuple(os.fsdecode(path) for path, entry in entries if entry is not None and entry.mode == _LINK)


def as_globs(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return globs that match these paths and no others at their places."""
    return tuple(_GLOB.sub(lambda at: f"[{at[0]}]", path) for path in paths)


def update_command(depth: str) -> tuple[str, ...]:
    """Return the command that checks the submodules of a worktree out.

    Args:
        depth: ``shallow`` for those of the tree alone and only their newest commits, ``recursive`` for all of
            theirs too, with their histories.
    """
    return (*_UPDATE, "--depth=1") if depth == "shallow" else (*_UPDATE, "--recursive")
