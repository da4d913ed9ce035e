"""Whether a command's program can be found, as far as that can be said before anything runs."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_./+-]+")

_GOES_ON: Final = re.compile(r"[|;\n]|(?<!&)&(?!&)")

_SHELL_WORDS: Final = frozenset(
    (
        *(
            ".",
            ":",
            "[",
            "alias",
            "bg",
            "break",
            "case",
            "cd",
            "command",
            "continue",
            "do",
            "done",
            "echo",
            "elif",
        ),
        *(
            "else",
            "esac",
            "eval",
            "exec",
            "exit",
            "export",
            "false",
            "fc",
            "fg",
            "fi",
            "for",
            "getopts",
            "hash",
        ),
        *(
            "if",
            "in",
            "jobs",
            "kill",
            "printf",
            "pwd",
            "read",
            "readonly",
            "return",
            "set",
            "shift",
            "source",
        ),
        *(
            "test",
            "then",
            "time",
            "times",
            "trap",
            "true",
            "type",
            "ulimit",
            "umask",
            "unalias",
            "unset",
            "until",
        ),
        *("wait", "while"),
    )
)
"""What sh itself understands (POSIX.1-2024, Shell Command Language), besides programs."""


def program_of(command: str | tuple[str, ...]) -> str | None:
    """Return the program that a command starts with; None when only a shell could tell.

    Where a command goes on after it fails (``||``, ``;``, a pipe), its absence may well be meant.
    """
    if not isinstance(command, str):
        return command[0]
    word = command.split(maxsplit=1)[0]
    if not _PLAIN_WORD.fullmatch(word) or word in _SHELL_WORDS or _GOES_ON.search(command):
        return None
    return word


def is_found(program: str, *, root: Path | None, environ: Mapping[str, str]) -> bool:
    """Return whether a program is there to be run in a worktree.

    Args:
        program: A name that is looked up on PATH, or a path relative to the worktree's root.
        root: The repository's root, which a worktree looks like; None when there is none to look at.
        environ: The environment, for PATH.
    """
    if "/" not in program:
        return shutil.which(program, path=_absolute(environ.get("PATH", os.defpath), root)) is not None
    if program.startswith("/"):
        return Path(program).is_file()
    return root is None or not (root / ".git").exists() or (root / program).is_file()


def _absolute(path: str, root: Path | None) -> str:
    """Make relative folders of PATH those of the repository, where the program will run."""
    return os.pathsep.join(str((root or Path()) / folder) for folder in path.split(os.pathsep))
