"""Renames of branches, as git notes them in the reflog of a branch (`git branch -m`)."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_RENAMED: Final = re.compile(
    rb"> (?P<at>\d+) [+-]\d{4}\tBranch: renamed (?P<old>refs/heads/\S+) to (?P<new>refs/heads/\S+)$",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class BranchRename:
    """A rename of a branch.

    Args:
        old: Its full name before.
        new: Its full name since.
        at: The time, in whole seconds.
    """

    old: str
    new: str
    at: datetime


def renames_of_branches(git_dir: Path) -> list[BranchRename]:
    """Read the renames of the branches that are there, the oldest first; none where git keeps no reflogs.

    Args:
        git_dir: The common git directory.
    """
    return sorted(_read(git_dir / "logs" / "refs" / "heads"), key=lambda each: each.at)


def name_now(
    name: str, since: datetime, renames: Sequence[BranchRename], branches: Collection[str]
) -> str | None:
    """Return the full name that a branch has now; None where it is gone.

    Args:
        name: The name that it had.
        since: The time at which it had it.
        renames: The renames, the oldest first.
        branches: The branches that are there.
    """
    while name not in branches:
        begun = since.replace(microsecond=0)
        found = next((each for each in renames if each.old == name and each.at >= begun), None)
        if found is None:
            return None
        renames = renames[renames.index(found) + 1 :]
        name, since = found.new, found.at
    return name


def _read(folder: Path) -> Iterator[BranchRename]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                log = Path(place, name).read_bytes()
            except FileNotFoundError:  # the branch has been deleted meanwhile
                continue
            for found in _RENAMED.finditer(log):
                yield BranchRename(
                    old=os.fsdecode(found["old"]),
                    new=os.fsdecode(found["new"]),
                    at=datetime.fromtimestamp(int(found["at"]), UTC),
                )
