"""Fixtures for servers that are processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.crashing import World, kill_all


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a repository with a plan, and end what is left running."""
    made = World.create(tmp_path / "world", {"a.txt": "a\n"})
    made.write_plan(
        {"p": made.repo.diff_of({"b.txt": "b\n"})},
        gates={"unit": {"run": "true"}},
        workstreams={"w": {"tasks": {"t": {"patch": "p"}}}},
    )
    yield made
    kill_all(made.commands)
