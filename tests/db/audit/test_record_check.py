"""`audit verify` finds whatever was changed past the writer, on both databases.

See docs/SPECIFICATION.md §8.5.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from maingate.db.audit.record_check import AuditReport, verify
from maingate.db.dao import runs
from maingate.db.dao.history import events
from maingate.db.engine import Database, open_database
from maingate.db.ledger.chain import COLUMNS, HASHED, hash_of
from maingate.db.sql.statements import change, insertion, row_of
from maingate.db.transition_log import TransitionLog
from maingate.db.transitions import write
from maingate.errors import DatabaseError
from maingate.events import Event, Severity
from maingate.ids import new_id
from maingate.state.steps import tasks as task_steps
from support.database_factories import NOW, REASON, World, make_run, make_world
from support.tampering import drop_triggers, rehash

LATER = NOW + timedelta(seconds=1)


@pytest.fixture
def lived(database: Database, world: World) -> str:
    """Return a task that has five audit rows, in a database without triggers."""
    steps = [
        task_steps.queue(world.task),
        task_steps.start(world.task, worker_id=world.worker.id),
        task_steps.produced(world.task),
        task_steps.fail(world.task, REASON, trigger="validation_failed"),
    ]
    with database.write() as connection:
        write(connection, {world.task.id: world.task.head}, steps, at=LATER)
        drop_triggers(connection)
    assert verify(database) == AuditReport(chains=8, rows=12, findings=())
    return world.task.id


@contextmanager
def tampering(database: Database) -> Iterator[Callable[..., int]]:
    """Return a function that runs a statement past the writer."""
    with database.write() as connection:

        def tamper(sql: str, *values: Any) -> int:
            return change(connection, sql, values)

        yield tamper


def problems_of(database: Database, entity_id: str | None) -> str:
    """Return what was found about an entity, or about none."""
    found = verify(database).findings
    assert found
    return "; ".join(finding.problem for finding in found if finding.entity_id == entity_id)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("reason", '{"code":"rejected"}'),
        ("reason", None),
        ("metadata", '{"x":1}'),
        ("operator", "mallory"),
        ("trigger", "user_cancelled"),
        ("from_state", "blocked"),
        ("to_state", "completed"),
        ("at", 1),
        ("event_id", "evt_0"),
        ("run_id", "run_0"),
        ("task_id", None),
        ("hash", "0" * 64),
        ("sets", "{}"),
        ("prev_hash", "0" * 64),
        ("entity_type", "run"),
    ],
)
def test_a_changed_row_is_found(database: Database, lived: str, column: str, value: Any) -> None:
    """Any column of an audit row that was changed shows at that row."""
    with tampering(database) as tamper:
        sql = f'UPDATE state_transitions SET "{column}" = ? WHERE entity_id = ? AND version = 5'
        assert tamper(sql, value, lived) == 1
    found = [finding for finding in verify(database).findings if finding.entity_id == lived]
    assert any("hash does not fit" in finding.problem and finding.seq is not None for finding in found)


@pytest.mark.parametrize(
    ("version", "problem"),
    [(1, "first row of the chain was removed"), (3, "a row before this one"), (5, "last rows were removed")],
)
def test_a_removed_row_is_found(database: Database, lived: str, version: int, problem: str) -> None:
    """The first, a middle and the last row of a chain cannot be taken out unseen."""
    with tampering(database) as tamper:
        sql = "DELETE FROM state_transitions WHERE entity_id = ? AND version = ?"
        assert tamper(sql, lived, version) == 1
    assert problem in problems_of(database, lived)
    assert "removed" in problems_of(database, None)


def test_a_removed_chain_is_found(database: Database, lived: str) -> None:
    """An entity without its audit shows."""
    with tampering(database) as tamper:
        assert tamper("DELETE FROM state_transitions WHERE entity_id = ?", lived) == 5
    assert "whole chain" in problems_of(database, lived)


def test_a_chain_that_was_removed_with_its_entity_is_found(database: Database, lived: str) -> None:
    """Even when nothing refers to it any more, its numbers are missing from the sequence."""
    with database.write() as connection:
        [run] = runs.insert_many(connection, [make_run()], at=LATER)
    assert lived
    with tampering(database) as tamper:
        tamper("DELETE FROM state_transitions WHERE entity_id = ?", run.id)
        tamper("DELETE FROM runs WHERE id = ?", run.id)
    assert "row 13 was removed" in problems_of(database, None)


def test_a_removed_event_is_found(database: Database, lived: str) -> None:
    """Events that are no transitions share the sequence, so their removal shows as well."""
    event = Event(
        event_id=new_id("evt"), timestamp=LATER, event_type="manual_override", severity=Severity.WARNING
    )
    assert lived
    with database.write() as connection:
        events.record(connection, event)
    assert verify(database).is_intact
    with tampering(database) as tamper:
        tamper("DELETE FROM events")
    assert "row 13 was removed" in problems_of(database, None)


@pytest.mark.parametrize("place", ["middle", "end"])
def test_an_inserted_row_is_found(database: Database, lived: str, place: str) -> None:
    """A row that the writer did not write shows, even when it is well made by itself."""
    with database.write() as connection:
        end = row_of(
            connection,
            f"SELECT {', '.join(COLUMNS)} FROM state_transitions WHERE entity_id = ? AND version = 5",
            [lived],
        )
        assert end is not None
        forged = dict(zip(COLUMNS, end, strict=True))
        forged |= {"seq": 900, "version": 6, "from_state": "failed", "to_state": "completed"}
        forged |= {"trigger": "validation_passed", "event_id": new_id("evt"), "prev_hash": forged["hash"]}
        if place == "middle":
            change(
                connection,
                "UPDATE state_transitions SET version = 7 WHERE entity_id = ? AND version = 5",
                [lived],
            )
            forged |= {"version": 5}
        forged["hash"] = hash_of([forged[name] for name in HASHED], forged["prev_hash"])
        change(connection, insertion("state_transitions", COLUMNS), list(forged.values()))
    assert "inserted" in problems_of(database, lived) or "added" in problems_of(database, lived)
    assert "inserted past the writer" in problems_of(database, None)


def test_an_inserted_chain_is_found(database: Database, lived: str) -> None:
    """A chain of an entity that does not exist shows."""
    with tampering(database) as tamper:
        tamper("UPDATE state_transitions SET entity_id = 'task_0' WHERE entity_id = ? AND version = 1", lived)
    assert "entity was removed" in problems_of(database, "task_0")


@pytest.mark.parametrize(
    ("change_", "problem"),
    [
        ("state = 'completed'", "the state of the entity was changed"),
        ("version = 6", "last rows were removed"),
        ("version = 4", "rows were added"),
        ("chain_hash = '" + "0" * 64 + "'", "not the one that the writer left"),
    ],
)
def test_an_entity_that_was_changed_past_the_writer_is_found(
    database: Database, lived: str, change_: str, problem: str
) -> None:
    """State, version and hash of an entity's row must be those of the end of its chain."""
    with tampering(database) as tamper:
        tamper(f"UPDATE tasks SET {change_} WHERE id = ?", lived)
    assert problem in problems_of(database, lived)


