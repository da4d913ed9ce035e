"""`maingate events` with queries and reports, on what a real run left behind."""

import csv
import io
import json
import re
from collections import Counter

import pytest

from maingate.queries.events.text import csv_text
from support.command_line import Invoke, Played


def test_a_query_filters_and_groups(invoke: Invoke, played: Played) -> None:
    """The terms may be one argument or several; the sums are those of the events."""
    every = json.loads(invoke("events", "--json", "--limit", "0", cwd=played.stage.repository).stdout)
    wanted = Counter(event["to_state"] for event in every if event["entity_type"] == "patch_ledger")
    for words in (["type:patch", "by:state"], ["type:patch by:state"]):
        found = json.loads(invoke("events", *words, "--json", cwd=played.stage.repository).stdout)
        assert found["columns"] == ["state", "count"]
        assert {row["state"]: row["count"] for row in found["rows"]} == wanted


def test_a_query_lists(invoke: Invoke, played: Played) -> None:
    """Options and query are one query; a number of rows is the query's or the option's."""
    cwd = played.stage.repository
    whole = json.loads(invoke("events", "state:quarantined", "--json", cwd=cwd).stdout)
    assert {event["to_state"] for event in whole} == {"quarantined"}
    assert json.loads(invoke("events", "state:quarantined top:1", "--json", cwd=cwd).stdout) == whole[-1:]
    newest = json.loads(invoke("events", "state:quarantined", "-n", "1", "--json", cwd=cwd).stdout)
    assert newest == whole[-1:]
    typed = json.loads(invoke("events", "state:quarantined", "-t", "patch", "--json", cwd=cwd).stdout)
    assert typed == [event for event in whole if event["entity_type"] == "patch_ledger"]


@pytest.mark.parametrize("name", ["slow", "flaky", "costly", "blamed", "waits", "lead-time"])
def test_reports_in_every_form(invoke: Invoke, played: Played, name: str) -> None:
    """As a word or as an option, for people, as JSON, lines of JSON and CSV: the same rows."""
    cwd = played.stage.repository
    whole = json.loads(invoke("events", "report", name, "--json", cwd=cwd).stdout)
    assert json.loads(invoke("events", "--report", name, "since:1d", "--json", cwd=cwd).stdout) == whole
    lines = invoke("events", "report", name, "--jsonl", cwd=cwd).stdout.splitlines()
    assert [json.loads(line) for line in lines] == whole["rows"]
    rows = list(csv.reader(io.StringIO(invoke("events", "report", name, "--csv", cwd=cwd).stdout)))
    assert rows[0] == whole["columns"]
    assert len(rows) == 1 + len(whole["rows"])
    people = invoke("events", "report", name, cwd=cwd)
    assert (people.exit_code, people.stderr) == (0, "")
    assert re.search("patch_ledger|T00:00", people.stdout) is None, "words of the record, not of people"
    assert people.stdout.startswith(whole["columns"][0]) or people.stdout == "No events match.\n"


def test_lists_as_csv_and_lines(invoke: Invoke, played: Played) -> None:
    """One row or line for each event of the JSON."""
    cwd = played.stage.repository
    every = json.loads(invoke("events", "--json", cwd=cwd).stdout)
    lines = invoke("events", "--jsonl", cwd=cwd).stdout.splitlines()
    assert [json.loads(line) for line in lines] == every
    rows = list(csv.DictReader(io.StringIO(invoke("events", "--csv", cwd=cwd).stdout)))
    assert [int(row["seq"]) for row in rows] == [event["seq"] for event in every]
    assert [row["entity_id"] for row in rows] == [event["entity_id"] for event in every]


def test_a_cell_is_no_formula() -> None:
    """A name that a spreadsheet would run is a text to it."""
    text = csv_text(["name", "count"], [["=cmd|' /C calc'!A0", -1], ["plain", 2]])
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "count"],
        ["'=cmd|' /C calc'!A0", "-1"],
        ["plain", "2"],
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["typ:gate"], "query, at 1: unknown key 'typ'"),
        (["report", "nope"], "unknown report 'nope': choose one of slow, flaky"),
        (["report"], "name one report: slow, flaky"),
        (["report", "slow", "by:day"], "report slow takes since, until, gate, tool and top only"),
        (["by:day", "--follow"], "--follow lists events"),
        (["by:day", "--aggregate"], "--aggregate counts all events"),
        (["type:task", "--type", "task"], "type is stated twice"),
        (["--csv", "--json"], "--json and --csv exclude each other"),
    ],
)
def test_mistakes_are_explained(invoke: Invoke, played: Played, words: list[str], message: str) -> None:
    """With exit code 2, and what to choose from."""
    result = invoke("events", *words, cwd=played.stage.repository)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())
