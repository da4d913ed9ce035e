"""Evidence is bound into the ledger; other columns are listed, with a reason, as no evidence."""

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from maingate.db import migrations
from maingate.db.audit.ledger_check import Anchor
from maingate.db.audit.record_check import verify
from maingate.db.dao import approvals, artifacts, intents, requests, runs, tasks, tool_runs, verdicts
from maingate.db.dao.history import events
from maingate.db.engine import Database, open_database
from maingate.db.ledger.bound_columns import CHANGING, FACTS, RECOMPUTED, UNBOUND, fixed_columns
from maingate.db.ledger.facts import OWNER
from maingate.db.ledger.running_head import Position, position
from maingate.db.schema.tables import ENTITIES, metadata
from maingate.db.sql.statements import change, row_of
from maingate.errors import InvariantError
from maingate.events import Event, Severity
from maingate.ids import new_id
from maingate.state.operator_rules import RequestAnswer
from maingate.state.tool_run import ToolRun
from support.database_factories import NOW, World
from support.database_samples import load_sample
from support.tampering import drop_triggers, rehash

COLUMNS = [(table.name, column.name) for table in metadata.tables.values() for column in table.columns]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with at least one row in every table, without triggers."""
    path = tmp_path_factory.mktemp("sample") / "sample.db"
    database = open_database(f"sqlite:///{path}")
    database.upgrade()
    with database.write() as connection:
        change(connection, "DELETE FROM record")
        load_sample(connection, migrations.HEAD)
        drop_triggers(connection)
    assert verify(database).is_intact
    database.close()
    return path


@pytest.fixture
def copied(sample: Path, tmp_path: Path) -> Path:
    """Return a copy of the sample that a test may change."""
    with sqlite3.connect(sample) as source, sqlite3.connect(tmp_path / "copy.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    return tmp_path / "copy.db"


def forged(value: Any) -> Any:
    """Return another value of the same kind."""
    if value is None:
        return 7
    if isinstance(value, bytes):
        return value + b"x"
    return value + 1000 if isinstance(value, int) else f"{value}x"


def tamper(path: Path, sql: str, *values: Any) -> int:
    """Run a statement as somebody with the file and no respect for constraints would."""
    raw = sqlite3.connect(path)
    with raw:
        raw.execute("PRAGMA ignore_check_constraints = 1")
        count = raw.execute(sql, values).rowcount
    raw.close()
    return count


def findings(path: Path) -> list[str]:
    """Return what is found in a file."""
    database = open_database(f"sqlite:///{path}")
    found = [finding.problem for finding in verify(database).findings]
    database.close()
    return found


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_every_column_is_bound_or_listed_as_no_evidence(copied: Path, table: str, column: str) -> None:
    """A change of a column past the program is found, unless the column is listed as not being evidence."""
    key = [each.name for each in metadata.tables[table].primary_key.columns]
    listed, matched = ", ".join(f'"{name}"' for name in key), " AND ".join(f'"{name}" = ?' for name in key)
    raw = sqlite3.connect(copied)
    sql = f'SELECT "{column}", {listed} FROM "{table}" ORDER BY {listed} LIMIT 1'
    [value, *row] = raw.execute(sql).fetchone()
    raw.close()
    assert tamper(copied, f'UPDATE "{table}" SET "{column}" = ? WHERE {matched}', forged(value), *row) == 1
    assert bool(findings(copied)) is (column not in UNBOUND.get(table, {}))


def test_a_digest_in_the_place_of_what_it_is_of_is_found(copied: Path) -> None:
    """Bytes are not bound as a text would be: a diff that was replaced by its own digest is gone."""
    raw = sqlite3.connect(copied)
    [diff] = raw.execute("SELECT diff FROM patch_artifacts ORDER BY rowid LIMIT 1").fetchone()
    raw.close()
    digest = f"sha256:{sha256(diff).hexdigest()}"
    sql = "UPDATE patch_artifacts SET diff = ? WHERE rowid = (SELECT min(rowid) FROM patch_artifacts)"
    assert tamper(copied, sql, digest) == 1
    assert any("patch_artifacts" in problem and "was changed" in problem for problem in findings(copied))


def test_a_second_name_of_the_record_is_found(copied: Path) -> None:
    """Whose ledger it is has one answer: with a second row, the next process may begin with the other."""
    assert tamper(copied, "INSERT INTO record SELECT id || 'x' FROM record") == 1
    assert any("2 names" in problem for problem in findings(copied))


def test_each_column_is_of_one_kind() -> None:
    """A column changes by the ledger alone, or never, or is no evidence; names in the lists are columns."""
    for name, table in metadata.tables.items():
        kinds = [
            CHANGING.get(name, frozenset()),
            UNBOUND.get(name, {}).keys(),
            RECOMPUTED.get(name, frozenset()),
        ]
        listed = [column for kind in kinds for column in kind]
        assert len(listed) == len(set(listed))
        assert set(listed) | set(fixed_columns(name)) == set(table.c.keys())
    assert set(CHANGING) == {table.name for table in ENTITIES.values()}
    assert set(OWNER) == set(FACTS)
    assert all(why for columns in UNBOUND.values() for why in columns.values())


@pytest.mark.parametrize("table", [*FACTS, *(table.name for table in ENTITIES.values())])
def test_a_removed_row_is_found(copied: Path, table: str) -> None:
    """No row of evidence can be taken out."""
    assert tamper(copied, f'DELETE FROM "{table}"') >= 1
    assert findings(copied)


@pytest.mark.parametrize("table", FACTS)
def test_a_row_that_was_put_in_is_found(copied: Path, table: str) -> None:
    """Evidence that the program did not write has no fact, such as a forged approval."""
    names = [column.name for column in metadata.tables[table].columns]
    key = [column.name for column in metadata.tables[table].primary_key.columns][-1]
    listed = ", ".join(f'"{name}"' for name in names)
    chosen = listed.replace(f'"{key}"', f'"{key}" || 1')
    assert tamper(copied, f'INSERT INTO "{table}" ({listed}) SELECT {chosen} FROM "{table}" LIMIT 1') == 1
    assert any("was inserted" in problem for problem in findings(copied))


@pytest.mark.parametrize("table", FACTS)
def test_a_fact_that_was_removed_is_found(copied: Path, table: str) -> None:
    """Neither can what binds a row be taken out: its number is missing, and the row stands alone."""
    assert tamper(copied, "DELETE FROM facts WHERE about = ?", table) >= 1
    found = findings(copied)
    assert any("was inserted" in problem for problem in found)
    assert any(problem.startswith("row") and "removed" in problem for problem in found)


def tool_run(world: World) -> ToolRun:
    """Make a tool's attempt that is not stored yet."""
    return ToolRun(
        task_id=world.task.id, attempt=1, run_id=world.run.id, tool="t", outcome="patch", ended_at=NOW
    )