def test_a_chain_that_was_rewritten_whole_is_found_by_the_file(
    database: Database, lived: str, tmp_path: Path
) -> None:
    """A chain that is rewritten to its end still differs from the file of transitions."""
    path = tmp_path / "transitions.jsonl"
    TransitionLog(path, database).catch_up()
    assert verify(database, log=path).is_intact
    with database.write() as connection:
        sql = "UPDATE state_transitions SET operator = 'mallory' WHERE entity_id = ? AND version = 2"
        change(connection, sql, [lived])
        rehash(connection)
    assert verify(database).is_intact
    found = verify(database, log=path).findings
    assert {finding.entity_id for finding in found} == {lived}
    assert "rewritten" in found[0].problem


def test_a_transition_that_only_the_file_has_is_found(database: Database, lived: str, tmp_path: Path) -> None:
    """A line of the file without its audit row shows that the row was removed."""
    path = tmp_path / "transitions.jsonl"
    TransitionLog(path, database).catch_up()
    with tampering(database) as tamper:
        tamper("DELETE FROM state_transitions WHERE entity_id = ? AND version = 5", lived)
    found = verify(database, log=path).findings
    assert any("the audit does not" in finding.problem for finding in found)


@pytest.fixture
def path(database: Database, lived: str, tmp_path: Path) -> Path:
    """Return the file of twelve transitions."""
    assert lived
    path = tmp_path / "transitions.jsonl"
    TransitionLog(path, database).catch_up()
    assert verify(database, log=path).is_intact
    return path


def in_file(database: Database, path: Path) -> list[tuple[int | None, str]]:
    """Return what the file is found to have, which the audit alone has not."""
    assert verify(database).is_intact
    return [(finding.seq, finding.problem) for finding in verify(database, log=path).findings]


