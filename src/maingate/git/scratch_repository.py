"""A repository for trials: it reads a repository's objects, and writes its own to a place that is removed.

A trial makes trees and commits that are used only for it. In the repository itself those objects would stay
until git collects them, and every trial would add some. Here they go to memory where the machine allows, and
they end with the trial; those of a killed process are removed with its other leftovers (`git.private_git`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.git.merge_rules import MergeRules
from maingate.git.private_git import own_directory
from maingate.git.repository import Repository

_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlooseCompression = 0\n"
_BORROWED: Final = "borrowed"
"""The link to the repository's objects; in `alternates` its path needs no quoting, whatever that one's is."""


class _ScratchRepository(Repository):
    """The repository for trials, which merges by the rules of the one that it is over."""

    def __init__(self, place: Path, around: Repository) -> None:
        super().__init__(opened_at=place, git_dir=place, root=around.root, is_bare=True)
        self._around = around

    def read_merge_rules(self) -> MergeRules:
        self._merge_rules = self._around.merge_rules
        return self._merge_rules


@contextmanager
def scratch_over(repository: Repository) -> Iterator[Repository]:
    """Open a repository with the objects of another; objects written to it are removed afterwards.

    It has no refs: commits are named by their ids.

    Raises:
        GitError: It could not be made.
    """
    with own_directory() as place:
        try:
            _make(place, repository.git_dir)
        except OSError as error:
            raise GitError(f"no place for a trial could be made: {error}; is the disk full?") from error
        with _ScratchRepository(place, repository) as scratch:
            yield scratch


def _make(place: Path, git_dir: Path) -> None:
    (place / "HEAD").write_text("ref: refs/heads/none\n")
    (place / "config").write_text(_CONFIG)
    (place / "refs").mkdir()
    (place / "objects" / "info").mkdir(parents=True)
    (place / _BORROWED).symlink_to(git_dir / "objects", target_is_directory=True)
    (place / "objects" / "info" / "alternates").write_text(f"{os.fspath(place / _BORROWED)}\n")
    if (git_dir / "shallow").is_file():
        (place / "shallow").symlink_to(git_dir / "shallow")
