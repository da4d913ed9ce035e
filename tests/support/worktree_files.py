"""What is in a folder, byte for byte, so that two of them can be compared."""

import os
import stat
from pathlib import Path

from support.factories import GitRepo

Snapshot = dict[str, tuple[str, int, bytes]]


def snapshot(root: Path, *, without: tuple[str, ...] = ()) -> Snapshot:
    """Return kind, rights and content of everything below a folder.

    Args:
        root: The folder.
        without: Paths, relative to it, that are left out with all they hold.
    """
    found: Snapshot = {}
    waiting = [root]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            name = os.path.relpath(entry.path, root)
            if name in without:
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                found[name] = ("link", 0, os.fsencode(os.readlink(entry.path)))  # noqa: PTH115 - may not decode
            elif stat.S_ISDIR(mode):
                found[name] = ("folder", stat.S_IMODE(mode), b"")
                waiting.append(Path(entry.path))
            elif stat.S_ISREG(mode):
                found[name] = ("file", stat.S_IMODE(mode), Path(entry.path).read_bytes())
            else:
                found[name] = (f"other {stat.S_IFMT(mode):o}", stat.S_IMODE(mode), b"")
    return found


def checked_out(repo: GitRepo, commit: str, at: Path) -> Snapshot:
    """Return what a checkout of a commit by git itself looks like."""
    at.mkdir()
    repo.git(
        "-c", "core.hooksPath=/dev/null", "worktree", "add", "-q", "--detach", "--force", str(at), commit
    )
    try:
        return snapshot(at, without=(".git",))
    finally:
        repo.git("worktree", "remove", "--force", str(at))


def let_the_clock_tick(place: Path) -> None:
    """Return when the file system gives another time than to what has been changed so far."""
    probe = place / "probe"
    probe.touch()
    first = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == first:
        os.utime(probe)
