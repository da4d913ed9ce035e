"""Git for importers: a few reading commands, without prompts and without the caller's ``GIT_*``.

The typed git of ``uet`` lies above the plan; reading needs little of it.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from maingate.errors import GitError, UsageError


def git_environment() -> dict[str, str]:
    """Return the environment without ``GIT_*``, in the C locale, with prompts disabled."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat"}


def ask_git(arguments: Sequence[str], *, cwd: Path, given: bytes = b"") -> bytes:
    """Run git and return its output.

    Raises:
        UsageError: Git failed; the message has its own words.
        GitError: Git could not be run.
    """
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, env=git_environment(), input=given, capture_output=True, check=False
        )
    except OSError as error:
        raise GitError(f"git could not be run in {cwd}: {error.strerror}") from error
    if done.returncode != 0:
        raise UsageError(_refusal(arguments, done.stderr))
    return done.stdout


def stream_git(arguments: Sequence[str], *, cwd: Path, size: int = 1 << 20) -> Iterator[bytes]:
    """Run git and yield its output in pieces, so that a long history need not fit into memory.

    Raises:
        UsageError: Git failed, possibly after some pieces.
        GitError: Git could not be run.
    """
    try:
        child = subprocess.Popen(
            ["git", *arguments],
            cwd=cwd,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise GitError(f"git could not be run in {cwd}: {error.strerror}") from error
    with child:
        assert child.stdout is not None  # noqa: S101 - piped above
        assert child.stderr is not None  # noqa: S101 - piped above
        try:
            while piece := child.stdout.read(size):
                yield piece
            said = child.stderr.read()
        finally:
            child.kill()
    if child.returncode not in (0, -9):
        raise UsageError(_refusal(arguments, said))


def _refusal(arguments: Sequence[str], said: bytes) -> str:
    command = next((word for word in arguments if not word.startswith("-") and "=" not in word), "")
    first = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
    return f"git {command} failed: {first[0].removeprefix('fatal: ')}"
