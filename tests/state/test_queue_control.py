"""Orders about a queue: which are in force when, and how they are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maingate.state.queue_control import QueueControl, QueueOrder, in_force

SINCE = datetime(2026, 1, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def order(kind: QueueOrder, **fields: Any) -> QueueControl:
    """Make an order."""
    plain: dict[str, Any] = {"key": "repo_1#refs/heads/main", "operator": "ada", "reason": "release"}
    return QueueControl(kind=kind, since=SINCE, **(plain | fields))


@pytest.mark.parametrize("kind", [QueueOrder.PAUSE, QueueOrder.DRAIN])
def test_a_pause_and_a_drain_are_in_force_until_they_are_taken_back(kind: QueueOrder) -> None:
    """Time ends neither."""
    assert order(kind).window(SINCE + 10_000 * HOUR) == (SINCE, None)


def test_a_freeze_is_over_at_its_end() -> None:
    """Not a moment later."""
    control = order(QueueOrder.FREEZE, until=SINCE + HOUR)
    assert control.window(SINCE + HOUR - timedelta(microseconds=1)) == (SINCE, SINCE + HOUR)
    assert control.window(SINCE + HOUR) is None


def test_a_schedule_is_in_force_in_each_of_its_windows() -> None:
    """From 18:00 on in Berlin, for two hours: the fourth hour before midnight in UTC, in winter."""
    control = order(QueueOrder.SCHEDULE, cron="0 18 * * *", zone="Europe/Berlin", seconds=7200)
    begin = datetime(2026, 1, 9, 17, tzinfo=UTC)
    assert control.window(begin - timedelta(seconds=1)) is None
    assert control.window(begin) == (begin, begin + 2 * HOUR)
    assert control.window(begin + 2 * HOUR) is None
    assert control.window(begin + timedelta(days=1, minutes=5)) is not None


def test_windows_that_overlap_end_with_the_last() -> None:
    """A new window begins each half hour, before the last one is over."""
    control = order(QueueOrder.SCHEDULE, cron="*/30 * * * *", zone="UTC", seconds=3600)
    now = SINCE + timedelta(minutes=45)
    assert control.window(now) == (SINCE + timedelta(minutes=30), SINCE + timedelta(minutes=90))


def test_the_strictest_order_comes_first_and_is_told_with_person_and_reason() -> None:
    """So the sentence is about what keeps things from going on; an order that is over is none."""
    over = order(QueueOrder.FREEZE, until=SINCE)
    found = in_force([order(QueueOrder.DRAIN), over, order(QueueOrder.PAUSE)], SINCE)
    assert [each.control.kind for each in found] == [QueueOrder.PAUSE, QueueOrder.DRAIN]
    assert found[0].sentence == "the queue is paused by ada since 2026-01-09 12:00:00 UTC: release"
    [frozen] = in_force([order(QueueOrder.FREEZE, until=SINCE + HOUR, reason="")], SINCE)
    expected = "the queue is frozen by ada since 2026-01-09 12:00:00 UTC until 2026-01-09 13:00:00 UTC"
    assert frozen.sentence == expected
