"""The examples of docs/COMMANDS.md, tried where it says that they can be: in the demo's repository."""

import re
import shlex
from pathlib import Path
from typing import Final

from support.command_line import maingate

COMMANDS: Final = Path(__file__).parents[2] / "docs" / "COMMANDS.md"
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_WRONG: Final = {"patch show nobody": 2}
"""Examples of errors, with the exit code that is shown."""


def examples() -> list[str]:
    """Return what stands behind `$ maingate` in the document, without what the demo does not have."""
    shown = [
        line for block in _BLOCK.findall(COMMANDS.read_text(encoding="utf-8")) for line in block.splitlines()
    ]
    commands = [line.removeprefix("$ maingate ") for line in shown if line.startswith("$ maingate ")]
    return [line.partition(" | ")[0] for line in commands if "(yours)" not in line and line != "demo"]


def test_the_examples_can_be_tried_in_the_demo(tmp_path: Path, hermetic_environment: Path) -> None:
    """One after the other, as a reader would; none is refused, but for the one that shows an error."""
    home = hermetic_environment
    assert maingate("demo", "--keep", str(tmp_path / "demo"), cwd=tmp_path, home=home).returncode == 0
    repository = tmp_path / "demo" / "tally"
    run = maingate("runs", "--limit", "1", cwd=repository, home=home).stdout.split("run_")[1].split()[0]
    assert len(examples()) > 25
    for example in examples():
        words = shlex.split(example.replace("run_01M83N3W", f"run_{run}"), comments=True)
        done = maingate(*words, cwd=repository, home=home)
        said = f"{example}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode in {0, _WRONG.get(example, 1)}, said
