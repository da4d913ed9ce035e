"""Opening databases, their transactions, and faults said in clear words."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from maingate.db import migrations
from maingate.db.dao import runs
from maingate.db.engine import Database, open_database
from maingate.db.sql import faults
from maingate.db.sql.statements import change, rows_of
from maingate.errors import DatabaseError, InvariantError
from support.database_factories import NOW, World, make_run, stored_rows


def test_a_read_sees_one_consistent_state(database: Database, world: World) -> None:
    """Commits of others are not seen before the next transaction."""
    with database.read() as reader:
        before = runs.recent(reader)
        with database.write() as connection:
            runs.insert_many(connection, [make_run()], at=NOW)
        assert runs.recent(reader) == before == [world.run]
    with database.read() as reader:
        assert len(runs.recent(reader)) == 2


def test_a_server_keeps_less_of_the_file_in_memory(tmp_path: Path) -> None:
    """The limit holds for connections from before, too."""
    database = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    with database.read() as connection:
        [(usual,)] = rows_of(connection, "PRAGMA cache_size")
    database.use_little_memory()
    with database.read() as connection:
        assert rows_of(connection, "PRAGMA cache_size") == [(usual // 2,)]
    database.close()


def test_a_write_is_rolled_back_whole(database: Database) -> None:
    """Any exception undoes everything that the transaction did."""

    def stop() -> None:
        with database.write() as connection:
            runs.insert_many(connection, [make_run()], at=NOW)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert stored_rows(database, "runs") == []


def test_a_broken_write_leaves_the_connection_usable(database: Database, world: World) -> None:
    """After a refusal by the database the next transaction works."""
    with pytest.raises(InvariantError), database.write() as connection:
        runs.insert_many(connection, [world.run], at=NOW)
    with database.write() as connection:
        runs.insert_many(connection, [make_run()], at=NOW)
    assert len(stored_rows(database, "runs")) == 2


def test_a_writer_waits_for_another_only_so_long(url: str) -> None:
    """Another process that does not finish in time is reported as such, not waited for without end."""
    patient, hasty = open_database(url), open_database(url, busy_timeout=timedelta(milliseconds=50))
    with (
        patient.write() as connection,
        pytest.raises(DatabaseError, match="another process is writing"),
        hasty.write(),
    ):
        raise AssertionError(connection)
    patient.close()
    hasty.close()


def test_closing_twice_is_closing(database: Database) -> None:
    """Close may be called again."""
    database.close()
    database.close()


def test_an_empty_database_has_no_revision(dialect: str, new_url: Callable[..., str]) -> None:
    """Nothing is made before upgrade() is called."""
    database = open_database(new_url(dialect, is_empty=True))
    assert database.revision() is None
    database.upgrade()
    assert database.revision() == migrations.HEAD
    database.close()


def test_a_database_that_is_up_to_date_needs_no_alembic(url: str) -> None:
    """Every command calls upgrade(); it must cost next to nothing when there is nothing to do."""
    code = (
        "import sys\n"
        "from maingate.db.engine import open_database\n"
        f"open_database({url!r}).upgrade()\n"
        "assert 'alembic' not in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    """A schema that this program does not know is left alone."""
    with database.write() as connection:
        change(connection, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match=r"newer Maingate .*9999"):
        database.upgrade()


def test_a_database_without_its_schema_says_what_to_do(dialect: str, new_url: Callable[..., str]) -> None:
    """Reading an empty database names the way out."""
    database = open_database(new_url(dialect, is_empty=True))
    with pytest.raises(DatabaseError, match="restore a copy"), database.read() as connection:
        runs.recent(connection)
    database.close()


def test_sqlite_writes_ahead_and_checks_foreign_keys(new_url: Callable[..., str]) -> None:
    """Readers do not wait for writers, and references are checked."""
    database = open_database(new_url("sqlite"))
    with database.read() as connection:
        pragmas = {
            name: rows_of(connection, f"PRAGMA {name}")[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}
    database.close()


def test_sqlite_makes_the_folder_of_its_file(tmp_path: Path) -> None:
    """The state folder need not be there."""
    database = open_database(f"sqlite:///{tmp_path / 'a' / 'b' / 'maingate.db'}")
    database.upgrade()
    database.close()
    assert (tmp_path / "a" / "b" / "maingate.db").is_file()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """A file in the way of the folder is a clear error."""
    (tmp_path / "a").write_text("")
    with pytest.raises(DatabaseError, match="folder of the database"):
        open_database(f"sqlite:///{tmp_path / 'a' / 'maingate.db'}")


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    """Something else under the database's name is never overwritten."""
    path = tmp_path / "maingate.db"
    path.write_text("This is a letter to a friend. " * 100)
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(DatabaseError, match="something else than a database") as caught:
        database.upgrade()
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert path.read_text().startswith("This is a letter")
    database.close()


