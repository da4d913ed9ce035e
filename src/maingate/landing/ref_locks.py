"""The lock files that git makes to move a branch: whose is one that is there, and may it be removed.

Before Maingate starts the git that moves a branch it writes down which locks that one makes, having seen that
none of them was there. Once neither Maingate nor that git lives, a lock on that list was left by them if it
holds what they would have written and no git is at work in the repository.
"""

import time
from pathlib import Path
from typing import Final

from maingate.clock import RunningTime
from maingate.git.repository import Repository
from maingate.git.targets import read_head, short_name
from maingate.landing.owed_checkouts import UnfinishedMove
from maingate.system.process_table import process_table

_PATIENCE: Final = 2.0
_POLL: Final = 0.02


def locks_of(repository: Repository, ref: str) -> list[Path]:
    """List the lock files that `git update-ref` makes for a branch: its own, and HEAD's for the reflog."""
    own = [repository.git_dir / f"{ref}.lock"]
    return [*own, repository.git_dir / "HEAD.lock"] if read_head(repository.git_dir) == ref else own


def foreign_lock(repository: Repository, ref: str, *, patience: float = _PATIENCE) -> str | None:
    """Return a sentence about the lock of another git on a branch, after a short wait; None without one."""
    waited = RunningTime(look=_POLL * 10)
    while there := [path for path in locks_of(repository, ref) if path.exists()]:
        if waited.now() >= patience:
            return (
                f"{short_name(ref)} cannot be moved: {there[0]} exists; another git may be at work "
                f"(`pgrep -a git` lists them); if none is, one that was killed has left it, and "
                f"`rm {there[0]}` helps"
            )
        time.sleep(_POLL)
    return None


def remove_own(repository: Repository, record: UnfinishedMove) -> list[Path]:
    """Remove the locks that the dead git of a move has left; the record must be held."""
    removed = []
    for path in map(Path, record.locks):
        if _is_left(path, record) and not _is_git_at_work(repository):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _is_left(path: Path, record: UnfinishedMove) -> bool:
    try:
        return path.read_bytes() in {b"", f"{record.new}\n".encode(), record.new.encode()}
    except OSError:
        return False


def _is_git_at_work(repository: Repository) -> bool:
    """Return whether a git runs in the repository; never True where there is no process table."""
    inside = (str(repository.git_dir), str(repository.root))
    return any(_is_git_in(info.pid, inside) for info in process_table() if not info.is_zombie)


def _is_git_in(pid: int, inside: tuple[str, ...]) -> bool:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
        return name.startswith("git") and _is_below(str(Path(f"/proc/{pid}/cwd").readlink()), inside)
    except OSError:
        return False


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in folders)
