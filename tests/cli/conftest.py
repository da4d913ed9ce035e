"""A real run that the reading commands look at: the demo's story, run once by the real command line."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from maingate.cli.command_tree import app
from maingate.demo.stage import set_stage
from support.command_line import Invoke, Played, maingate


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Give the demo's story after its run; do not change it (copy it first)."""
    root = tmp_path_factory.mktemp("story")
    stage = set_stage(root)
    done = maingate("run", str(stage.plan), "--json", cwd=root, home=tmp_path_factory.mktemp("story-home"))
    if done.returncode != 0:
        raise AssertionError(f"the story did not run: {done.stderr}")
    return Played(stage=stage, report=json.loads(done.stdout), stderr=done.stderr)


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """Give a way to run a command in this process, in a folder."""

    def call(*args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
        monkeypatch.chdir(cwd or tmp_path)
        return CliRunner(env={"COLUMNS": "200", **(env or {})}).invoke(app, [str(arg) for arg in args])

    return call
