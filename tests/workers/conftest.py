"""What tests of the pool share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.workers.local import fork_server
from support.factories import GitRepo
from support.forked_server import start_interpreter
from support.pools import Bell


@pytest.fixture(autouse=True)
def _as_maingate_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have fork servers started as Maingate starts them: their start is what these tests are about."""
    monkeypatch.setattr(fork_server, "start_process", start_interpreter)


@pytest.fixture
def commit(repo: GitRepo) -> str:
    """Commit something."""
    return repo.commit({"file": "x\n"})


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    """Give a bell that gates can ring."""
    made = Bell(tmp_path / "bell")
    yield made
    made.close()