def test_a_connection_that_cannot_be_prepared_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that the pool never gets is closed all the same."""
    made: list[sqlite3.Connection] = []
    connect = sqlite3.dbapi2.connect

    def remember(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made.append(connect(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", remember)
    (tmp_path / "maingate.db").write_text("This is a letter to a friend. " * 100)
    database = open_database(f"sqlite:///{tmp_path / 'maingate.db'}")
    with pytest.raises(DatabaseError):
        database.revision()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        made[-1].execute("SELECT 1")
    database.close()


def test_a_full_disk_is_reported_and_changes_nothing(new_url: Callable[..., str]) -> None:
    """When there is no room for a commit nothing of it is kept."""
    database = open_database(new_url("sqlite"))
    before = stored_rows(database, "runs")

    def fill() -> None:
        with database.write() as connection:
            rows_of(connection, "PRAGMA max_page_count = 1")
            runs.insert_many(connection, [make_run(plan={"text": "x" * 500_000})], at=NOW)

    with pytest.raises(DatabaseError, match="disk is full"):
        fill()
    assert stored_rows(database, "runs") == before
    database.close()


def test_a_read_only_database_can_be_read_and_says_so_when_written(new_url: Callable[..., str]) -> None:
    """Writing where that is forbidden is a clear error."""
    url = new_url("sqlite")
    made = open_database(url)
    with made.write() as connection:
        runs.insert_many(connection, [make_run()], at=NOW)
    path = url.removeprefix("sqlite:///")
    database = open_database(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert len(stored_rows(database, "runs")) == 1
    with pytest.raises(DatabaseError, match="read-only"), database.write() as connection:
        runs.insert_many(connection, [make_run()], at=NOW)
    database.close()
    made.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("mysql://here/db", "not supported"),
        ("postgresql+asyncpg://here/db", "not supported"),
        ("what is this", "not understood"),
        ("", "not understood"),
    ],
)
def test_addresses_that_cannot_be_are_refused(url: str, said: str) -> None:
    """A wrong address is refused with what it should look like."""
    with pytest.raises(DatabaseError, match=said):
        open_database(url)


def test_a_server_that_is_not_there_is_reported_without_the_password(tmp_path: Path) -> None:
    """The error says where it was looked for, and no secret."""
    database = open_database(f"postgresql://ada:secret@/maingate?host={tmp_path}")
    with pytest.raises(DatabaseError, match="start the server") as caught:
        database.upgrade()
    assert "secret" not in str(caught.value)
    assert "secret" not in database.url


def test_a_missing_postgresql_database_is_reported(postgresql_server: Any) -> None:
    """A database name that the server does not know is a clear error."""
    database = open_database(postgresql_server.get_uri("nowhere"))
    with pytest.raises(DatabaseError, match=r"could not be used: .*nowhere"):
        database.upgrade()
    database.close()


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL is an extra; without it the way out is named."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseError, match="the extra `postgres` adds them"):
        open_database("postgresql://here/db")


def test_only_faults_of_drivers_are_translated() -> None:
    """Our own mistakes keep their own names."""
    assert faults.translate(ValueError("x"), "here") is None
    older = faults.translate(sqlite3.OperationalError("table runs has no column named x"), "here")
    assert "its tables are others than this version made" in str(older)
    unknown = faults.translate(sqlite3.OperationalError("strange thing"), "here")
    assert isinstance(unknown, DatabaseError)
    assert str(unknown) == "the database here could not be used: strange thing"
