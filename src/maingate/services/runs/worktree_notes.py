"""Notes about what the worktrees of a run will lack: filters that are not configured, and submodules."""

import os
import re
from collections.abc import Iterator
from typing import Final

from maingate.errors import RepositoryError
from maingate.git.filter_drivers import read_drivers
from maingate.git.repository import Repository
from maingate.git.submodules import submodule_paths
from maingate.plan.choices import SubmoduleDepth
from maingate.plan.model import Plan
from maingate.wording import listed

_FILTER: Final = re.compile(rb"^[ \t]*[^#\s][^\n]*?[ \t]filter=([^\s]+)", re.MULTILINE)


def notes_on_worktrees(repository: Repository, plan: Plan) -> list[str]:
    """Return notes about the worktrees of a plan, by the files of its target's root."""
    try:
        tree = repository.tree_of(repository.resolve_target(plan.target).commit)
    except RepositoryError:  # the run says so itself
        return []
    return [*_of_filters(repository, tree), *_of_submodules(repository, tree, plan)]


def _of_filters(repository: Repository, tree: str) -> Iterator[str]:
    attributes = repository.blob_at(tree, b".gitattributes")
    asked = {os.fsdecode(name) for name in _FILTER.findall(attributes.data)} if attributes else set()
    if asked and (missing := asked - read_drivers(repository.git_dir, repository.root).drivers.keys()):
        names = listed(sorted(missing))
        yield (
            f".gitattributes asks for the filter {names}, which git's configuration does not have: gates see "
            "files as they are stored, and the patch of a tool that changes one is `filter_failed`"
        )


def _of_submodules(repository: Repository, tree: str, plan: Plan) -> Iterator[str]:
    if plan.submodules is not SubmoduleDepth.NONE or "submodule" in str(plan.prepare):
        return
    if paths := submodule_paths(repository, tree):
        yield (
            f"the submodules {listed(paths)} are empty in the worktrees of gates and tools "
            "(`submodules: recursive` checks them out)"
        )
