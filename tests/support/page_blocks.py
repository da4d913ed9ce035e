"""The blocks of a page that a reader runs, and what the page says that they print."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.command_line import a_clean_environment
from support.installed_command import installed_command

PATIENCE: Final = 120
_BLOCKS: Final = re.compile(r"^```bash\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_END: Final = "-- end of a block --"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Commands of a page.

    Args:
        commands: The commands.
        shown: The lines that the page says they print; `…` stands for anything.
    """

    commands: str
    shown: tuple[str, ...]

    def missing_in(self, printed: str) -> list[str]:
        """Return the lines that are shown and were not printed, in their order."""
        lines, missing = iter(printed.splitlines()), []
        for line in self.shown:
            pattern = ".*".join(re.escape(part) for part in line.split("…"))
            if line != "…" and not any(re.fullmatch(pattern, each.strip()) for each in lines):
                missing.append(line)
        return missing


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(commands=commands, shown=tuple(shown.splitlines())) for commands, shown in _BLOCKS.findall(text)
    ]


def run_blocks(
    blocks: list[Block], *, home: Path, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[Block, str]]:
    """Run blocks one after the other, as in one shell; yield what each printed.

    Raises:
        AssertionError: A command failed.
    """
    environment = a_clean_environment(home) | dict(variables or {})
    script = "\n".join(f"{block.commands}\necho '{_END}'" for block in blocks)
    with installed_command() as programs:
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    yield from zip(blocks, done.stdout.split(f"{_END}\n"), strict=False)
