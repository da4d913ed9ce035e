"""Keys of finished work: names by which another attempt to land the same work is known.

A branch, and a range that has all that its branch brings, are the same work. Commits cannot tell it: a branch
that was refused is corrected, so that its commits are others.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from maingate.errors import RepositoryError
from maingate.git.repository import Repository, Target
from maingate.git.targets import BRANCHES, read_head, short_name

_RANGE: Final = re.compile(r"(?P<old>.*?)\.\.(?P<base>@(?!\{)|[^~^@{:\s]*)(?P<rest>.*)", re.DOTALL)
_HEAD: Final = frozenset({"", "HEAD", "@"})


def printable(ref: str) -> str:
    """Return the name of a ref as text, other bytes as escapes."""
    return os.fsencode(ref).decode(errors="backslashreplace")


def key_of_file(argument: str) -> str:
    """Return the key of a file or folder of patches: its place."""
    return printable(str(Path(argument).resolve()))


def key_of_range(
    argument: str, target: Target, repository: Repository, branches: Mapping[str, str]
) -> str | None:
    """Return the key of a range; None where its words name no range.

    Args:
        argument: The range, as it was given.
        target: The branch to land on, of this or of another repository.
        repository: The repository of the range.
        branches: The commit of each of its branches, by full name.
    """
    found = _RANGE.fullmatch(argument)
    if found is None:
        return None
    old, base, rest = found["old"], found["base"], found["rest"]
    if base in _HEAD:
        branch = read_head(repository.opened_at)
        if branch is None:
            return printable(f"{argument} in {repository.opened_at}")
    else:
        branch = next((ref for ref in (base, BRANCHES + base) if ref in branches), None)
        if branch is None:
            return printable(argument)
    last = printable(f"{branch}{rest}")
    return last if _begins_on(target, old, repository, branches) else printable(f"{old}..{last}")


def target_here(repository: Repository, target: Target) -> list[str]:
    """Return the target's newest commit if a repository has it, or what is known there of that branch."""
    if repository.has_object(target.commit):
        return [target.commit]
    name = short_name(target.ref)
    remotes = repository.refs_under("refs/remotes/")
    fetched = [commit for ref, commit in remotes.items() if ref.split("/", 3)[3:] == [name]]
    return fetched or list(repository.refs_under(BRANCHES + name).values())


def _begins_on(target: Target, old: str, repository: Repository, branches: Mapping[str, str]) -> bool:
    """Return whether a revision is in the history of the target, so that none of its branch is left out."""
    try:
        start = branches.get(BRANCHES + old) or repository.resolve_commit(old or "HEAD")
    except RepositoryError:  # the reading of the range tells it
        return False
    return any(repository.is_ancestor(start, commit) for commit in target_here(repository, target))