def request(world: World) -> requests.Request:
    """Make a request that is not stored yet."""
    return requests.Request(
        id=new_id("req"),
        run_id=world.run.id,
        kind="cancel",
        entity_id=world.run.id,
        message="m",
        operator="ada",
        created_at=NOW,
    )


def verdict(world: World) -> verdicts.Verdict:
    """Make a verdict that is not stored yet."""
    return verdicts.Verdict(
        key="k",
        gate_name="unit",
        tree="a" * 40,
        state="PASSED",
        exit_code=0,
        is_flaky=False,
        gate_id=world.gate.id,
        created_at=NOW,
    )


@pytest.fixture
def proven(database: Database, world: World) -> World:
    """Return a world with evidence of each kind, in a database without triggers."""
    intent = intents.Intent(
        id=new_id("intent"),
        run_id=world.run.id,
        workstream_id=world.workstream.id,
        ref="refs/heads/main",
        old="a" * 40,
        new="b" * 40,
        created_at=NOW,
    )
    asked = request(world)
    evidence = verdicts.Evidence(
        subject_kind="patch",
        subject_id=world.patch.id,
        gate_name="unit",
        tree="a" * 40,
        gate_id=world.gate.id,
        reused=False,
        created_at=NOW,
    )
    with database.write() as connection:
        artifacts.store(connection, world.patch.id, b"diff")
        verdicts.store(connection, verdict(world))
        verdicts.attach(connection, evidence)
        intents.record(connection, intent)
        intents.landed(connection, intent.id, NOW)
        approvals.add(connection, approvals.Approval(patch_id=world.patch.id, operator="ada", created_at=NOW))
        tool_runs.record(connection, [tool_run(world)])
        requests.ask(connection, asked)
        requests.answer(connection, RequestAnswer(request=asked.id, said="done"), NOW)
        runs.record_head(connection, world.run.id, "c" * 40)
        drop_triggers(connection)
    assert verify(database).is_intact
    return world


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE patch_artifacts SET diff = '\\x41'",
        "DELETE FROM patch_artifacts",
        "UPDATE verdicts SET exit_code = 1",
        "DELETE FROM verdicts",
        "UPDATE gate_evidence SET tree = 'b'",
        "UPDATE gate_evidence SET reused = NOT reused",
        "DELETE FROM intents",
        "UPDATE intents SET commits = '{}', new = 'd'",
        "UPDATE intents SET state = 'abandoned'",
        "UPDATE approvals SET operator = 'eve'",
        "INSERT INTO approvals SELECT patch_id, 'eve', message, created_at FROM approvals",
        "UPDATE tool_runs SET cost_micros = 5",
        "UPDATE requests SET answer = 'refused'",
        "UPDATE requests SET handled_at = NULL, answer = NULL",
        "UPDATE runs SET new_head = 'd'",
        "UPDATE runs SET plan = '{\"gates\":{}}'",
        "UPDATE runs SET target_ref = 'refs/heads/other'",
        "UPDATE workstreams SET landed_commit = 'd'",
        "UPDATE patches SET tree = 'd'",
        "UPDATE gates SET exit_code = 0, output = ''",
        "UPDATE tasks SET retry_count = 1",
        "UPDATE tasks SET created_at = created_at - 1",
    ],
)
def test_changed_evidence_is_found_on_both_databases(database: Database, proven: World, sql: str) -> None:
    """Booleans and bytes, which databases store in their own forms, compare alike; each forgery is found."""
    spelled = sql if database.dialect == "postgresql" else sql.replace("'\\x41'", "x'41'")
    assert proven.run.version == 1
    with database.write() as connection:
        assert change(connection, spelled) == 1
    assert verify(database).findings


