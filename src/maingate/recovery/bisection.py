"""Finding the patch that turned a gate red: by what is known, then by halving what is left.

See docs/SPECIFICATION.md §2.3.

The points of a search are states of the target, oldest first. A landing that turns out to be the first red
one is looked into: its patches are put on what it landed on, one after the other.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from maingate.git.merge import MergeConflict, merge_trees
from maingate.git.repository import Repository
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason
from maingate.recovery.landed_workstreams import LandedWorkstream

Ask = Callable[[int], Awaitable[bool]]
"""Tells whether the gate passes at a point."""

_TWO: Final = 2


@dataclass(frozen=True, kw_only=True)
class Point:
    """A state of the target.

    Args:
        commit: A commit with that state.
        tree: Its tree.
        patch: The patch that made it out of the point before; None where it is none alone.
    """

    commit: str
    tree: str
    patch: str | None = None


@dataclass(kw_only=True)
class Search:
    """A search and its result.

    Args:
        gate: The gate.
        points: The states of the target that were searched, oldest first.
        place: The place of the first red one; 0 when all are red, None when the newest is green.
        patch: The patch that is to blame; None when a commit has several patches, or none.
        said: The gate's reason at the first red state.
        asked: Number of executions.
        known: Number of states whose verdict was known already.
    """

    gate: str
    points: Sequence[Point]
    place: int | None = None
    patch: str | None = None
    said: Reason | None = None
    asked: int = 0
    known: int = 0


async def first_bad(count: int, known: Mapping[int, bool], ask: Ask) -> int | None:
    """Find the first of some points at which a gate fails.

    Known verdicts are used first: the newest pass before the oldest failure, then halves of the rest.

    Args:
        count: How many points there are; the last one is asked about first.
        known: The known verdicts, by point; True where the gate passes.
        ask: Finds out about one.

    Returns:
        Its place; 0 when the gate fails from the beginning, None when it does not fail at the end.
    """
    last = count - 1
    if known.get(last, False) or (last not in known and await ask(last)):
        return None
    bad = min([place for place, is_good in known.items() if not is_good] + [last])
    good = max([place for place, is_good in known.items() if is_good and place < bad] + [-1])
    if good < 0:
        if bad == 0 or not await ask(0):
            return 0
        good = 0
    while bad - good > 1:
        middle = (good + bad) // _TWO
        if await ask(middle):
            good = middle
        else:
            bad = middle
    return bad


def history(repository: Repository, old: str, new: str) -> list[Point]:
    """List the states of a branch from one commit to another, both included, along first parents."""
    commits = [old, *repository.commits_between(old, new)]
    return [Point(commit=commit, tree=repository.tree_of(commit)) for commit in commits]


def inside(repository: Repository, stream: LandedWorkstream, landed: str, *, at: datetime) -> list[Point]:
    """Return the states of a landing: its base, then the base with each of its patches added.

    Args:
        repository: Where commits are.
        stream: The workstream.
        landed: The commit that holds it.
        at: The time to stamp commits with that only this search needs.

    Returns:
        The states, as far as they can be made; only what it landed on when the first cannot.
    """
    onto = repository.read_commit(landed).parents[0]
    ours = repository.tree_of(onto)
    points = [Point(commit=onto, tree=ours)]
    base = stream.row.base_commit
    if base is None or stream.landing is LandingStyle.REBASE or not repository.has_object(base):
        return points
    for patch in stream.patches:
        if patch.tree is None or not repository.has_object(patch.tree):
            return points
        tree = merge_trees(repository, base=repository.tree_of(base), ours=ours, theirs=patch.tree)
        if isinstance(tree, MergeConflict):
            return points
        commit = repository.commit(
            tree=tree,
            parents=[points[-1].commit],
            message=f"bisect: with {patch.id}",
            date=at,
            is_trial=True,
        )
        points.append(Point(commit=commit, tree=tree, patch=patch.id))
    return points
