"""The reasons why an entity of a run waits, as stable codes, and the rules that name what it waits for.

The core decides by these rules, and `maingate.queries.explain` explains by them, whichever of nodes and rows
they are asked about.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import chain
from typing import TypeVar

T = TypeVar("T")


class HoldCode(StrEnum):
    """The kinds of reasons; programs may rely on them."""

    RESUME = "resume"
    """The run has no process; `maingate resume` continues it."""
    SERVER = "server"
    """The run has no process yet; the server of its repository starts one when it is its turn."""
    BUDGET = "budget"
    """The run has no process, and its budget is spent."""
    NEXT_STEP = "next_step"
    """The run's process has not taken its next step yet."""
    PARTS = "parts"
    """The workstreams of a run, or the tasks of a workstream, have not ended."""
    WORKSTREAM = "workstream"
    """The workstream of a task is not ready, or that of a patch has not landed."""
    NEEDS = "needs"
    """A needed workstream, task or gate has not completed."""
    WORKER = "worker"
    """All workers are busy."""
    TOOL = "tool"
    """The tool is paused by its breaker, or used as often at once as it may be."""
    PATHS = "paths"
    """Another tool task that may write the same paths comes first or is at work."""
    WORK = "work"
    """Its own work is under way."""
    RETRY = "retry"
    """The wait before the next attempt."""
    LANE = "lane"
    """Patches ahead of it in its lane."""
    APPROVALS = "approvals"
    """People have to approve the patch."""
    GATES = "gates"
    """Its gates are running."""
    LANDING_ORDER = "landing_order"
    """Another workstream lands before it."""
    LANDING = "landing"
    """The target is being moved to it."""


def first_open(order: Iterable[T], has_ended: Callable[[T], bool]) -> T | None:
    """Return the first of an order that has not ended: the front of a lane, or the next to land."""
    return next((each for each in order if not has_ended(each)), None)


def first_rival(before: Iterable[T], at_work: Iterable[T], keep_apart: Callable[[T], bool]) -> T | None:
    """Return the tool task that another must wait for because both may write the same paths.

    Args:
        before: The tool tasks before it in its lane that have not ended, the nearest first: it begins on
            the result of theirs.
        at_work: The running tool tasks of other workstreams.
        keep_apart: Whether the other may write the same paths.
    """
    return next((other for other in chain(before, at_work) if keep_apart(other)), None)


def is_used_up(max_concurrent: int | None, busy: int) -> bool:
    """Return whether a tool is used as often at once as it may be."""
    return max_concurrent is not None and busy >= max_concurrent
