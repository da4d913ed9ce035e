"""transitions.jsonl follows the table: no gap, no duplicate, after any end of the writer.

See docs/SPECIFICATION.md §1, rule 4.
"""

import fcntl
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from maingate.db import transition_log
from maingate.db.audit.record_check import verify
from maingate.db.dao import artifacts
from maingate.db.dao.history import events
from maingate.db.engine import Database, open_database
from maingate.db.transition_log import TransitionLog
from maingate.db.transitions import write
from maingate.errors import DatabaseError
from maingate.events import Event, Severity
from maingate.ids import new_id
from maingate.state.steps import tasks as task_steps
from support.database_factories import NOW, REASON, World, fresh, make_world

LATER = NOW + timedelta(milliseconds=1500)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is; its folder does not exist yet."""
    return tmp_path / "state" / "transitions.jsonl"


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Read the file; every line must be whole."""
    text = path.read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def numbers(path: Path) -> list[int]:
    """Return the numbers of the file's transitions."""
    return [line["seq"] for line in lines_of(path)]


def move(database: Database, world: World) -> None:
    """Make one more transition, in an entity of its own."""
    with database.write() as connection:
        fresh(connection, world, "task", at=LATER)


def test_every_transition_is_written_once_in_order(database: Database, world: World, path: Path) -> None:
    """Catching up writes what is missing, and nothing when nothing is."""
    log = TransitionLog(path, database)
    assert log.catch_up() == 8
    assert log.catch_up() == 0
    move(database, world)
    assert log.catch_up() == 1
    assert numbers(path) == list(range(1, 10))


def test_a_line_says_what_the_specification_asks_for(database: Database, world: World, path: Path) -> None:
    """A line has the fields of an event, with UTC time in milliseconds, and the hash of the audit row."""
    with database.write() as connection:
        step = task_steps.block(world.task, REASON, metadata={"needs": "task_0"}, operator="ada")
        head = write(connection, {world.task.id: world.task.head}, [step], at=LATER)[world.task.id]
    TransitionLog(path, database).catch_up()
    line = lines_of(path)[-1]
    assert line.pop("event_id").startswith("evt_")
    assert line == {
        "seq": 9,
        "timestamp": "2026-01-01T12:00:01.500Z",
        "event_type": "task_state_transition",
        "severity": "warning",
        "entity_type": "task",
        "entity_id": world.task.id,
        "from_state": "pending",
        "to_state": "blocked",
        "trigger": "dependency_check_failed",
        "reason": REASON.as_json(),
        "metadata": {"needs": "task_0"},
        "operator": "ada",
        "context": {
            "run_id": world.run.id,
            "workstream_id": world.workstream.id,
            "task_id": world.task.id,
        },
        "version": 2,
        "sets": {"reason": ANY},
        "hash": head.chain_hash,
    }


def test_events_and_facts_have_their_lines_too(database: Database, world: World, path: Path) -> None:
    """The file tells every row of the ledger, so that its numbers have no gap."""
    event = Event(event_id=new_id("evt"), timestamp=LATER, event_type="warning", severity=Severity.WARNING)
    with database.write() as connection:
        events.record(connection, event)
        artifacts.store(connection, world.patch.id, b"diff")
    move(database, world)
    TransitionLog(path, database, batch=2).catch_up()
    assert numbers(path) == list(range(1, 12))
    warning, fact = lines_of(path)[8:10]
    assert (warning["event_type"], warning["event_id"]) == ("warning", event.event_id)
    assert (fact["event_type"], fact["about"], fact["key"]) == ("fact", "patch_artifacts", [world.patch.id])
    assert list(fact["sets"]) == ["*"]
    assert verify(database, log=path).is_intact


@pytest.mark.parametrize("cut", [1, 30, 400, 700, 1500])
def test_a_torn_end_is_written_again(database: Database, world: World, path: Path, cut: int) -> None:
    """A crash in the middle of writing leaves a torn line: it is cut off, and nothing is lost or doubled."""
    TransitionLog(path, database).catch_up()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    move(database, world)
    assert TransitionLog(path, database).catch_up() >= 2
    assert numbers(path) == list(range(1, 10))
    assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize("junk", [b'{"seq": 9', b"\0" * 5000, b"\0\0\n", b"[]\n", b"{}\n", b"\xff\xfe\n\n"])
def test_junk_at_the_end_is_cut_off(database: Database, world: World, path: Path, junk: bytes) -> None:
    """Bytes that a power cut left behind the last whole line are removed."""
    assert world.run.version == 1
    TransitionLog(path, database).catch_up()
    whole = path.read_bytes()
    path.write_bytes(whole + junk)
    assert TransitionLog(path, database).catch_up() == 0
    assert path.read_bytes() == whole


