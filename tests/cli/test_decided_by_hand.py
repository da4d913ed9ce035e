"""What people decide is told: what, by whom and why; and what they name wrongly is refused."""

import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import maingate
from maingate.bootstrap import Maingate
from maingate.cli.views.events import cells_of
from maingate.events import Event, EventType, Severity
from maingate.queries.events.history import type_named
from maingate.queries.names import patch_named
from maingate.recovery.breaker_and_patch_overrides import approve_patch
from maingate.state.patch_ledger import PatchState
from support.command_line import Invoke, Played

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def repository(played: Played, tmp_path: Path) -> Path:
    """Give a copy of the story's repository, to change."""
    return played.copy_to(tmp_path)


def an_event(**fields: Any) -> Event:
    """Arrange an event that is no change of state."""
    plain: dict[str, Any] = {
        "event_id": "evt_1",
        "timestamp": NOW,
        "event_type": "warning",
        "severity": Severity.WARNING,
    }
    return Event(**(plain | fields))


# -- events --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (None, ""),
        ({}, ""),
        ({"message": "because"}, "because"),
        ({"message": ""}, ""),
        ({"code": "rejected"}, "rejected"),
        ({"code": "rejected", "message": None, "detail": {}}, "rejected"),
        ({"code": "rejected", "message": "ada: \x1bno", "detail": {}}, r"rejected: ada: \x1bno"),
    ],
)
def test_whatever_reason_an_event_has_is_shown(reason: Mapping[str, Any] | None, why: str) -> None:
    """A reason without a code, as people's decisions have, breaks no table."""
    assert cells_of(an_event(reason=reason), {})[-1] == why


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"event_type": "on_rollback", "metadata": {"command": ["./undo", "it now"]}}, "./undo 'it now'"),
        (
            {
                "event_type": "on_rollback_failed",
                "reason": {"code": "tool_failed", "message": "on_rollback 1 of c exited with 3"},
                "metadata": {"command": "echo hi; exit 3"},
            },
            "tool_failed: on_rollback 1 of c exited with 3: echo hi; exit 3",
        ),
        (
            {"event_type": "stuck", "metadata": {"since": "2026-01-01T12:00:00.000Z", "threshold": 60.0}},
            "no progress since 2026-01-01T12:00:00.000Z",
        ),
    ],
)
def test_an_event_without_a_reason_says_what_it_knows(fields: dict[str, Any], why: str) -> None:
    """Which command was run, or since when something has not moved."""
    assert cells_of(an_event(**fields), {})[-1] == why


def test_every_type_that_is_ever_recorded_can_be_asked_for() -> None:
    """`--type` knows each type that the program writes."""
    assert {"manual_override", "on_rollback", "patch_approved", "stuck", "warning"} <= set(EventType)
    assert [type_named(kind) for kind in EventType] == list(EventType)


def test_events_are_made_in_one_place() -> None:
    """Only the factory and the reader of rows make an event, so that no type is written that nobody knows."""
    sources = Path(maingate.__file__).parent.rglob("*.py")
    made = re.compile(r"(?<!\.)\bEvent\(|__new__\(Event\)")
    makers = {file.name for file in sources if made.search(file.read_text())}
    assert makers == {"new_event.py", "events.py"}


def approve(repository: Path, task: str) -> None:
    """Arrange an approval of a patch, as it was given before that was refused."""
    with Maingate.open(repository) as opened, opened.database.write() as conn:
        patch = replace(patch_named(conn, task), state=PatchState.VALIDATED)
        assert approve_patch(conn, patch, message="looks right", operator="ada", at=NOW)


