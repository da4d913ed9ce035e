"""The values of a trial: the items that are tried, and the findings about each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from maingate.commits import Tip
from maingate.reasons import Reason


class TrialState(StrEnum):
    """The result of a trial for one item."""

    CLEAR = "clear"
    """It conflicts with nothing ahead of it, or only with what is held itself."""
    HELD = "held"
    """It conflicts with an item ahead, or needs one that is held: it is tried again when that has left."""
    ALREADY_APPLIED = "already_applied"
    """The target has all of it."""
    REFUSED = "refused"
    """It could not land whatever becomes of the others: the target conflicts, or a patch is refused."""
    UNTRIED = "untried"
    """It cannot be tried, or not all of it: a tool is still to make a patch, or objects are missing."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An item on the commit that it is tried on.

    Args:
        tree: The tree with it; that of the commit where nothing of it is new.
        refusal: Why it does not go there; then the tree is without what was refused.
        untried: Why the rest of it cannot be tried yet.
        passed_over: The reasons of parts that were refused and are not critical, or are there already.
    """

    tree: str
    refusal: Reason | None = None
    untried: str | None = None
    passed_over: tuple[Reason, ...] = ()


Place = Callable[[Tip], Placed]
"""Puts an item on a commit; it only writes objects."""

JudgeMerge = Callable[[str, str], Reason | None]
"""Returns why policy refuses what a merge changes elsewhere than the patches of an item say.

See `landing.strayed`. It is given the tree that the item is merged into, and the merged one.
"""


def permits_all(_into: str, _merged: str) -> None:
    """Permit all that a merge changes: of an item without a policy."""


@dataclass(frozen=True, kw_only=True)
class TrialItem:
    """An item that is tried: a workstream of a finished branch, of ready patches, or one in a queue.

    Args:
        name: Its name, which no other item of the trial has.
        place: Puts it on a commit.
        needs: The items that must land before it; those that are none of the trial have landed.
        is_critical: Whether its loss is a failure of the whole.
        commit: Its newest commit, where its own commits land as they are.
        judge: See `JudgeMerge`.
    """

    name: str
    place: Place
    needs: Sequence[str] = ()
    is_critical: bool = True
    commit: str | None = None
    judge: JudgeMerge = permits_all


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Two items that change the same things in ways that conflict, or an item and the target.

    Args:
        item: The later one.
        other: The one ahead; None for the target.
        paths: The paths in conflict.
    """

    item: str
    other: str | None
    paths: tuple[str, ...]

    def as_json(self, target: str) -> dict[str, Any]:
        """Return the public JSON form.

        Args:
            target: Full name of the target.
        """
        kind = "target" if self.other is None else "ahead"
        return {
            "item": self.item,
            "with": target if self.other is None else self.other,
            "kind": kind,
            "paths": list(self.paths),
        }


@dataclass(frozen=True, kw_only=True)
class TriedItem:
    """The findings about one item.

    Args:
        name: Its name.
        state: Its state.
        is_critical: See `TrialItem`.
        reason: Why it is refused, held, or there already.
        untried: Why it, or the rest of it, cannot be tried.
        passed_over: See `Placed`.
    """

    name: str
    state: TrialState
    is_critical: bool
    reason: Reason | None = None
    untried: str | None = None
    passed_over: tuple[Reason, ...] = ()

    @property
    def is_open(self) -> bool:
        """Return whether it may conflict with others: it could land, as far as it could be tried."""
        return self.state in {TrialState.CLEAR, TrialState.UNTRIED}

    @property
    def is_problem(self) -> bool:
        """Return whether the whole would fail by it."""
        return self.state is TrialState.REFUSED and self.is_critical

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "name": self.name,
            "state": str(self.state),
            "critical": self.is_critical,
            "reason": None if self.reason is None else self.reason.as_json(),
            "untried": self.untried,
            "passed_over": [reason.as_json() for reason in self.passed_over],
        }


@dataclass(frozen=True, kw_only=True)
class ConflictTrial:
    """The findings of a trial.

    Args:
        target: Full name of the branch.
        commit: The commit that it was at.
        items: The items, in the order in which they would land.
        conflicts: The conflicts, by the later item in that order.
        pairs_left_out: Pairs that change the same files and were not tried, because there are too many.
    """

    target: str
    commit: str
    items: tuple[TriedItem, ...]
    conflicts: tuple[Conflict, ...]
    pairs_left_out: int = 0

    @property
    def is_ok(self) -> bool:
        """Return whether no critical item is refused; one that is held is no problem of its own."""
        return not any(item.is_problem for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "ok": self.is_ok,
            "target": {"ref": self.target, "commit": self.commit},
            "items": [item.as_json() for item in self.items],
            "conflicts": [conflict.as_json(self.target) for conflict in self.conflicts],
            "pairs_left_out": self.pairs_left_out,
        }
