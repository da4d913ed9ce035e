"""The commands that read, on what a real run left behind."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maingate.cli.commands import patch, runs
from maingate.cli.commands.events import parse_moment
from maingate.errors import UsageError
from maingate.queries.details.patch import diff_json
from support.command_line import Invoke, Played, a_clean_environment, maingate, maingate_bytes, start_maingate
from support.factories import GitRepo

READING: list[list[str]] = [
    ["status"],
    ["runs"],
    ["patch", "list"],
    ["patch", "show", "quantities/code"],
    ["quarantine"],
    ["events"],
    ["events", "--aggregate"],
    ["audit", "verify"],
    ["clean", "--dry-run"],
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_json_is_exactly_one_document(invoke: Invoke, played: Played, command: list[str]) -> None:
    """Standard output is one JSON document, standard error is empty, the exit code is 0."""
    result = invoke(*command, "--json", cwd=played.stage.repository)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_people_get_plain_text_in_a_pipe(invoke: Invoke, played: Played, command: list[str]) -> None:
    """Without a terminal there is no escape sequence in what people read."""
    result = invoke(*command, cwd=played.stage.repository)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.strip()
    assert "\x1b" not in result.stdout


def reading(invoke: Invoke, played: Played, *command: str) -> Any:
    """Run a reading command and return its JSON."""
    return json.loads(invoke(*command, "--json", cwd=played.stage.repository).stdout)


def test_status_is_the_report_of_the_newest_run(invoke: Invoke, played: Played) -> None:
    """`status --json` is the object that `run --json` printed."""
    assert reading(invoke, played, "status") == played.report


def test_status_of_a_run_by_the_beginning_of_its_id(invoke: Invoke, played: Played) -> None:
    """An unambiguous beginning is enough."""
    assert reading(invoke, played, "status", played.report["run_id"][:12]) == played.report


def test_status_all_lists_every_task(invoke: Invoke, played: Played) -> None:
    """Each task with its patch's id and state."""
    shown = invoke("status", "--all", cwd=played.stage.repository).stdout
    for task in played.report["tasks"]:
        assert re.search(rf"{task['name']}\s+{task['state']}\s+{task['patch']['id']}", shown)


def test_status_watch_ends_with_the_run(invoke: Invoke, played: Played) -> None:
    """Watching a run that has ended shows it once."""
    shown = invoke("status", "--watch", cwd=played.stage.repository)
    assert shown.exit_code == 0
    assert shown.stdout.count("landed on main") == 1


def test_runs_are_listed_newest_first(invoke: Invoke, played: Played) -> None:
    """Each with its state and its target."""
    (run,) = reading(invoke, played, "runs")
    assert (run["run_id"], run["state"]) == (played.report["run_id"], "succeeded")
    assert run["target"]["new"] == played.report["target"]["new"]


def test_patch_list_is_filtered_by_state(invoke: Invoke, played: Played) -> None:
    """Only patches in that state, each with its reason, and `quarantine` is the same list."""
    listed = reading(invoke, played, "patch", "list", "--state", "quarantined")
    assert listed == reading(invoke, played, "quarantine")
    codes = {patch["task"]: patch["reason"]["code"] for patch in listed}
    assert codes == {
        "daily-report/code": "gate_failed",
        "faster-total/sum": "gate_failed",
        "aligned/columns": "conflict",
        "truncated/code": "format_invalid",
        "git-speedup/config": "policy_violation",
        "shortcut/link": "policy_violation",
    }


def test_patch_list_keeps_to_its_limit(invoke: Invoke, played: Played) -> None:
    """The newest ones."""
    assert len(reading(invoke, played, "patch", "list", "--limit", "3")) == 3


