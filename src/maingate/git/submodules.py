"""The places of the submodules of a tree."""

import os
import re
from typing import Final

from maingate.git.gitmodules import configured_paths
from maingate.git.objects import ObjectStore

_FILE: Final = b".gitmodules"
_LINK: Final = 0o160000
_GLOB: Final = re.compile(r"[*?\[]")


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
