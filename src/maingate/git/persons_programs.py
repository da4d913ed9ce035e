"""Programs of a user's and a repository's configuration of git, such as filters and merge drivers.

They run at the top of the person's working tree, on the person's git directory and configuration, wherever
Maingate's own git works. So they find their keys and stores, and a script of the working tree is that of the
person, never the one that a tool has left. Standard library only: a worker process imports this.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_OF_PERSON: Final = (
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    *("HOME", "XDG_CONFIG_HOME", "GIT_LFS_SKIP_SMUDGE"),
)
"""Variables by which a program finds the person's configuration, or is told not to fetch what it shows."""
_OF_MAINGATE: Final = (
    *("GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CEILING_DIRECTORIES", "GIT_ATTR_NOSYSTEM"),
    *("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"),
    *("GIT_NO_REPLACE_OBJECTS", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_PREFIX"),
)
"""Variables of Maingate's own git, which a program does not get."""


def place_of(git_dir: Path, top: Path) -> str:
    """Return the shell commands that lead to where a repository's programs run; the program follows them."""
    kept = {"GIT_DIR": str(git_dir)} | {name: os.environ[name] for name in _OF_PERSON if name in os.environ}
    exported = " ".join(f"{name}={shlex.quote(value)}" for name, value in kept.items())
    return f"cd {shlex.quote(str(top))} && unset {' '.join(_OF_MAINGATE)} && export {exported} && "


def as_variables(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return settings of git as variables: `git -c` cannot take every name of a driver."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))} if settings else {}
    for number, (name, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def settings_in(listed: bytes) -> list[tuple[str, str]]:
    """Return name and value of each setting that ``git config --list -z`` has listed."""
    entries = [os.fsdecode(entry).partition("\n") for entry in listed.split(b"\0")[:-1]]
    return [(name, value if has_value else "true") for name, has_value, value in entries]