@pytest.mark.parametrize("command", ["runs", "patch list", "quarantine"])
def test_programs_get_the_whole_list(
    invoke: Invoke, played: Played, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A list in JSON cannot say that it was cut, so it is cut only when that was asked for."""
    every = reading(invoke, played, *command.split(), "--limit", "1000")
    assert every
    monkeypatch.setattr(patch, "LISTED", 0)
    monkeypatch.setattr(runs, "LISTED", 0)
    assert reading(invoke, played, *command.split()) == every


def test_a_state_that_does_not_exist_is_refused(invoke: Invoke, played: Played) -> None:
    """The states that there are, are named."""
    result = invoke("patch", "list", "--state", "quarantine", cwd=played.stage.repository)
    assert result.exit_code == 2
    assert "quarantined" in result.stderr


def test_patch_show_tells_why_with_the_gates_output(invoke: Invoke, played: Played) -> None:
    """The reason, the failing gate's output, the history, and where the patch is kept."""
    shown = reading(invoke, played, "patch", "show", "faster-total/sum")
    assert shown["reason"]["code"] == "gate_failed"
    (gate,) = [gate for gate in shown["gates"] if gate["judged"] == "patch"]
    assert (gate["state"], gate["exit_code"]) == ("FAILED", 1)
    assert "test_total_counts_quantities" in gate["output"]
    assert Path(gate["log"]).exists()
    assert [step["to"] for step in shown["history"]] == [
        "created",
        "validated",
        "queued",
        "applied",
        "quarantined",
    ]
    assert (
        Path(shown["quarantine_file"]).read_bytes()
        == (played.stage.root / "patches" / "faster-total-sum.patch").read_bytes()
    )
    text = invoke("patch", "show", "faster-total/sum", cwd=played.stage.repository).stdout
    assert "test_total_counts_quantities" in text
    assert shown["quarantine_file"] in text


def test_patch_show_tells_what_was_repaired(invoke: Invoke, played: Played) -> None:
    """A repaired patch says so for good, to programs and people: here, in the report and in its event."""
    shown = reading(invoke, played, "patch", "show", "readme/usage")
    repairs = shown["repairs"]
    assert {"kind", "file", "hunk", "from", "to", "message"} == set(repairs[0])
    assert played.task("readme/usage")["patch"]["repairs"] == repairs
    text = invoke("patch", "show", "readme/usage", cwd=played.stage.repository).stdout
    assert all(repair["message"] in text for repair in repairs)
    told = invoke("events", "--json", "--entity", shown["id"], cwd=played.stage.repository).stdout
    applied = [event for event in json.loads(told) if event.get("to_state") == "applied"]
    assert [event["metadata"] for event in applied] == [{"method": shown["method"], "repairs": repairs}]


@pytest.mark.parametrize("part", [slice(None), slice(20)])
def test_a_patch_is_found_by_its_id_and_the_beginning_of_it(
    invoke: Invoke, played: Played, part: slice
) -> None:
    """Like a commit in git."""
    patch_id = played.task("quantities/test")["patch"]["id"]
    if part.stop is None:
        assert reading(invoke, played, "patch", "show", patch_id)["id"] == patch_id
        return
    unique = next(n for n in range(12, 33) if is_unique(played, patch_id[:n]))
    assert reading(invoke, played, "patch", "show", patch_id[:unique])["id"] == patch_id


def is_unique(played: Played, prefix: str) -> bool:
    """Tell whether only one patch's id begins so."""
    ids = [str(task["patch"]["id"]) for task in played.report["tasks"]]
    return sum(one.startswith(prefix) for one in ids) == 1


@pytest.mark.parametrize("name", ["nobody", "patch_01", "ws/none"])
def test_an_unknown_patch_is_exit_2(invoke: Invoke, played: Played, name: str) -> None:
    """What is not known is named, and standard output stays empty."""
    result = invoke("patch", "show", name, "--json", cwd=played.stage.repository)
    assert (result.exit_code, result.stdout) == (2, "")
    assert name in result.stderr


def test_an_ambiguous_patch_is_exit_2_and_says_which(invoke: Invoke, played: Played) -> None:
    """Three tasks are called `code`."""
    result = invoke("patch", "show", "code", cwd=played.stage.repository)
    assert result.exit_code == 2
    assert "quantities/code" in result.stderr
    assert "thousands/code" in result.stderr


@pytest.mark.parametrize("name", ["readme-usage", "git-speedup-config", "truncated-code"])
def test_patch_diff_is_byte_for_byte_what_came_in(
    played: Played, hermetic_environment: Path, name: str
) -> None:
    """Damaged or not, repaired or not: what is printed into a pipe is what was given."""
    task = "/".join(name.rsplit("-", 1))
    done = maingate_bytes("patch", "diff", task, cwd=played.stage.repository, home=hermetic_environment)
    assert done.returncode == 0
    assert done.stdout == (played.stage.root / "patches" / f"{name}.patch").read_bytes()


def test_patch_diff_on_a_terminal_shows_escapes(repo: GitRepo, hermetic_environment: Path) -> None:
    """Escape sequences inside a patch do not reach the terminal."""
    repo.commit({"a.txt": "1\n"})
    diff = repo.diff_of({"a.txt": "1\n\x1b[2Jcleared\n"})
    folder = repo.path.parent
    (folder / "evil.patch").write_bytes(diff)
    (folder / "plan.yaml").write_text(
        "maingate: 1\nname: evil\nrepo: repo\nworkstreams:\n  w:\n    tasks:\n      t: {patch: evil.patch}\n"
    )
    assert maingate("run", "plan.yaml", cwd=folder, home=hermetic_environment).returncode == 0
    leader, follower = os.openpty()
    try:
        done = maingate_bytes(
            "patch", "diff", "w/t", cwd=repo.path, home=hermetic_environment, stdout=follower
        )
        shown = os.read(leader, 65536)
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 0
    assert b"\\x1b[2Jcleared" in shown
    assert b"\x1b" not in shown


def test_events_are_the_whole_history_in_order(invoke: Invoke, played: Played) -> None:
    """Without a limit there is no gap but the facts, which say nothing to people."""
    events = reading(invoke, played, "events", "--limit", "0")
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    with closing(sqlite3.connect(played.stage.repository / ".git" / "maingate" / "maingate.db")) as raw:
        facts = [row[0] for row in raw.execute("SELECT seq FROM facts")]
    assert sorted(seqs + facts) == list(range(1, len(seqs) + len(facts) + 1))
    assert events[0]["to_state"] == "pending"
    assert len(reading(invoke, played, "events", "--limit", "5")) == 5
    assert reading(invoke, played, "events", "--limit", "5") == events[-5:]


def test_events_of_one_entity_by_its_name(invoke: Invoke, played: Played) -> None:
    """A workstream's own transitions, by the plan's name for it."""
    events = reading(invoke, played, "events", "--entity", "quantities")
    assert [event["to_state"] for event in events] == [
        "planned",
        "ready",
        "executing",
        "validating",
        "completed",
    ]


def test_events_of_one_type(invoke: Invoke, played: Played) -> None:
    """The short word and the full type are the same."""
    events = reading(invoke, played, "events", "--type", "patch", "--limit", "0")
    assert {event["event_type"] for event in events} == {"patch_ledger_state_transition"}
    assert events == reading(
        invoke, played, "events", "--type", "patch_ledger_state_transition", "--limit", "0"
    )


@pytest.mark.parametrize("width", ["40", "60", "80", "110", "200"])
def test_a_narrow_terminal_is_shown_all_that_a_wide_one_is(
    invoke: Invoke, played: Played, width: str
) -> None:
    """Runs keep their target, start and length, events both states and by what, whatever the width."""
    for command in (["runs"], ["events", "--entity", "daily-report"], ["patch", "list"]):
        wide, here = (
            invoke(*command, cwd=played.stage.repository, env={"COLUMNS": columns}).stdout
            for columns in ("400", width)
        )
        assert sorted("".join(wide.split())) == sorted("".join(here.split())), command


def test_a_type_of_events_that_does_not_exist_is_refused(invoke: Invoke, played: Played) -> None:
    """The types that there are, are named."""
    result = invoke("events", "--type", "nope", cwd=played.stage.repository)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "manual_override" in result.stderr


@pytest.mark.parametrize("command", ["patch list", "events"])
def test_a_list_that_is_cut_says_so(invoke: Invoke, played: Played, command: str) -> None:
    """How many more there are, and which option lists them; nothing when all are listed."""
    every = len(reading(invoke, played, *command.split(), "--limit", "5000"))
    cut = invoke(*command.split(), "--limit", "3", cwd=played.stage.repository).stdout
    assert f"… {every - 3} more, --limit" in cut
    assert (
        "more, --limit"
        not in invoke(*command.split(), "--limit", str(every), cwd=played.stage.repository).stdout
    )


def test_patch_diff_as_json_is_text_or_base64(invoke: Invoke, played: Played) -> None:
    """The object gives back the very bytes."""
    shown = reading(invoke, played, "patch", "diff", "readme/usage")
    raw = (played.stage.root / "patches" / "readme-usage.patch").read_bytes()
    assert set(shown) == {"patch", "diff", "encoding"}
    assert (shown["encoding"], shown["diff"].encode()) == ("utf-8", raw)
    assert diff_json(b"\xff") == {"encoding": "base64", "diff": "/w=="}


def abandoned(played: Played, tmp_path: Path) -> Path:
    """Arrange a copy in which the run is recorded as running, by nobody."""
    repository = played.copy_to(tmp_path)
    with closing(sqlite3.connect(repository / ".git" / "maingate" / "maingate.db")) as raw, raw:
        raw.execute("UPDATE runs SET state = 'running', completed_at = NULL")
    raw.close()
    return repository


def test_watching_a_run_whose_process_is_gone_ends(invoke: Invoke, played: Played, tmp_path: Path) -> None:
    """Nothing would ever change; the report says so, and so does its JSON."""
    repository = abandoned(played, tmp_path)
    shown = invoke("status", "--watch", cwd=repository)
    assert shown.exit_code == 0
    assert "not running: its process exited" in shown.stdout
    assert json.loads(invoke("status", "--json", cwd=repository).stdout)["alive"] is False


def test_a_patch_of_an_older_run_is_found_by_its_name(
    invoke: Invoke, repo: GitRepo, hermetic_environment: Path
) -> None:
    """What the list shows can be shown; the newest run that has the name counts, and is named."""
    repo.commit({"a.txt": "1\n"})
    folder = repo.path.parent
    for number, name in enumerate(["old", "new"]):
        (folder / "p.patch").write_bytes(repo.diff_of({f"{name}.txt": f"{number}\n"}))
        (folder / "plan.yaml").write_text(
            f"maingate: 1\nname: x\nrepo: repo\nworkstreams:\n  {name}:\n    tasks:\n"
            "      t: {patch: p.patch}\n"
        )
        assert maingate("run", "plan.yaml", cwd=folder, home=hermetic_environment).returncode == 0
    newest, oldest = json.loads(invoke("runs", "--json", cwd=repo.path).stdout)
    shown = invoke("patch", "show", "old/t", cwd=repo.path)
    assert f"from an older run: {oldest['run_id']}" in shown.stdout
    assert (
        json.loads(invoke("patch", "show", "t", "--json", cwd=repo.path).stdout)["run_id"] == newest["run_id"]
    )
    events = invoke("events", "--entity", "old", cwd=repo.path).stdout
    assert events.startswith(f"from an older run: {oldest['run_id']}\n")
    assert "workstream old" in events
    refused = invoke("cancel", "old", cwd=repo.path)
    assert refused.exit_code == 2
    assert f"`--run {oldest['run_id']}`" in refused.stderr
    missing = invoke("bisect", "old", "--gate", "unit", cwd=repo.path).stderr
    assert "is called" not in missing
    assert "unit" in missing
    narrow = invoke("patch", "list", cwd=repo.path, env={"COLUMNS": "60"}).stdout
    assert json.loads(shown_json := invoke("patch", "show", "old/t", "--json", cwd=repo.path).stdout)
    assert json.loads(shown_json)["id"] in narrow


def test_events_since_a_moment(invoke: Invoke, played: Played) -> None:
    """Only what happened from then on."""
    assert reading(invoke, played, "events", "--since", "2999-01-01T00:00:00Z") == []
    assert reading(invoke, played, "events", "--since", "1h")


def test_aggregate_counts_every_event(invoke: Invoke, played: Played) -> None:
    """The counts add up to the history."""
    counts = reading(invoke, played, "events", "--aggregate")
    assert sum(one["count"] for one in counts) == len(reading(invoke, played, "events", "--limit", "0"))


def test_events_follow_gives_json_lines_until_interrupted(played: Played, hermetic_environment: Path) -> None:
    """Each line is a document; Ctrl-C is how following ends well."""
    process = start_maingate(
        "events", "--follow", "--limit", "4", "--json", cwd=played.stage.repository, home=hermetic_environment
    )
    lines = [json.loads(process.stdout.readline()) for _ in range(4)]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, "")
    assert [line["seq"] for line in lines] == sorted(line["seq"] for line in lines)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", datetime(2026, 1, 31, 11, 50, tzinfo=UTC)),
        ("90", datetime(2026, 1, 31, 11, 58, 30, tzinfo=UTC)),
        ("2026-01-30T12:00:00Z", datetime(2026, 1, 30, 12, tzinfo=UTC)),
        ("2026-01-30T12:00:00+02:00", datetime(2026, 1, 30, 10, tzinfo=UTC)),
    ],
)
def test_since_takes_durations_and_moments(text: str, moment: datetime) -> None:
    """A duration counts back from now; a moment may name its zone."""
    assert parse_moment(text, now=datetime(2026, 1, 31, 12, tzinfo=UTC)) == moment