def test_a_lost_file_is_written_anew(database: Database, world: World, path: Path) -> None:
    """The table is the truth: a file that was removed or emptied comes back, also under a running writer."""
    assert world.run.version == 1
    log = TransitionLog(path, database)
    log.catch_up()
    whole = path.read_bytes()
    path.unlink()
    assert log.catch_up() == 8
    path.write_bytes(b"")
    assert log.catch_up() == 8
    assert path.read_bytes() == whole


def test_a_long_last_line_is_found(database: Database, world: World, path: Path) -> None:
    """The end of the file is found however long its last line is."""
    with database.write() as connection:
        step = task_steps.queue(world.task, metadata={"text": "x" * 300_000})
        write(connection, {world.task.id: world.task.head}, [step], at=LATER)
    TransitionLog(path, database).catch_up()
    move(database, world)
    assert TransitionLog(path, database).catch_up() == 1
    assert numbers(path) == list(range(1, 11))


def test_writers_at_once_neither_double_nor_leave_out(database: Database, world: World, path: Path) -> None:
    """Several processes may follow one database into one file while others write to it."""

    def follow(number: int) -> int:
        log, written = TransitionLog(path, database), 0
        for _ in range(5):
            if number % 2:
                move(database, world)
            written += log.catch_up()
        return written

    with ThreadPoolExecutor(4) as pool:
        written = sum(pool.map(follow, range(4)))
    assert written == 18
    assert numbers(path) == list(range(1, 19))


def test_more_than_one_batch_is_written(database: Database, world: World, path: Path) -> None:
    """A file that is far behind catches up whole."""
    with database.write() as connection:
        for _ in range(30):
            fresh(connection, world, "run")
    assert TransitionLog(path, database, batch=7).catch_up() == 38
    assert numbers(path) == list(range(1, 39))


def test_the_file_of_another_database_is_refused(database: Database, world: World, path: Path) -> None:
    """A file is never continued with transitions of a database that it does not belong to."""
    assert world.run.version == 1
    TransitionLog(path, database).catch_up()
    other = open_database(f"sqlite:///{path.parent / 'other.db'}")
    other.upgrade()
    with other.write() as connection:
        make_world(connection)
    log = TransitionLog(path, other)
    for refuses in (log.check, log.catch_up):
        with pytest.raises(DatabaseError, match=r"belongs to another database: .* move the file away"):
            refuses()
    other.close()


def test_a_file_that_can_be_continued_is_not_touched_by_the_check(
    database: Database, world: World, path: Path
) -> None:
    """The check writes nothing: no file, no line, and a torn end stays for the writer."""
    log = TransitionLog(path, database)
    log.check()
    assert not path.parent.exists()
    log.catch_up()
    move(database, world)
    path.write_bytes(torn := path.read_bytes()[:-7])
    log.check()
    assert path.read_bytes() == torn


def test_a_file_that_cannot_be_written_says_so(database: Database, tmp_path: Path) -> None:
    """A fault of the disk is a clear error."""
    for refuses in (TransitionLog(tmp_path, database).check, TransitionLog(tmp_path, database).catch_up):
        with pytest.raises(DatabaseError, match="cannot be written"):
            refuses()


def test_a_killed_writer_leaves_nothing_out(database: Database, url: str, world: World, path: Path) -> None:
    """A process that is killed between its commits and the file is made up for by the next one."""
    code = (
        "import os, sys\n"
        "from maingate.db.engine import open_database\n"
        "from maingate.db.transition_log import TransitionLog\n"
        "from pathlib import Path\n"
        "from maingate.db import transition_log\n"
        "written = []\n"
        "def torn(descriptor, data):\n"
        "    os.write(descriptor, data[: len(data) // 2])\n"
        "    os.kill(os.getpid(), 9)\n"
        "transition_log._write_all = torn\n"
        f"TransitionLog(Path({str(path)!r}), open_database({url!r})).catch_up()\n"
    )
    assert world.run.version == 1
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -9
    assert path.read_bytes()
    TransitionLog(path, database).catch_up()
    assert numbers(path) == list(range(1, 9))


def test_a_writer_that_does_not_let_go_holds_up_nobody_for_ever(
    database: Database, world: World, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that could not be written are written by the next call; none beside the holder of the lock."""
    monkeypatch.setattr(transition_log, "LOCK_TIMEOUT", timedelta(milliseconds=30))
    log = TransitionLog(path, database)
    log.catch_up()
    move(database, world)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert log.catch_up() == 0
        log.check()
    assert numbers(path) == list(range(1, 9))
    assert log.catch_up() == 1
