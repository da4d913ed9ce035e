"""Both databases, real: a SQLite file and a PostgreSQL server of the session's own, one database per test."""

import shutil
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from maingate.db.engine import Database, open_database
from support.database_factories import World, make_world

DIALECTS = ("sqlite", "postgresql")
_numbers = count()


@pytest.fixture(scope="session")
def templates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Templates":
    """Return the databases to copy from, each made when the first copy of it is wanted."""
    return Templates(request, tmp_path_factory.mktemp("templates"))


class Templates:
    """Databases with the schema, and with a world in it, of both kinds."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request, self._folder = request, folder
        self._made: dict[tuple[str, bool], tuple[str, World | None]] = {}

    def address(self, dialect: str, *, has_world: bool) -> str:
        """Return the path of a SQLite file, or the name of a PostgreSQL database."""
        return self._template(dialect, has_world)[0]

    def copy(self, dialect: str, path: Path, *, has_world: bool = False) -> str:
        """Copy a template and return the address of the copy: a file at a path, or a new database."""
        template = self.address(dialect, has_world=has_world)
        if dialect == "sqlite":
            shutil.copy(template, path)
            return f"sqlite:///{path}"
        return self._new(template)

    def empty(self, dialect: str, path: Path) -> str:
        """Return the address of a database with nothing in it."""
        return f"sqlite:///{path}" if dialect == "sqlite" else self._new("template0")

    def _new(self, template: str) -> str:
        name = f"test_{next(_numbers)}"
        create(self._server, name, template=template)
        uri: str = self._server.get_uri(name)
        return uri

    def remove(self, url: str) -> None:
        """Remove a copy; a file goes with the folder that it is in."""
        if not url.startswith("sqlite:"):
            drop(self._server, urlsplit(url).path.removeprefix("/"))

    @cached_property
    def _server(self) -> Any:
        return self._request.getfixturevalue("postgresql_server")

    def world(self, dialect: str) -> World:
        """Return the world that is in the template with one."""
        world = self._template(dialect, True)[1]
        assert world is not None
        return world

    def _template(self, dialect: str, has_world: bool) -> tuple[str, World | None]:
        if (dialect, has_world) not in self._made:
            self._made[dialect, has_world] = self._make(dialect, has_world=has_world)
        return self._made[dialect, has_world]

    def _make(self, dialect: str, *, has_world: bool) -> tuple[str, World | None]:
        name = f"template_{next(_numbers)}"
        if dialect == "sqlite":
            address = str(self._folder / f"{name}.db")
            url = f"sqlite:///{address}"
        else:
            create(self._server, name, template="template1")
            address, url = name, self._server.get_uri(name)
        database = open_database(url)
        database.upgrade()
        world = None
        if has_world:
            with database.write() as connection:
                world = make_world(connection)
        database.close()
        return address, world


def create(server: Any, name: str, *, template: str) -> None:
    """Make a PostgreSQL database; its files are copied, which takes a third of the time of logging them."""
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())


@pytest.fixture
def new_url(templates: Templates, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a function that makes a database of a kind and returns its address.

    It has the schema; or is empty; or has a world in it, see `world`.
    """
    made: list[str] = []

    def make(dialect: str, *, is_empty: bool = False, has_world: bool = False) -> str:
        path = tmp_path / f"maingate-{next(_numbers)}.db"
        if is_empty:
            url = templates.empty(dialect, path)
        else:
            url = templates.copy(dialect, path, has_world=has_world)
        made.append(url)
        return url

    yield make
    for url in made:
        templates.remove(url)


def drop(server: Any, name: str) -> None:
    """Remove a PostgreSQL database, open connections included: hundreds of them would fill the memory."""
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Return each kind of database in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def url(request: pytest.FixtureRequest, dialect: str, new_url: Callable[..., str]) -> str:
    """Return the address of a database with the schema, and with a world for a test that wants one."""
    return new_url(dialect, has_world="world" in request.fixturenames)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Return a database with the schema."""
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def world(dialect: str, url: str, templates: Templates) -> World:  # noqa: ARG001 - it is in the database there
    """Return one of every entity, each in its initial state."""
    return templates.world(dialect)
