"""The rules of waiting: the first of an order, the tool task that another waits for, and a tool in use."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TypeVar

T = TypeVar("T")


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
