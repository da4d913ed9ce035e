"""The backup of docs/DEPLOYMENT.md is taken, everything is lost, and it is restored, as the page says."""

import inspect
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from maingate.demo.stage import set_stage
from support.command_line import maingate
from support.page_blocks import blocks_of, run_blocks

PAGE: Final = Path(__file__).parents[2] / "docs" / "DEPLOYMENT.md"


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_backup_brings_back_record_and_branch(
    tmp_path: Path, request: pytest.FixtureRequest, dialect: str
) -> None:
    """The record is intact, health is well, and what had landed can be taken back."""
    pg = Postgres(request.getfixturevalue("postgresql_server")) if dialect == "postgresql" else None
    variables = {} if pg is None else {"MAINGATE_DATABASE_URL": pg.create()}
    stage, backup = set_stage(tmp_path), tmp_path / "backup"
    backup.mkdir()
    done = maingate("run", str(stage.plan), cwd=tmp_path, home=tmp_path, env=variables)
    assert done.returncode == 0, done.stderr
    take, restore = blocks_of(PAGE)
    places = {"REPOSITORY": str(stage.repository), "BACKUP": str(backup), **variables}
    list(run_blocks([take], home=tmp_path, variables=places))
    if pg is not None:
        pg.dump(backup / "record.dump")
    shutil.rmtree(stage.repository)
    if pg is not None:
        pg.restore(backup / "record.dump")
    list(run_blocks([restore], home=tmp_path, variables=places))
    words = ("rollback", "thousands", "--reason", "a rehearsal")
    after = maingate(*words, cwd=stage.repository, home=tmp_path, env=variables)
    assert after.returncode == 0, after.stderr


class Postgres:
    """A database that is dumped, lost and restored.

    Args:
        server: Its server.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        with psycopg.connect(server.get_uri("postgres")) as connection:
            version = connection.info.server_version // 10000
        package = Path(inspect.getfile(type(server))).parent
        folders = (package / f"pginstall{version}", package / "pginstall")
        self._programs = next(folder for folder in folders if folder.is_dir()) / "bin"

    def create(self) -> str:
        """Make it empty; return its address."""
        self._execute("CREATE DATABASE rehearsed")
        return str(self._server.get_uri("rehearsed")).replace("postgresql:", "postgresql+psycopg:")

    def dump(self, path: Path) -> None:
        """Write it to a file, and lose it."""
        self._run("pg_dump", "--format", "custom", "--file", str(path), self._server.get_uri("rehearsed"))
        self._execute("DROP DATABASE rehearsed WITH (FORCE)")

    def restore(self, path: Path) -> None:
        """Make it again from the file."""
        self._execute("CREATE DATABASE rehearsed")
        self._run("pg_restore", "--no-owner", "--dbname", self._server.get_uri("rehearsed"), str(path))

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run([self._programs / program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