def test_an_idempotent_insert_binds_once(database: Database, world: World) -> None:
    """Existing rows are not changed, and neither is the ledger."""
    with database.write() as connection:
        tasks.add_needs(connection, [])
        verdicts.store(connection, verdict(world))
        verdicts.store(connection, verdict(world))
        tool_runs.record(connection, [tool_run(world), tool_run(world)])
        tool_runs.record(connection, [tool_run(world)])
        found = row_of(connection, "SELECT count(*) FROM facts")
    assert found is not None
    assert found[0] == 2
    assert verify(database).is_intact


def test_a_column_that_never_changes_is_refused(database: Database, world: World) -> None:
    """The program itself cannot change what is bound once and for all."""
    with pytest.raises(InvariantError, match="never changes"), database.write() as connection:
        runs.ROWS.set_column(connection, world.run.id, "plan", "{}")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE facts SET event_id = 'evt_0' WHERE about = 'approvals'",
        "UPDATE events SET operator = 'eve'",
        "UPDATE state_transitions SET operator = 'eve' WHERE entity_type = 'run'",
    ],
)
def test_a_row_that_was_hashed_anew_is_found_by_the_running_hash(
    database: Database, proven: World, sql: str
) -> None:
    """A row of the ledger with a hash that fits it still gives another head."""
    told = Event(event_id=new_id("evt"), timestamp=NOW, event_type="warning", severity=Severity.WARNING)
    assert proven.run.version == 1
    with database.write() as connection:
        events.record(connection, told)
        assert change(connection, sql) == 1
        rehash(connection, with_head=False)
    assert [finding.problem for finding in verify(database).findings] == [
        "the ledger does not lead to the head on record: a row was changed and hashed anew"
    ]


@pytest.mark.parametrize(
    ("anchor", "problem"),
    [
        (Position(seq=3, head="0" * 64), "one of rows 1 to 3 was changed, removed or put in"),
        (Position(seq=99, head="0" * 64), "was made after row 99, but the ledger ends at 18"),
    ],
)
def test_a_head_that_was_told_to_the_outside_must_be_the_ledgers(
    database: Database, proven: World, anchor: Position, problem: str
) -> None:
    """A ledger that was hashed again to its end, or cut off, has another head than the known one."""
    assert proven.run.version == 1
    with database.read() as connection:
        told = position(connection)
    good = Anchor(position=told, where="commit a")
    assert verify(database, anchors=[good]).is_intact
    [finding] = verify(database, anchors=[good, Anchor(position=anchor, where="commit b")]).findings
    assert finding.problem.startswith("commit b was made")
    assert problem in finding.problem


def test_rows_up_to_the_last_good_anchor_are_not_suspected(database: Database, proven: World) -> None:
    """Of several anchors the first that does not fit tells between which rows to look."""
    with database.read() as connection:
        first = position(connection)
    with database.write() as connection:
        tasks.add_needs(connection, [])
        runs.record_head(connection, proven.run.id, "e" * 40)
        second = position(connection)
        assert change(connection, "UPDATE facts SET event_id = 'evt_0' WHERE seq = ?", (second.seq,)) == 1
        rehash(connection)
    assert verify(database).is_intact
    anchors = [Anchor(position=each, where=f"commit {each.seq}") for each in (first, second)]
    [finding] = verify(database, anchors=anchors).findings
    assert f"one of rows {first.seq + 1} to {second.seq} was" in finding.problem
