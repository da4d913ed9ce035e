"""A hermetic world for every test: no user's git configuration, no user's cache, no MAINGATE_* settings."""

import gc
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("support")

from support.factories import GitRepo  # noqa: E402 - its assertions say what they compared, too
from support.forked_server import fork_from_a_nursery  # noqa: E402
from support.played import played  # noqa: E402, F401 - a fixture
from support.postgresql import postgresql_server, record  # noqa: E402, F401 - fixtures

if TYPE_CHECKING:
    from maingate.db.engine import Database

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder in it is made by pytest, for this user alone
ENOUGH: Final = 4 * 1024**3
"""Bytes that must be free for the suite's files to be kept in memory; they come to a quarter of that."""


def keep_files_in_memory() -> None:
    """Put temporary files on the file system in memory, where there is one with room that runs programs."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK | os.X_OK):
        return
    if shutil.disk_usage(MEMORY).free >= ENOUGH and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


keep_files_in_memory()
fork_from_a_nursery()

# What tests import and what they start is compiled once, as on a user's machine, not in every process anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that starts the suite in the background has it ignore Ctrl-C, and the program would heed that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The suite tries the same examples each time, so it never fails by chance; `.ci/run search` tries new ones.
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.register_profile("search", derandomize=False, database=None, deadline=None, print_blob=True)
settings.load_profile("suite")


# What is collected stays to the end; the collector is not to look it over again with each test.
gc.disable()


def pytest_collection_finish() -> None:
    """Start the collector of garbage, for what comes from now on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _hermetic_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the user's world from fixtures that are made once for several tests, before any test's own."""
    with pytest.MonkeyPatch.context() as patch:
        _move_to(tmp_path_factory.mktemp("home"), patch)
        yield


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the names of homes; ``mktemp`` would look through all that there are for each."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def hermetic_environment(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test its own home, cache and git configuration."""
    home = next(_homes)
    home.mkdir()
    _move_to(home, monkeypatch)
    return home


def _move_to(home: Path, patch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GIT_", "MAINGATE_")):
            patch.delenv(name)
    patch.setenv("HOME", str(home))
    patch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("GIT_AUTHOR_NAME", "Ada Example")
    patch.setenv("GIT_AUTHOR_EMAIL", "ada@example.org")
    patch.setenv("GIT_COMMITTER_NAME", "Ada Example")
    patch.setenv("GIT_COMMITTER_EMAIL", "ada@example.org")


@pytest.fixture
def database(tmp_path: Path) -> Iterator["Database"]:
    """Give an empty database with the schema, in a file."""
    from maingate.db.engine import open_database  # noqa: PLC0415 - few tests need it

    opened = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    opened.upgrade()
    yield opened
    opened.close()


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """Give an empty git repository with the branch main checked out."""
    return GitRepo.create(tmp_path / "repo")
