"""Packs of commits, by which a branch goes from one repository to another without a remote.

A pack that others made is not trusted: it is read into a place that is removed unless it is wanted, each of
its objects is checked, and nothing may be missing below the commits that it brings.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from maingate.errors import GitError, UsageError
from maingate.git.command import run_git
from maingate.git.refs import RefStore

PACK_TIMEOUT: Final = 120.0
"""Seconds that git may take to read or check a pack."""

_BIG_FILE: Final = "core.bigFileThreshold=16m"
"""Larger files are read in pieces, so that a small pack of a large file takes no memory."""

_SAID: Final = 300
_NO_BASE: Final = "unresolved delta"
"""git's words where an object of a thin pack is made of one that is not there."""


def pack_of(repository: RefStore, tips: Sequence[str], known: Sequence[str]) -> bytes:
    """Return a thin pack of the commits that others do not know.

    Args:
        repository: The repository.
        tips: The newest commits.
        known: Commits that the reader has, with all their history.
    """
    options = ("--revs", "--thin", "--delta-base-offset", "--stdout", "-q")
    return run_git(
        "pack-objects", *options, git_dir=repository.git_dir, input=_wanted(tips, known), timeout=PACK_TIMEOUT
    ).stdout


def read_pack(git_dir: Path, pack: bytes) -> None:
    """Read a pack into a repository, with a check of each of its objects.

    Args:
        git_dir: The repository; it is not a person's.
        pack: The pack, which may be thin.

    Raises:
        UsageError: It is no pack, or an object of it is damaged or unusual.
    """
    if pack[:4] == b"PACK" and pack[8:12] == bytes(4):
        return  # of no objects: the reader has them all
    words = ("-c", _BIG_FILE, "index-pack", "--stdin", "--fix-thin", "--strict")
    done = run_git(*words, git_dir=git_dir, input=pack, check=False, timeout=PACK_TIMEOUT)
    if done.code != 0 and _NO_BASE in done.stderr:
        raise _lacking(done.stderr)
    if done.code != 0:
        raise UsageError(f"the commits cannot be taken: {_last_line(done.stderr)}")


def require_whole(git_dir: Path, tips: Sequence[str], known: Sequence[str]) -> None:
    """Raise unless commits are there with all that is below them.

    Args:
        git_dir: The repository.
        tips: The commits.
        known: Commits that are known to be there, with all that is below them.

    Raises:
        UsageError: A part of one is missing.
    """
    words = ("rev-list", "--objects", "--quiet", "--stdin")
    done = run_git(*words, git_dir=git_dir, input=_wanted(tips, known), check=False, timeout=PACK_TIMEOUT)
    if done.code != 0:
        raise _lacking(done.stderr)


def keep_packs(git_dir: Path, into: RefStore) -> None:
    """Copy the packs that were read into one repository into another.

    Raises:
        GitError: One cannot be written.
    """
    for path in _packs(git_dir):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise GitError(f"a pack cannot be read: {error}") from error
        run_git("index-pack", "--stdin", git_dir=into.git_dir, input=content, timeout=PACK_TIMEOUT)


def _wanted(tips: Sequence[str], known: Sequence[str]) -> bytes:
    return "".join(f"{each}\n" for each in (*tips, *(f"^{each}" for each in known))).encode()


def _packs(git_dir: Path) -> Iterator[Path]:
    folder = git_dir / "objects" / "pack"
    if folder.is_dir():
        yield from sorted(folder.glob("*.pack"))


def _lacking(said: str) -> UsageError:
    return UsageError(
        "the server's repository lacks commits that the work is made on: fetch from there, rebase the work "
        f"on the branch that it is to land on, and land it again ({_last_line(said)})"
    )


def _last_line(said: str) -> str:
    lines = said.strip().splitlines() or ["git gave no reason"]
    shown = os.fsencode(lines[-1]).decode(errors="backslashreplace")
    return shown.removeprefix("fatal: ").removeprefix("error: ")[:_SAID]
