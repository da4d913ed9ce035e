"""The rules by which both the core and the explanations find what something waits for."""

import pytest

from maingate.orchestrator.core.waiting_rules import first_open, first_rival, is_used_up


@pytest.mark.parametrize(
    ("order", "ended", "expected"),
    [("abc", "", "a"), ("abc", "a", "b"), ("abc", "b", "a"), ("abc", "abc", None)],
)
def test_the_first_open_one_is_the_front(order: str, ended: str, expected: str | None) -> None:
    """The order decides; entities behind it that ended earlier do not matter."""
    assert first_open(order, lambda each: each in ended) == expected


@pytest.mark.parametrize(
    ("before", "at_work", "apart", "expected"),
    [
        ("ba", "x", "abx", "b"),
        ("ba", "x", "ax", "a"),
        ("ba", "x", "x", "x"),
        ("ba", "x", "", None),
        ("", "xy", "y", "y"),
    ],
)
def test_the_nearest_task_before_it_comes_before_those_at_work(
    before: str, at_work: str, apart: str, expected: str | None
) -> None:
    """A task begins on the result of the one before it; a task with other paths holds nothing up."""
    assert first_rival(before, at_work, lambda other: other in apart) == expected


@pytest.mark.parametrize(
    ("limit", "busy", "expected"),
    [(None, 99, False), (1, 0, False), (1, 1, True), (2, 1, False), (2, 3, True)],
)
def test_a_tool_is_used_up_at_its_limit(limit: int | None, busy: int, expected: bool) -> None:
    """Without a limit it never is."""
    assert is_used_up(limit, busy) == expected
