"""Migrations: each has sample data that survives the later ones; together they make the declared schema."""

import os
import re
import signal
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect

from maingate.db import migrations
from maingate.db.audit.record_check import verify
from maingate.db.dao import artifacts, patches, runs
from maingate.db.engine import Database, open_database
from maingate.db.migrations import runner, versions
from maingate.db.rollups import store
from maingate.db.schema.tables import metadata
from maingate.db.schema.triggers import triggers
from maingate.db.sql.statements import change, row_of, rows_of
from maingate.errors import DatabaseError
from support.database_factories import NOW
from support.database_samples import SAMPLES, load_sample

REVISIONS = runner.known_revisions()
RELEASED: Final = {
    "0.1.0": {
        "v0001_first_schema.py": "f8af3c5f6a83e740e95f0ba07068d6bbdb4ac644f62e973aad9de1864b56d19e",
    },
}
"""The migrations that each release brought, with the SHA-256 of their text."""


def counts(connection: Connection) -> dict[str, int]:
    """Count the rows of every table."""
    found = {}
    for table in inspect(connection).get_table_names():
        row = row_of(connection, f'SELECT count(*) FROM "{table}"')
        assert row is not None
        found[table] = row[0]
    return found


@pytest.fixture
def empty(dialect: str, new_url: Callable[..., str]) -> Any:
    """Return an empty database."""
    database = open_database(new_url(dialect, is_empty=True))
    yield database
    database.close()


def first_release(database: Database) -> None:
    """Make a database what the first release had written."""
    with database.write() as connection:
        migrations.upgrade(connection, database.url, to=REVISIONS[0])
        load_sample(connection, REVISIONS[0])


def test_an_empty_database_is_made_as_all_migrations_together_make_it(
    dialect: str, new_url: Callable[..., str], empty: Database
) -> None:
    """The short way for a new database says the same revision and lets Alembic go on from there."""
    made = open_database(new_url(dialect, is_empty=True))
    made.upgrade()
    with empty.write() as connection:
        runner.run(connection, migrations.HEAD)
    assert made.revision() == empty.revision() == migrations.HEAD
    with made.write() as connection, empty.read() as migrated:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert counts(connection) == counts(migrated) | {"record": 1}  # its identity, written at its opening
        runner.run(connection, migrations.HEAD)
    made.close()


def test_the_newest_revision_is_the_one_that_the_program_wants() -> None:
    """HEAD is written down so that a start need not ask Alembic; it must be true."""
    assert REVISIONS[-1] == migrations.HEAD
    assert len(REVISIONS) == len(set(REVISIONS))


def test_a_migration_that_was_released_is_never_changed() -> None:
    """Records that it has made exist: whatever differs is a new migration, and here a new line a release."""
    changes = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    releases = re.findall(r"^## \[(\d.*?)\]", changes, re.MULTILINE)
    assert set(releases) == set(RELEASED)
    folder = Path(str(versions.__file__)).parent
    for name, digest in [pair for made in RELEASED.values() for pair in made.items()]:
        assert sha256((folder / name).read_bytes()).hexdigest() == digest, f"{name} was changed"


def test_every_revision_has_sample_data() -> None:
    """A migration without sample data is not tried on anything."""
    assert sorted(path.stem for path in SAMPLES.iterdir()) == sorted(REVISIONS)


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_a_revision_has_written_survives_all_later_ones(empty: Database, revision: str) -> None:
    """A database filled by an older program is whole after the upgrade."""
    with empty.write() as connection:
        migrations.upgrade(connection, empty.url, to=revision)
        load_sample(connection, revision)
        before = counts(connection)
    empty.upgrade()
    with empty.read() as connection:
        after = counts(connection)
        newest = runs.newest(connection)
        assert newest is not None
        ledger = patches.of_run(connection, newest.id)
        diffs = [artifacts.diff_of(connection, patch.id) for patch in ledger]
    assert {table: after[table] for table in before} == before
    assert min(before.values()) >= 1, "the sample leaves a table empty"
    assert verify(empty).is_intact
    assert {patch.state for patch in ledger} == {"committed", "quarantined"}
    assert all(diff.startswith(b"diff --git") for diff in diffs)


def test_a_ledger_without_rollups_is_counted_from_its_first_row(empty: Database) -> None:
    """A release before the roll-ups had no position in its ledger: none of its rows is left out."""
    first_release(empty)
    empty.upgrade()
    store.catch_up(empty, at=NOW)
    with empty.read() as connection:
        found, rows = store.totals(connection), counts(connection)
    assert sum(found.events.values()) == rows["state_transitions"] + rows["events"]
    assert rows["event_rollups"] > 0


def test_upgrading_twice_changes_nothing(empty: Database) -> None:
    """An upgrade of what is up to date does nothing."""
    empty.upgrade()
    with empty.write() as connection:
        load_sample(connection, migrations.HEAD)
        before = counts(connection)
        migrations.upgrade(connection, empty.url)
        assert counts(connection) == before


