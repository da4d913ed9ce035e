"""Fixtures of a live server of a repository in which the demo's story was run; a conftest imports them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.command_line import Played
from support.live_server import Live, served


@pytest.fixture(scope="module")
def live(played: Played) -> Iterator[Live]:
    """Give a server of the played story, for tests that change nothing."""
    with served([played.stage.repository]) as server:
        yield server


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[httpx.Client]:
    """Give a client of the server of the played story."""
    with live.client() as made:
        yield made


@pytest.fixture
def hosting(played: Played, tmp_path: Path) -> Iterator[Live]:
    """Give a server of a copy of the played story that takes up runs."""
    with served([played.copy_to(tmp_path)], is_hosting=True) as server:
        yield server


@pytest.fixture
def own(played: Played, tmp_path: Path, record: str) -> Iterator[Live]:
    """Give a server of a copy of the played story, for tests that change it (PostgreSQL: not played)."""
    repository = played.copy_to(tmp_path)
    if record == "postgresql":
        shutil.rmtree(repository / ".git" / "maingate")
    with served([repository]) as server:
        yield server
