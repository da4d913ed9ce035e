"""Search for the programs of commands, before anything runs."""

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
"""The words that sh itself implements (POSIX.1-2024, Shell Command Language)."""


def program_of(command: str | tuple[str, ...]) -> str | None:
    """Return the program that a command starts with; None when only a shell could determine it.

    A command that continues after a failure (``||``, ``;``, a pipe) may expect the program to be missing.
    """
    if not isinstance(command, str):
        return command[0]
    word = command.split(maxsplit=1)[0]
    if not _PLAIN_WORD.fullmatch(word) or word in _SHELL_WORDS or _GOES_ON.search(command):
        return None
    return word


def is_found(program: str, *, root: Path | None, environ: Mapping[str, str]) -> bool:
    """Return whether a program can be run in a worktree.

    Args:
        program: A name that is looked up on PATH, or a path relative to the worktree's root.
        root: The repository's root, which a worktree resembles; None when there is none.
        environ: The environment, for PATH.
    """
    if "/" not in program:
        return shutil.which(program, path=_absolute(environ.get("PATH", os.defpath), root)) is not None
    if program.startswith("/"):
        return Path(program).is_file()
    return root is None or not (root / ".git").exists() or (root / program).is_file()


def _absolute(path: str, root: Path | None) -> str:
    """Return PATH with its relative folders taken from the repository, where the program will run."""
    return os.pathsep.join(str((root or Path()) / folder) for folder in path.split(os.pathsep))
