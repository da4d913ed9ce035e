"""The outcome of a landing whose process was killed, by the branch itself: it happened, is owed, or neither.

The branch is the witness: a landing has happened exactly when its commit is in the history of the branch,
even if another process moved the branch since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from maingate.commits import LandingInput, LandingIntent
from maingate.git.repository import Repository


class Meant(Protocol):
    """An intent, in memory or on record, as far as it is compared with the branch."""

    @property
    def new(self) -> str:
        """The commit that the branch was to move to."""
        ...


AnyMeant = TypeVar("AnyMeant", bound=Meant)


@dataclass(frozen=True, kw_only=True)
class HasLanded:
    """A landing that happened: the branch has the commit of this intent."""

    intent: LandingIntent


@dataclass(frozen=True, kw_only=True)
class IsOwed:
    """A landing that has not happened and still can: the branch is where its last, open intent begins."""

    intent: LandingIntent


def outcome_of(repository: Repository, workstream: LandingInput, *, head: str) -> HasLanded | IsOwed | None:
    """Return what the branch says of the recorded intents to land a workstream; None when they are void.

    Args:
        repository: The repository of the branch.
        workstream: The workstream with its intents.
        head: The commit that the branch is at.
    """
    landed = newest_landed(repository, workstream.intents, head=head)
    if landed is not None:
        return HasLanded(intent=landed)
    last = workstream.intents[-1] if workstream.intents else None
    if (
        last is not None
        and last.id == workstream.open_intent
        and last.old == head
        and repository.has_object(last.new)
    ):
        return IsOwed(intent=last)
    return None


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
