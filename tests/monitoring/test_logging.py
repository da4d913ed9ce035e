"""The log has one line for each event, whatever is in it, and no secret."""

import errno
import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao.history import events
from maingate.events import Event, Severity
from maingate.monitoring.logging import LogFormat, LogHook
from support.factories import GitRepo
from support.landing import land

EVENT = Event(
    event_id="evt_1",
    timestamp=datetime(2026, 1, 1, 12, 0, 0, 5000, tzinfo=UTC),
    event_type="task_state_transition",
    severity=Severity.ERROR,
    entity_type="task",
    entity_id="task_1",
    from_state="running",
    to_state="failed",
    trigger="retries_exhausted",
    reason={"code": "tool_failed", "message": "it said \x1b[31mhunter2-secret\n\u202e", "detail": {}},
    run_id="run_1",
    seq=7,
)


def test_a_line_of_json_has_what_the_event_has(tmp_path: Path) -> None:
    """Nothing that it lacks, no secret, and control characters escaped."""
    path = tmp_path / "log"
    hook = LogHook(path, style="json", secrets=["hunter2-secret"])
    hook.take([EVENT, replace(EVENT, seq=8, reason=None)])
    first, second = path.read_text().splitlines()
    assert json.loads(first) == {
        "timestamp": "2026-01-01T12:00:00.005Z",
        "level": "error",
        "event": "task_state_transition",
        "seq": 7,
        "entity": "task_1",
        "from": "running",
        "to": "failed",
        "trigger": "retries_exhausted",
        "code": "tool_failed",
        "message": "it said \x1b[31m[redacted]\n\u202e",
        "run": "run_1",
    }
    assert first.isascii()
    assert first.isprintable()
    assert json.loads(second)["seq"] == 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("secret", ["pässwort", 'a"b\\c', "two\nlines"])
def test_a_secret_is_not_written_in_the_manner_of_the_log_either(
    tmp_path: Path, style: LogFormat, secret: str
) -> None:
    """Quotes, backslashes and letters are written otherwise than they are."""
    hook = LogHook(tmp_path / "log", style=style, secrets=[secret])
    line = hook.line(replace(EVENT, reason={"code": "tool_failed", "message": f"<{secret}>"}))
    assert "<[redacted]>" in line


def test_a_line_that_was_written_in_part_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk took a part of it; the batch comes again."""
    write, calls = os.write, list[int]()

    def failing(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return write(descriptor, bytes(data)[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    hook = LogHook(tmp_path / "log", style="json")
    with monkeypatch.context() as full:
        full.setattr(os, "write", failing)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                hook.take([EVENT])
    for _ in range(2):
        hook.take([EVENT])
    part, *whole = (tmp_path / "log").read_text().splitlines()
    assert (len(part), [json.loads(line)["seq"] for line in whole]) == (9, [7, 7])


def test_a_line_for_people_is_one_line_too(tmp_path: Path) -> None:
    """Text from outside neither breaks a line nor changes the terminal."""
    path = tmp_path / "log"
    LogHook(path, style="console", secrets=["hunter2-secret"]).take([EVENT])
    [line] = path.read_text().splitlines()
    assert line.isprintable()
    assert "task_state_transition" in line
    assert "hunter2" not in line


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The events come again then."""
    with pytest.raises(OSError, match="folder"):
        LogHook(tmp_path / "no" / "folder", style="json").take([EVENT])


def test_a_run_logs_every_event_once(repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its admission to its end; the next run goes on with the same file."""
    path = tmp_path / "log"
    repo.commit({"a.txt": "one\n"})
    first = repo.diff_of({"a.txt": "two\n"})
    land(repo, {"early": repo.diff_of({"b.txt": "b\n"})})
    with Maingate.open(repo.path) as maingate, maingate.database.read() as conn:
        before = events.query(conn, limit=10_000)[-1].seq or 0
    monkeypatch.setenv("MAINGATE_LOG_FILE", str(path))
    for patches in ({"first": first}, {"second": repo.diff_of({"c.txt": "c\n"})}):
        assert land(repo, patches).state == "succeeded"
        with Maingate.open(repo.path) as maingate, maingate.database.read() as conn:
            wanted = [event.seq for event in events.query(conn, after_seq=before, limit=10_000)]
        assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == wanted


def test_a_log_that_cannot_be_written_stops_no_run(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run says so, once, and lands."""
    path = tmp_path / "log"
    path.mkdir()
    monkeypatch.setenv("MAINGATE_LOG_FILE", str(path))
    repo.commit({"a.txt": "one\n"})
    assert land(repo, {"first": repo.diff_of({"a.txt": "two\n"})}).state == "succeeded"
    with Maingate.open(repo.path) as maingate, maingate.database.read() as conn:
        warnings = [event.reason for event in events.query(conn, type="warning")]
    assert len(warnings) == 1
    assert warnings[0] is not None
    assert "hook log failed" in warnings[0]["message"]