@pytest.mark.parametrize("text", ["yesterday", "", "-5m", "31.1."])
def test_since_refuses_what_is_neither(text: str) -> None:
    """The refusal shows both forms."""
    with pytest.raises(UsageError, match=r"10m.*2026-01-31"):
        parse_moment(text, now=datetime.now(UTC) - timedelta(0))


def test_audit_verify_finds_what_was_changed(invoke: Invoke, played: Played, tmp_path: Path) -> None:
    """A row changed behind the writer's back is exit code 1, with the finding in text and JSON."""
    repository = played.copy_to(tmp_path)
    with closing(sqlite3.connect(repository / ".git" / "maingate" / "maingate.db")) as raw, raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f'DROP TRIGGER "{name}"')
        raw.execute("UPDATE state_transitions SET trigger = 'forged' WHERE seq = 5")
    raw.close()
    result = invoke("audit", "verify", "--json", cwd=repository)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["intact"] is False
    assert 5 in [finding["seq"] for finding in found["findings"]]
    text = invoke("audit", "verify", cwd=repository)
    assert text.exit_code == 1
    assert "The record is damaged" in text.stdout


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda lines: lines[:2] + lines[3:], "lacks the line of row 3"),
        (
            lambda lines: [*lines[:2], lines[2].replace('"trigger"', '"TRIGGER"'), *lines[3:]],
            "line 3 of the file",
        ),
        (lambda lines: [*lines, "junk\n"], "cannot be read"),
    ],
)
def test_audit_verify_finds_what_was_changed_in_the_file(
    invoke: Invoke,
    played: Played,
    tmp_path: Path,
    edit: Callable[[list[str]], list[str]],
    found: str,
) -> None:
    """A line of transitions.jsonl that was removed, changed or added is a finding too."""
    repository = played.copy_to(tmp_path)
    file = repository / ".git" / "maingate" / "transitions.jsonl"
    file.write_text("".join(edit(file.read_text().splitlines(keepends=True))))
    result = invoke("audit", "verify", "--json", cwd=repository)
    assert result.exit_code == 1
    [finding] = json.loads(result.stdout)["findings"]
    assert found in finding["problem"]


def test_reading_loads_nothing_that_runs_plans(played: Played, tmp_path: Path) -> None:
    """`status` is as quick as what it needs: neither the scheduler, nor workers, nor what reads plans."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "maingate", "status"],
        cwd=played.stage.repository,
        env=a_clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "maingate.queries.runs.report" in loaded
    unwanted = {
        "maingate.orchestrator.core.core",
        "maingate.orchestrator.core.effects",
        "maingate.orchestrator.core.events",
        "maingate.plan.loader",
        "maingate.recovery.rollback_manager",
        "maingate.workers.pool_manager",
        "pathspec",
        "yaml",
    }
    assert not loaded & unwanted
