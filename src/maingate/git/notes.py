"""Notes about commits, as `git notes` keeps them, many with one process.

A note is added or replaced by a commit on the notes' ref. If another process moved that ref meanwhile, git
leaves it alone and fails, so that no note of its own is lost.
"""

import os
from collections.abc import Mapping
from datetime import datetime

from maingate.git.command import run_git
from maingate.git.repository import MAINGATE_MAIL, MAINGATE_NAME, Repository, Signature


def write_notes(repository: Repository, ref: str, notes: Mapping[str, bytes], *, at: datetime) -> None:
    """Write notes, each instead of the one that its commit has.

    Args:
        repository: The repository.
        ref: Full name of the notes' ref.
        notes: The texts, by the full ids of their commits, all of which are there.
        at: The time of the notes, aware.

    Raises:
        GitError: They could not be written; they may be written again.
    """
    head = repository.ref_value(ref)
    writer = Signature(MAINGATE_NAME, MAINGATE_MAIL, at).as_bytes()
    lines = [b"commit " + os.fsencode(ref), b"committer " + writer, _data(b"notes of landings")]
    if head is not None:
        lines.append(b"from " + head.encode())
    lines += [b"N inline " + commit.encode() + b"\n" + _data(text) for commit, text in notes.items()]
    run_git(
        "fast-import", "--quiet", "--done", git_dir=repository.git_dir, input=b"\n".join([*lines, b"done\n"])
    )


def noted_commits(repository: Repository, ref: str) -> set[str]:
    """Return the commits that have a note."""
    if repository.ref_value(ref) is None:
        return set()
    told = run_git("notes", f"--ref={ref}", "list", git_dir=repository.git_dir).stdout
    return {line.split()[1].decode() for line in told.splitlines()}


def _data(content: bytes) -> bytes:
    return b"data %d\n%s" % (len(content), content)