def test_what_was_decided_breaks_no_table_and_is_in_the_history(invoke: Invoke, repository: Path) -> None:
    """Approvals and overrides are events like others; a patch's history says who decided what, and why."""
    task = "faster-total/sum"
    approve(repository, task)
    for command in (("patch", "drop", task), ("breaker", "trip", "claude")):
        unexplained = invoke(*command, "--reason", " ", cwd=repository)
        assert (unexplained.exit_code, "reason must not be empty" in unexplained.stderr) == (2, True)
    drop = invoke("patch", "drop", task, "--reason", "not worth it", "--operator", "bob", cwd=repository)
    trip = invoke("breaker", "trip", "claude", "--reason", "no credit", "--operator", "eve", cwd=repository)
    assert (drop.exit_code, trip.exit_code) == (0, 0), drop.stderr
    listed = invoke("events", cwd=repository)
    assert (listed.exit_code, listed.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in listed.stdout.splitlines()]
    for end in ("patch_approved (ada) looks right", "drop (bob) not worth it", "trip (eve) no credit"):
        assert any(line.endswith(end) for line in lines), end
    approved = invoke("events", "--type", "patch_approved", cwd=repository)
    assert "looks right" in approved.stdout
    shown = invoke("patch", "show", task, cwd=repository).stdout.splitlines()
    told = [" ".join(line.split()[2:]) for line in shown if re.match(r"\s+\d{4}-", line)]
    assert told[-2:] == ["approved ada looks right", "dropped discarded (bob) not worth it"]
    history = json.loads(invoke("patch", "show", task, "--json", cwd=repository).stdout)["history"]
    assert [(step["type"], step["to"], step["operator"]) for step in history[-3:]] == [
        ("patch_approved", None, "ada"),
        ("patch_ledger_state_transition", "dropped", "bob"),
        ("manual_override", None, "bob"),
    ]
    assert history[-1]["reason"] == {"message": "not worth it"}


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["trip", "reset"])
def test_a_mistyped_tool_is_refused_with_those_that_are_meant(
    invoke: Invoke, repository: Path, verb: str
) -> None:
    """Presets, the tools of any plan that was run, and tools with a breaker are known; nothing is written."""
    with closing(sqlite3.connect(repository / ".git" / "maingate" / "maingate.db")) as raw, raw:
        raw.execute("""UPDATE runs SET plan = json_set(plan, '$.tools', json('{"fixer": {"run": "x"}}'))""")
    raw.close()
    refused = invoke("breaker", verb, "fixr", "--reason", "x", cwd=repository)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "did you mean fixer?" in refused.stderr
    assert json.loads(invoke("breaker", "list", "--json", cwd=repository).stdout) == []
    assert invoke("breaker", "trip", "fixer", "--reason", "x", cwd=repository).exit_code == 0
    assert invoke("breaker", "reset", "fixer", "--reason", "x", cwd=repository).exit_code == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["override", "force-complete", "quantities"], "'quantities' is a workstream"),
        (["override", "fail", "quantities/code"], "'quantities/code' is a task"),
        (["override", "force-complete", "nothing"], "not found: 'nothing'"),
    ],
)
def test_what_is_of_another_kind_is_not_called_unknown(
    invoke: Invoke, played: Played, command: list[str], said: str
) -> None:
    """The message names what it is and what is wanted."""
    refused = invoke(*command, "--reason", "x", cwd=played.stage.repository)
    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("range_", "said"),
    [
        ("HEAD..", "both ends are"),
        ("main..main~1", "it is reversed"),
    ],
)
def test_a_range_without_commits_is_not_searched(
    invoke: Invoke, played: Played, range_: str, said: str
) -> None:
    """Nothing can have begun to fail in it."""
    refused = invoke("bisect", range_, "--gate", "tests", cwd=played.stage.repository)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in " ".join(refused.stderr.split())


# -- gates that were lost ------------------------------------------------------------------------------------


def test_a_gate_that_died_with_its_worker_is_no_failure(invoke: Invoke, repository: Path) -> None:
    """It is counted and shown as lost; what is on record stays what it is."""
    before = json.loads(invoke("status", "--json", cwd=repository).stdout)["gates"]
    with closing(sqlite3.connect(repository / ".git" / "maingate" / "maingate.db")) as raw, raw:
        raw.execute(
            "UPDATE gates SET fault = 'worker_lost', exit_code = -1 WHERE state = 'FAILED' AND fault IS NULL"
        )
    raw.close()
    after = json.loads(invoke("status", "--json", cwd=repository).stdout)["gates"]
    assert before["failed"] > 0
    assert after == {**before, "failed": 0, "lost": before["failed"]}
    assert f"0 failed, {before['failed']} lost" in invoke("status", cwd=repository).stdout
    found = json.loads(invoke("patch", "show", "faster-total/sum", "--json", cwd=repository).stdout)["gates"]
    assert {(one["state"], one["is_lost"]) for one in found} == {("FAILED", True), ("PASSED", False)}
    text = invoke("patch", "show", "faster-total/sum", cwd=repository).stdout
    assert re.search(r"tests\s+patch\s+lost( 2 times)?\s+-", text)
    assert "output of gate" not in text
