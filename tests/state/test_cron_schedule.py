"""Lines of cron: the last time before a moment, in a zone whose clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.state.cron_schedule import cron_fields, last_time

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "before", "expected"),
    [
        ("0 18 * * 5", "2026-01-09 18:00", "2026-01-09 18:00"),
        ("0 18 * * 5", "2026-01-09 17:59", "2026-01-02 18:00"),
        ("*/15 * * * *", "2026-01-09 17:59", "2026-01-09 17:45"),
        ("30 8-10,20 * * 1-5", "2026-01-09 11:00", "2026-01-09 10:30"),
        ("0 0 1 * *", "2026-01-09 11:00", "2026-01-01 00:00"),
        ("0 0 * * 7", "2026-01-09 11:00", "2026-01-04 00:00"),
        ("0 0 * * 0", "2026-01-09 11:00", "2026-01-04 00:00"),
        ("0 0 1 * 1", "2026-01-09 11:00", "2026-01-05 00:00"),
        ("0 0 1-8 * 1", "2026-01-09 11:00", "2026-01-08 00:00"),
        ("0 12 24 12 *", "2026-01-09 11:00", "2025-12-24 12:00"),
    ],
)
def test_the_last_time_is_the_newest_that_is_not_later(line: str, before: str, expected: str) -> None:
    """Also that of another month, and of either day where both kinds of days are given."""
    found = last_time(line, ZoneInfo("UTC"), at(before), within=timedelta(days=31))
    assert found == at(expected)


def test_a_time_that_is_too_long_ago_is_none() -> None:
    """The span says how far back a time may lie."""
    line, before = "0 18 * * 5", at("2026-01-10 18:01")
    assert last_time(line, ZoneInfo("UTC"), before, within=timedelta(days=1)) is None
    assert last_time(line, ZoneInfo("UTC"), before, within=timedelta(days=1, minutes=1)) is not None


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("2026-03-29 12:00", "2026-03-29 01:30"),  # 02:30 does not exist there on that day
        ("2026-10-25 12:00", "2026-10-25 00:30"),  # 02:30 comes twice there on that day
        ("2026-07-01 12:00", "2026-07-01 00:30"),
        ("2026-01-01 12:00", "2026-01-01 01:30"),
    ],
)
def test_a_day_on_which_clocks_change_has_one_time_still(before: str, expected: str) -> None:
    """One that is skipped comes an hour later, and one that is repeated counts the first time."""
    assert last_time("30 2 * * *", BERLIN, at(before), within=timedelta(days=2)) == at(expected)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 18 * *", "has 4 fields"),
        ("60 * * * *", "'60' is no minute: it goes from 0 to 59"),
        ("* 7-3 * * *", "'7-3' is no hour"),
        ("* * 0 * *", "'0' is no day of the month"),
        ("* * * jan *", "'jan' is no month: numbers"),
        ("* * * * 1/0", "'1/0' is no day of the week"),
        ("* * * * ²", "is no day of the week"),
        ("*,, * * * *", "'' is no minute"),
    ],
)
def test_what_is_no_line_of_cron_is_refused(line: str, message: str) -> None:
    """The message says which field, and what it may be."""
    with pytest.raises(ValueError, match=message):
        cron_fields(line)


@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=4),
    days=st.sets(st.integers(0, 6), min_size=1, max_size=3),
    after=st.integers(0, 60 * 24 * 14),
)
def test_it_is_what_a_walk_back_by_minutes_finds(
    minutes: set[int], hours: set[int], days: set[int], after: int
) -> None:
    """The oracle looks at each minute before the moment."""
    line = f"{_joined(minutes)} {_joined(hours)} * * {_joined(days)}"
    before = at("2026-02-20 00:00") + timedelta(minutes=after)
    walked = before
    while not (walked.minute in minutes and walked.hour in hours and walked.isoweekday() % 7 in days):
        walked -= timedelta(minutes=1)
    assert last_time(line, ZoneInfo("UTC"), before, within=timedelta(days=8)) == walked


def _joined(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))
