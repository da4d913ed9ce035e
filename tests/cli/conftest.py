"""The command line in the process of the test."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from maingate.cli.command_tree import app
from support.command_line import Invoke


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """Give a way to run a command in this process, in a folder."""

    def call(*args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
        monkeypatch.chdir(cwd or tmp_path)
        return CliRunner(env={"COLUMNS": "200", **(env or {})}).invoke(app, [str(arg) for arg in args])

    return call
