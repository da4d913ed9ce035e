"""The outcome of a landing whose process was killed, by the branch itself: it has happened, or it has not.

The branch is the witness: a landing has happened exactly when its commit is in the history of the branch,
even if another process moved the branch since. One that has not is begun anew, on the branch as it is; the
verdicts on its tree are known still.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from maingate.git.repository import Repository


class Meant(Protocol):
    """An intent, in memory or on record, as far as it is compared with the branch."""

    @property
    def new(self) -> str:
        """The commit that the branch was to move to."""
        ...


AnyMeant = TypeVar("AnyMeant", bound=Meant)


def newest_landed(repository: Repository, meant: Sequence[AnyMeant], *, head: str) -> AnyMeant | None:
    """Return the newest of some intents whose commit is in the history of the branch; None without one.

    Args:
        repository: The repository of the branch.
        meant: Intents to move the branch, oldest first.
        head: The commit that the branch is at.
    """
    return next((each for each in reversed(meant) if contains(repository, each.new, head=head)), None)


def contains(repository: Repository, commit: str, *, head: str) -> bool:
    """Return whether a commit is in the history of the branch, at a head of it."""
    return repository.has_object(commit) and repository.is_ancestor(commit, head)