@pytest.mark.parametrize("make", [migrations._create, partial(runner.run, to=migrations.HEAD)])
def test_a_schema_that_is_not_finished_leaves_nothing_behind(
    empty: Database, make: Callable[[Connection], None]
) -> None:
    """Making a schema, at once or migration by migration, is one transaction, on SQLite too."""

    def break_half_way() -> None:
        with empty.write() as connection:
            make(connection)
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="power"):
        break_half_way()
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == []


def test_a_process_that_is_killed_in_a_migration_leaves_the_older_record_whole(empty: Database) -> None:
    """A migration that a kill ends has not begun: the next process makes all of it."""
    first_release(empty)
    with empty.read() as connection:
        before = counts(connection)
    other = open_database(empty.engine.url.render_as_string(hide_password=False))
    if (process := os.fork()) == 0:
        try:
            with other.write() as connection:
                migrations.upgrade(connection, other.url)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)  # a child that was not killed must not go on with the tests
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    other.close()
    with empty.read() as connection:
        assert (migrations.revision_of(connection), counts(connection)) == (REVISIONS[0], before)
    empty.upgrade()
    assert empty.revision() == migrations.HEAD
    assert verify(empty).is_intact


def test_a_record_between_two_releases_is_refused_and_left_alone(empty: Database) -> None:
    """A schema that has parts of a later migration already is no traceback, and is not changed."""
    with empty.write() as connection:
        migrations.upgrade(connection, empty.url, to=REVISIONS[0])
        change(connection, "ALTER TABLE runs ADD COLUMN traceparent TEXT")
        before = counts(connection)
    with pytest.raises(DatabaseError, match=r"nothing was changed.* between two releases.*traceparent"):
        empty.upgrade()
    with empty.read() as connection:
        assert (migrations.revision_of(connection), counts(connection)) == (REVISIONS[0], before)


def schema_of(connection: Connection) -> dict[str, Any]:
    """Describe a schema as the database itself sees it: columns, keys, CHECKs, indexes and triggers."""
    inspector = inspect(connection)
    schema: dict[str, Any] = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        schema[table] = {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            },
            "primary key": inspector.get_pk_constraint(table),
            "checks": {check["name"]: check["sqltext"] for check in inspector.get_check_constraints(table)},
            "foreign keys": {key["name"]: key for key in inspector.get_foreign_keys(table)},
            "unique": {key["name"]: key["column_names"] for key in inspector.get_unique_constraints(table)},
            "indexes": {index["name"]: index_of(index) for index in inspector.get_indexes(table)},
        }
    schema["triggers"] = triggers_of(connection)
    return schema


def index_of(index: Any) -> tuple[Any, ...]:
    """Describe an index: its columns, whether it is unique, and which rows it is about."""
    where = {name: str(option) for name, option in index.get("dialect_options", {}).items()}
    return index["column_names"], bool(index["unique"]), where


def triggers_of(connection: Connection) -> list[str]:
    """Return the triggers as the database has them, and their functions."""
    if connection.dialect.name == "sqlite":
        sql = "SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        return [row[0] for row in rows_of(connection, sql)]
    sql = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    ours = "WHERE pronamespace = 'public'::regnamespace"
    functions = f"SELECT pg_get_functiondef(oid) FROM pg_proc {ours} ORDER BY proname"
    return [row[0] for row in (*rows_of(connection, sql), *rows_of(connection, functions))]


def test_the_migrated_schema_is_the_declared_schema(
    empty: Database, dialect: str, new_url: Callable[..., str]
) -> None:
    """A record of the first release gets the columns, keys, CHECKs, indexes and triggers of `metadata`."""
    declared = open_database(new_url(dialect, is_empty=True))
    first_release(empty)
    empty.upgrade()
    with declared.write() as connection:
        metadata.create_all(connection)
    with empty.read() as migrated, declared.read() as created:
        assert schema_of(migrated) == schema_of(created)
        assert len(schema_of(migrated)) == len(metadata.tables) + 1
        context = MigrationContext.configure(migrated, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    declared.close()


def test_every_declared_check_is_in_the_database(empty: Database) -> None:
    """No CHECK is lost, in any spelling of the database."""
    empty.upgrade()
    with empty.read() as connection:
        inspector = inspect(connection)
        for table in metadata.tables.values():
            declared = {str(each.name) for each in table.constraints if str(each.name).startswith("ck_")}
            assert {str(check["name"]) for check in inspector.get_check_constraints(table.name)} == declared


def test_every_declared_trigger_is_in_the_database(empty: Database) -> None:
    """No trigger is lost on the way."""
    empty.upgrade()
    with empty.read() as connection:
        found = "\n".join(triggers_of(connection))
    for trigger in triggers(empty.dialect):
        assert trigger.statements[-1].split()[2] in found
