"""Fixtures of a live server of a repository in which the demo's story was run; a conftest imports them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from maingate.demo.stage import set_stage
from support.command_line import Played, maingate
from support.live_server import Live, served


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Give the demo's story after its run; do not change it (copy it first)."""
    root = tmp_path_factory.mktemp("story")
    stage = set_stage(root)
    done = maingate("run", str(stage.plan), "--json", cwd=root, home=tmp_path_factory.mktemp("story-home"))
    if done.returncode != 0:
        raise AssertionError(f"the story did not run: {done.stderr}")
    return Played(stage=stage, report=json.loads(done.stdout), stderr=done.stderr)


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
