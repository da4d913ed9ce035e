"""``maingate queue``: the queue as it is printed, orders from the command line, and what is refused."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from maingate.bootstrap import Maingate
from maingate.cli.views.queue import place_line, print_queue
from support.command_line import Invoke
from support.factories import GitRepo

Json = dict[str, Any]
LINE = "0 18 * * 5"
GIVEN = "by ada since 2026-01-01 12:00:00 UTC"
NOTHING: Json = {
    "target": {"ref": "refs/heads/main", "name": "main"},
    "alive": True,
    "run_id": "run_1",
    "at": "2026-01-01T12:00:00.000Z",
    "run_name": "plan",
    "runs": [{"id": "run_1", "name": "plan", "alive": True, "line": None}],
    "orders": [],
    "on_board": [],
    "kept_waiting": [],
    "tests": [],
    "blocked_by": None,
    "conflicts": [],
    "not_on_board": 0,
    "next_action": {"code": "wait", "about": "refs/heads/main", "command": "maingate queue main --watch"},
}


def member(place: int, name: str, state: str = "testing", **more: Any) -> Json:
    """Make a workstream on board."""
    plain = {"place": place, "id": f"ws_{name}", "name": name, "run_id": "run_1", "state": state}
    return {**plain, "held_by": None, "tests": [], "expected_seconds": None, **more}


def order(kind: str, **more: Any) -> Json:
    """Make an order."""
    plain = {"order": kind, "by": "ada", "reason": "release", "given_at": "2026-01-01T12:00:00.000Z"}
    times = dict.fromkeys(("since", "until", "cron", "zone", "for_seconds"))
    return {**plain, **times, "in_force": True, **more}


def printed(report: Json) -> str:
    """Return what is printed of a queue."""
    out = Console(file=StringIO(), width=110, force_terminal=False)
    print_queue(out, report)
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


BUSY: Json = {
    **NOTHING,
    "on_board": [
        member(1, "parser", tests=["run_1", "run_2"], expected_seconds={"p50": 130.0, "p90": 185.0}),
        member(2, "styles", "held", held_by={"id": "ws_parser", "name": "parser", "why": "conflict"}),
        member(3, "docs", tests=["run_1"], expected_seconds={"p50": 0.0, "p90": 0.0}),
        member(4, "late", "held", held_by={"id": "ws_slow", "name": "slow", "why": "order"}),
    ],
    "tests": [
        {
            "id": "run_1",
            "contains": [{"id": "ws_parser", "name": "parser"}, {"id": "ws_docs", "name": "docs"}],
            "assumes_bad": [{"id": "ws_lexer", "name": "lexer"}],
            "purpose": "search",
            "chance": 0.85,
            "since": "2026-01-01T12:00:00.000Z",
            "gates": ["unit", "lint"],
        },
        {
            "id": "run_2",
            "contains": [],
            "assumes_bad": [],
            "purpose": "base",
            "chance": 1.0,
            "since": "2026-01-01T12:00:00.000Z",
            "gates": ["unit"],
        },
    ],
    "conflicts": [[{"id": "ws_styles", "name": "styles"}, {"id": "ws_parser", "name": "parser"}]],
    "not_on_board": 2,
}


def test_the_queue_is_printed_in_order_with_tests_holds_and_times() -> None:
    """A test says what it contains, what it leaves out, and what it is for."""
    text = printed(BUSY)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert rows[0] == "main: 4 workstreams on board, 2 others not on board yet"
    assert rows[2:6] == [
        "1 parser testing 2m10s - 3m05s with docs",
        "2 styles held conflicts with parser",
        "3 docs testing 0.0s with parser",
        "4 late held lands after slow",
    ]
    assert rows[7].startswith("▸ parser + docs without lexer: unit, lint, ")
    assert rows[7].endswith(", needed with 85%")
    assert rows[8].startswith("▸ main: unit, ")
    assert rows[8].endswith("; the target without it, to confirm a failure")
    assert rows[9] == "styles conflicts with parser"


KEPT: Json = {
    "id": "ws_lexer",
    "name": "lexer",
    "run_id": "run_2",
    "differences": [{"part": "gate", "gate": "unit"}],
    "why": "waits for run plan (run_1) to let main go, because the two are not proved alike: …",
}


def test_what_waits_beside_the_workstreams_on_board_is_printed_with_its_reason() -> None:
    """A workstream that waits for the run which lands, and a run that waits for the server."""
    line = {"place": 1, "limit": 4, "why": "waits for its turn on main, at place 1 of the line: …"}
    runs = [*NOTHING["runs"], {"id": "run_3", "name": "docs", "alive": False, "line": line}]
    text = printed({**NOTHING, "kept_waiting": [KEPT], "runs": runs})
    assert f"lexer {KEPT['why']}" in text
    assert f"run docs {line['why']}" in text
    many = printed({**NOTHING, "kept_waiting": [KEPT] * 6, "runs": runs[1:] * 6})
    assert "and 2 more that are not proved alike" in many
    assert "and 2 more runs behind them" in many


def test_the_run_that_lands_the_work_of_others_is_named() -> None:
    """Above the list, and in the line of a run that it lands; not where there is only one."""
    lander = "the process of run plan (run_1)"
    both = {**BUSY, "on_board": [member(1, "a"), member(2, "b", run_id="run_2")]}
    assert f"{lander} lands them" in printed(both)
    assert lander not in printed(BUSY)
    assert place_line(both, "run_2") == f"b is at place 2 of 2, testing, landed by {lander}"
    assert place_line(both, "run_1") == "a is at place 1 of 2, testing"
    assert place_line({**both, "kept_waiting": [KEPT], "on_board": []}, "run_2") == f"lexer {KEPT['why']}"


@pytest.mark.parametrize(
    ("kind", "more", "line"),
    [
        ("pause", {}, f"paused, {GIVEN}: release"),
        (
            "drain",
            {"reason": ""},
            f"drained: nothing new comes on board, {GIVEN}",
        ),
        (
            "freeze",
            {"until": "2026-01-01T13:00:00.000Z"},
            f"frozen: tests go on, nothing lands, {GIVEN}, until 2026-01-01 13:00:00 UTC: release",
        ),
        (
            "schedule",
            {"cron": LINE, "zone": "UTC", "for_seconds": 7200, "in_force": False, "reason": ""},
            f"frozen at times: tests go on, nothing lands, {GIVEN}, at {LINE} UTC for 2h00m (not now)",
        ),
    ],
)
def test_orders_are_printed_first(kind: str, more: Json, line: str) -> None:
    """With the person and the reason."""
    report = {**NOTHING, "orders": [order(kind, **more)]}
    text = " ".join(printed(report).split())
    assert text.startswith(line)
    assert text.endswith("Nothing is on board for main.")


def test_names_cannot_affect_the_terminal() -> None:
    """They are of plans and of people."""
    report = {**BUSY, "orders": [order("pause", by="\x1b[31mada", reason="\x1b]0;")]}
    report["on_board"] = [member(1, "\x1b[2Jparser")]
    assert "\x1b" not in printed(report)


def test_a_run_has_a_line_about_its_place() -> None:
    """Its first workstream on board, with whom it is tested, and when it is to land."""
    expected = "parser is at place 1 of 4, testing, with docs, lands in 2m10s - 3m05s"
    assert place_line(BUSY, "run_1") == expected
    assert place_line(BUSY, "run_2") == ""
    paused = {**NOTHING, "orders": [order("pause"), order("schedule", in_force=False)]}
    assert place_line(paused, "run_1") == "the queue is paused by ada (release)"


@pytest.fixture
def place(repo: GitRepo) -> Path:
    """Give a repository in which Maingate has its record."""
    repo.commit({"a.txt": "1\n"})
    Maingate.open(repo.path).close()
    return repo.path


Told = Callable[..., Json]


@pytest.fixture
def told(invoke: Invoke, place: Path) -> Told:
    """Give a function that gives an order and returns its JSON."""

    def give(*words: str) -> Json:
        done = invoke("-C", str(place), "queue", *words, "--json")
        assert done.exit_code == 0, done.stderr
        found: Json = json.loads(done.stdout)
        return found

    return give


def test_orders_are_given_and_taken_back(told: Told) -> None:
    """Without a command, or with a target, the queue is shown."""
    assert told()["orders"] == []
    assert [each["order"] for each in told("pause", "--reason", "r", "--operator", "ada")["orders"]] == [
        "pause"
    ]
    [shown] = told("main")["orders"]
    assert (shown["by"], shown["reason"]) == ("ada", "r")
    assert told("resume")["orders"] == []


def test_a_freeze_is_until_a_time_for_a_while_or_by_a_schedule(told: Told) -> None:
    """Times without an offset are of the zone that is named."""
    [freeze] = told("freeze", "--until", "2999-01-31 18:00", "--zone", "Europe/Berlin")["orders"]
    assert freeze["until"] == "2999-01-31T17:00:00.000Z"
    [shorter] = told("freeze", "main", "--for", "2h")["orders"]
    assert shorter["until"] < "2999"
    schedule = told("freeze", "--cron", "0 18 * * 5", "--for", "62h", "--zone", "Europe/Berlin")["orders"][1]
    assert (schedule["cron"], schedule["zone"], schedule["for_seconds"]) == (
        "0 18 * * 5",
        "Europe/Berlin",
        223200,
    )


def test_a_schedule_is_confirmed_with_its_length_in_hours(invoke: Invoke, place: Path) -> None:
    """As it was given, and not as thousands of minutes."""
    words = ("freeze", "main", "--cron", LINE, "--for", "62h", "--zone", "Europe/Berlin")
    said = invoke("-C", str(place), "queue", *words).stdout
    assert said.strip() == f"the queue of main is frozen at {LINE} (Europe/Berlin) for 62h00m each time"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["freeze"], "say when it ends"),
        (["freeze", "--cron", "0 18 * * 5"], "--for is the length of a freeze"),
        (["freeze", "--until", "2999-01-01", "--for", "2h"], "--for is the length of a freeze"),
        (["freeze", "--until", "2999-01-01", "--cron", "0 18 * * 5"], "say when it ends"),
        (["freeze", "--for", "soon"], "--for"),
        (["freeze", "--cron", "never", "--for", "2h"], "a line of cron has five"),
        (["resume"], "is not paused, drained or frozen"),
        (["nowhere"], "has no branch nowhere"),
        (["--watch", "--json"], "--watch and --json cannot be combined"),
        (["promote", "x", "--reason", "r"], "x"),
        (["promote", "x"], "--reason"),
    ],
)
def test_what_makes_no_sense_is_refused(invoke: Invoke, place: Path, words: list[str], message: str) -> None:
    """With the words that would be right."""
    done = invoke("-C", str(place), "queue", *words)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