OF_FILE = "of the file of transitions"


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda lines: lines[:2] + lines[3:], [(3, "the file of transitions lacks the line of row 3")]),
        (lambda lines: lines[4:], [(1, "the file of transitions lacks lines of rows 1 to 4")]),
        (
            lambda lines: [*lines[:8], lines[8].replace(b'"pending"', b'"PENDING"'), *lines[9:]],
            [(9, f"line 9 {OF_FILE} does not say what the row says")],
        ),
        (
            lambda lines: [*lines[:-1], lines[-1].replace(b'"version":5', b'"version":6')],
            [(12, f"line 12 {OF_FILE} does not say what the row says")],
        ),
        (
            lambda lines: [*lines[:-1], lines[-1].replace(b'"hash":"', b'"hash":"0')],
            [(12, f"the row is not line 12 {OF_FILE}: one was rewritten")],
        ),
        (lambda lines: [*lines, b"junk\n"], [(None, f"line 13 {OF_FILE} cannot be read")]),
        (
            lambda lines: [*lines, b"\xff\n", b"[]\n", b'{"seq": "x"}\n', b"[" * 100_000 + b"\n"],
            [(None, f"lines 13 to 16 {OF_FILE} cannot be read")],
        ),
        (
            lambda lines: [*lines[:2], b"\n", *lines[3:]],
            [
                (None, f"line 3 {OF_FILE} cannot be read"),
                (3, "the file of transitions lacks the line of row 3"),
            ],
        ),
        (lambda lines: [*lines, lines[-1]], [(12, f"line 13 {OF_FILE} is there twice")]),
        (
            lambda lines: [lines[1], lines[0], *lines[2:]],
            [(1, f"line 2 {OF_FILE} is out of order")],
        ),
        (
            lambda lines: [*lines, *(lines[-1].replace(b'"seq":12', b'"seq":%d' % n) for n in (13, 14))],
            [(13, "the file of transitions has rows 13 to 14, the audit does not")],
        ),
    ],
)
def test_what_was_changed_in_the_file_is_found(
    database: Database,
    path: Path,
    edit: Callable[[list[bytes]], list[bytes]],
    found: list[tuple[int | None, str]],
) -> None:
    """Every line must say what its row says, none may be missing before the last, none be too many."""
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    assert in_file(database, path) == found


@pytest.mark.parametrize("kept", [0, 1, 700, 3000])
def test_a_file_that_lags_is_whole(database: Database, path: Path, kept: int) -> None:
    """Lines that are not written yet, and an incomplete last one, are no tampering."""
    path.write_bytes(path.read_bytes()[:kept])
    assert in_file(database, path) == []


def test_a_missing_file_is_one_that_lags(database: Database, path: Path) -> None:
    """No file, nothing to compare with."""
    path.unlink()
    assert in_file(database, path) == []


def test_a_file_that_says_the_same_in_other_spelling_is_whole(database: Database, path: Path) -> None:
    """The values of a line count, not its spacing."""
    path.write_bytes(path.read_bytes().replace(b'": ', b'" :  '))
    assert in_file(database, path) == []


def test_a_row_that_can_no_longer_be_read_is_found(database: Database, path: Path, lived: str) -> None:
    """A row that was made unreadable is a finding, not a crash."""
    with tampering(database) as tamper:
        tamper("UPDATE state_transitions SET metadata = 'no JSON' WHERE entity_id = ? AND version = 2", lived)
    found = [finding.problem for finding in verify(database, log=path).findings]
    assert f"line 9 {OF_FILE} does not say what the row says" in found


def test_the_file_of_another_database_is_one_finding(
    dialect: str, new_url: Callable[..., str], path: Path
) -> None:
    """A file of another database is reported once."""
    other = open_database(new_url(dialect))
    for others_rows in (0, 8):
        if others_rows:
            with other.write() as connection:
                make_world(connection)
        [(seq, problem)] = in_file(other, path)
        assert seq is None
        assert "belongs to another database" in problem
        assert "move the file away" in problem
    other.close()


def test_a_file_that_cannot_be_read_says_so(database: Database, tmp_path: Path) -> None:
    """A fault of the disk is a clear error."""
    with pytest.raises(DatabaseError, match="cannot be read"):
        verify(database, log=tmp_path)


def test_an_empty_audit_is_intact(dialect: str, new_url: Callable[..., str]) -> None:
    """A database without entities has nothing wrong with it."""
    database = open_database(new_url(dialect))
    assert verify(database) == AuditReport(chains=0, rows=0, findings=())
    database.close()


def test_the_report_reads_as_json(database: Database, lived: str) -> None:
    """The public form says whether it is intact, how much was looked at, and every finding."""
    with tampering(database) as tamper:
        tamper("UPDATE tasks SET state = 'completed' WHERE id = ?", lived)
    assert verify(database).as_json() == {
        "intact": False,
        "chains": 8,
        "rows": 12,
        "facts": 0,
        "anchors": 0,
        "notes": [],
        "findings": [
            {
                "entity_type": "task",
                "entity_id": lived,
                "seq": None,
                "problem": "the state of the entity was changed: it is completed, the chain says failed",
            }
        ],
    }
