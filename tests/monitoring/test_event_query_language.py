"""The query language: every text is a query or a list of problems with their places."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maingate.db.schema.rollup_kinds import EventKind
from maingate.monitoring.event_query_language import (
    FILTERS,
    GROUPS,
    KEYS,
    MOST,
    EventSearch,
    QueryError,
    full_type,
    parse,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

CHOSEN = {
    "type": ("task", "flake", "warning", "patch_ledger_state_transition"),
    "severity": ("error", "info"),
    "state": ("completed", "PASSED"),
    "from": ("running",),
    "reason": ("gate_failed", "conflict"),
}
texts = st.text(min_size=1, max_size=8).filter(lambda text: text.strip() != "")
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001 - aware below
    lambda at: at.replace(tzinfo=UTC)
)


@st.composite
def searches(draw: st.DrawFn) -> EventSearch:
    """Draw a query as a value."""
    keys = draw(st.lists(st.sampled_from(FILTERS), unique=True, max_size=4))
    wanted = {}
    for key in keys:
        values = st.sampled_from(CHOSEN[key]) if key in CHOSEN else texts
        wanted[key] = tuple(draw(st.lists(values, unique=True, min_size=1)))
    by = draw(st.lists(st.sampled_from([*GROUPS[3:], "hour"]), unique=True, max_size=3))
    return EventSearch(
        wanted=wanted,
        words=tuple(draw(st.lists(texts, max_size=2))),
        since=draw(st.none() | moments),
        until=draw(st.none() | moments),
        by=tuple(by),
        show=draw(st.sampled_from(["count", "time"])),
        top=draw(st.none() | st.integers(1, MOST)),
    )


@given(search=searches())
@example(search=EventSearch(wanted={"operator": ('a "b", \\c', "d:e")}, words=("\\", '"', " x ")))
def test_a_query_written_out_is_the_same_query(search: EventSearch) -> None:
    """The text of a value is read back as that value, whatever names and words are in it."""
    assert parse(str(search), now=NOW) == search


pieces = st.lists(st.sampled_from([*KEYS, ":", ",", '"', " ", "1h", "task", "\\"])).map("".join)


@given(text=st.text(max_size=40) | pieces)
def test_every_text_is_a_query_or_has_problems(text: str) -> None:
    """There is no other error, and each problem has a place in the text."""
    problems = problems_of(text)
    assert all(0 <= position <= len(text) and problem for position, problem in problems)


def problems_of(text: str) -> list[tuple[int, str]]:
    """Return the problems of a query; none if it is one."""
    try:
        parse(text, now=NOW)
    except QueryError as error:
        return list(error.problems)
    return []


def test_the_example_of_the_documentation() -> None:
    """Filters, a time that counts back, groups and a limit."""
    assert parse("type:flake gate:unit since:7d by:gate top:10", now=NOW) == EventSearch(
        wanted={"type": ("flake",), "gate": ("unit",)}, since=NOW - timedelta(days=7), by=("gate",), top=10
    )


def test_values_of_one_key_are_alternatives_and_words_are_searched_for() -> None:
    """Commas and repetition mean the same; quotes keep spaces, commas and colons."""
    found = parse('gate:unit,lint gate:unit,"a, b" timeout "no such: file"', now=NOW)
    assert found == EventSearch(wanted={"gate": ("unit", "lint", "a, b")}, words=("timeout", "no such: file"))


def test_all_problems_are_reported_at_once_with_place_and_choices() -> None:
    """A person corrects a query in one go."""
    wrong = "typ:flake severity:bad gate: since:never by:day,colour by:day top:0 show:all until:1h until:2h"
    problems = problems_of(wrong)
    assert [(position, text.split(":")[0].split(" is")[0]) for position, text in problems] == [
        (0, "unknown key 'typ'"),
        (19, "unknown severity 'bad'"),
        (28, "gate needs a value"),
        (35, "'never'"),
        (44, "cannot group by 'colour'"),
        (66, "top needs a number from 1 to 10000, not '0'"),
        (73, "cannot show 'all'"),
        (86, "until"),
    ]
    assert problems[1][1].endswith("info, warning, error, critical")


def test_a_quote_that_is_not_closed_is_a_problem() -> None:
    """Else the rest of the query would be a name."""
    with pytest.raises(QueryError, match="not closed"):
        parse('gate:"unit since:7d', now=NOW)


@pytest.mark.parametrize(
    ("query", "is_in_rollups"),
    [
        ("type:task state:failed by:hour,trigger", True),
        ("gate:unit reason:gate_failed by:tool", True),
        ("run:run_1 by:state", False),
        ("by:minute", False),
        ("timeout by:gate", False),
    ],
)
def test_the_planner_uses_roll_ups_where_they_can_answer(query: str, is_in_rollups: bool) -> None:
    """Entities, words and minutes are in the rows only."""
    assert parse(query, now=NOW).needs_rows is not is_in_rollups


def test_a_kind_matches_when_each_key_has_one_of_its_values() -> None:
    """Alternatives within a key, all keys together."""
    flake = EventKind(event_type=full_type("gate"), entity_type="test_gate", gate="unit", mark="flaky")
    assert parse("type:flake,task gate:lint,unit", now=NOW).matches(flake)
    assert parse("type:gate", now=NOW).matches(flake)
    assert not parse("type:flake gate:lint", now=NOW).matches(flake)
    assert not parse("type:task", now=NOW).matches(flake)
