"""The demo's story after its run, for all tests of a process that only read it."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.command_line import Played


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> "Played":
    """Give the demo's story after its run; do not change it (copy it first)."""
    from maingate.demo.stage import set_stage  # noqa: PLC0415 - few tests need it
    from support.command_line import Played, maingate  # noqa: PLC0415

    root = tmp_path_factory.mktemp("story")
    stage = set_stage(root)
    done = maingate("run", str(stage.plan), "--json", cwd=root, home=tmp_path_factory.mktemp("story-home"))
    if done.returncode != 0:
        raise AssertionError(f"the story did not run: {done.stderr}")
    return Played(stage=stage, report=json.loads(done.stdout), stderr=done.stderr)
