"""A repository of a format that cannot be worked with: each command says so, and writes nothing."""

import subprocess
from pathlib import Path

import pytest

from support.command_line import Invoke

PLAN = "maingate: 1\ngates: {t: {run: 'true'}}\nworkstreams: {a: {tasks: {t: {patch: p.diff}}}}\n"
PATCH = "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return a repository whose objects are named by SHA-256, with a plan in it."""
    folder = tmp_path / "r"
    subprocess.run(["git", "init", "-q", "-b", "main", "--object-format=sha256", str(folder)], check=True)
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "p.diff").write_text(PATCH)
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-q", "-m", "first"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "run plan.yaml",
        "run plan.yaml --dry-run",
        "plan check plan.yaml",
        "plan check plan.yaml --json",
        "plan simulate plan.yaml",
        "land --no-gate",
        "init",
        "init --agents",
        "status",
        "inbox",
        "patch list",
        "events",
        "audit verify",
        "prove HEAD",
        "health",
        "doctor",
        "clean",
        "checkout repair",
        "token list",
        "resume",
    ],
)
def test_each_command_says_so_and_writes_nothing(invoke: Invoke, folder: Path, words: str) -> None:
    """No command does half of its work."""
    before = sorted(folder.rglob("*"))
    result = invoke(*words.split(), cwd=folder)
    assert result.exit_code != 0
    said = " ".join((str(result.exception or ""), result.output))
    assert "named by sha256" in " ".join(said.split())
    assert sorted(folder.rglob("*")) == before
