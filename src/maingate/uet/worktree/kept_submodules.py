"""Submodules at kept paths: each gets its git directory into its own folder, so that it outlasts the job.

`git submodule update --init` puts the git directory of a submodule into that of the clone around it, which is
made anew for every job. In the folder of the submodule, where git looks for it as well, it is kept with
all else there.
"""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH104, PTH118, PTH120, PTH123

import os
import re
from collections.abc import Collection
from typing import Final

from maingate.system.removal import remove
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.kept_paths import kept_paths
from maingate.uet.worktree.nested_repositories import git_dir_of

_PLACE: Final = re.compile(rb"^[ \t]*worktree[ \t]*=.*\n?", re.MULTILINE)


def embed_submodules(tree: bytes, rules: KeepRules, tracked: Collection[bytes]) -> None:
    """Move the git directories of kept submodules into their folders, the innermost first.

    Args:
        tree: The worktree, in which nothing runs.
        rules: The paths that are kept.
        tracked: The paths that the commit in the tree tracks, submodules among them.

    Raises:
        OSError: One cannot be moved.
    """
    found = [os.path.dirname(path) for path, _ in kept_paths(tree, rules, tracked) if path.endswith(b"/.git")]
    for path in sorted(found, key=len, reverse=True):
        git_dir, pointer = git_dir_of(tree, path), os.path.join(tree, path, b".git")
        if git_dir is None or git_dir == pointer:
            continue
        config = os.path.join(git_dir, b"config")
        with open(config, "rb") as file:
            content = file.read()
        remove(config)
        with open(config, "xb") as file:
            file.write(_PLACE.sub(b"", content))
        remove(pointer)
        os.rename(git_dir, pointer)
