"""A git directory of Maingate's own over a repository's objects, in memory where the machine allows.

A decision about a patch must be the same for everyone. A repository's own configuration and
``info/attributes`` can name merge drivers, whitespace rules, replacements and programs to run; a list of
overrides on the command line is never complete. A bare git directory with an empty configuration, whose
``objects`` is a link to the repository's objects, has none of them: `git apply` and merges work on it.
Objects they write are in the repository, nothing else is.

Git never *runs* in it. A command may write below the folder that it runs in (`git apply --3way` checks out a
file that both sides have added), and a file named ``config`` or ``commondir`` would be git's own. So each
command gets an empty folder, which is removed with everything that the command left in it.
"""

import itertools
import os
import re
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.git.command import Argument, GitResult, run_git
from maingate.git.config_text import quoted
from maingate.system.process_table import started
from maingate.system.removal import remove

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only a private directory made by mkdtemp is used in it
_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_NAME: Final = re.compile(r"maingate-(?P<processes>\d+)-(?P<pid>\d+)-(?P<tick>\d+)-\w+")
"""The name of a directory: the set of processes of its maker (a container has its own), the maker's number,
and the tick of its start."""

GIT_TIMEOUT: Final = 300.0
"""Seconds that git may take for one patch; it takes milliseconds, and a hang must not stop the run."""


class PrivateGitDir:
    """The private git directory; it is removed with the value or by ``close``.

    Args:
        objects: The repository's folder of objects.
        sharing: The repository's setting `core.sharedRepository`, for its objects; empty for none.
    """

    def __init__(self, objects: Path, *, sharing: str = "") -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix=_own_prefix(), dir=_fast_directory()))
            (self.path / "HEAD").write_text("ref: refs/heads/none\n")
            shared = f"\tsharedRepository = {quoted(sharing)}\n" if sharing else ""
            (self.path / "config").write_text(_CONFIG + shared)
            (self.path / "refs").mkdir()
            (self.path / "objects").symlink_to(objects, target_is_directory=True)
        except OSError as error:
            raise GitError(
                f"no temporary directory could be made for git: {error}; is the disk full?"
            ) from error
        self._shallow = objects.parent / "shallow"
        self._numbers = itertools.count()
        self._vanish = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def git(
        self,
        *args: Argument,
        index: Path | None = None,
        input: bytes | None = None,  # noqa: A002 - the name subprocess has taught everyone
        check: bool = True,
    ) -> GitResult:
        """Run one git command on this directory, in an empty folder that is removed afterwards.

        Args:
            args: The arguments after ``git``; files are named by absolute paths.
            index: The index to work on.
            input: Bytes for standard input.
            check: Whether to raise when the exit code is not 0.

        Raises:
            GitError: git could not be run, or failed and ``check`` was asked for.
        """
        env = {"GIT_SHALLOW_FILE": str(self._shallow)}
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        with own_directory() as empty:
            return run_git(
                *args, git_dir=self.path, cwd=empty, env=env, input=input, check=check, timeout=GIT_TIMEOUT
            )

    @contextmanager
    def index_file(self) -> Iterator[Path]:
        """Yield the path of a new index file, which is removed afterwards."""
        path = self.path / f"index-{next(self._numbers)}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
            path.with_name(path.name + ".lock").unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the directory; may be called again."""
        self._vanish()


@contextmanager
def own_directory() -> Iterator[Path]:
    """Create a directory that is removed afterwards, by `remove_abandoned` if this process is killed."""
    try:
        path = Path(tempfile.mkdtemp(prefix=_own_prefix(), dir=_fast_directory()))
    except OSError as error:
        raise GitError(f"no temporary directory could be made for git: {error}; is the disk full?") from error
    try:
        yield path
    finally:
        remove(os.fsencode(path))


def write_below(folder: Path, files: Iterable[tuple[bytes, bytes]]) -> None:
    """Write files of these paths and contents below a folder, with the folders that lead to them.

    Raises:
        GitError: One cannot be written.
    """
    try:
        for path, content in files:
            at = folder / os.fsdecode(path)
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(content)
    except OSError as error:
        raise GitError(f"the attributes of a tree could not be written: {error}") from error


def _fast_directory() -> str | None:
    return str(_MEMORY) if os.access(_MEMORY, os.W_OK | os.X_OK) else None


def remove_abandoned() -> list[Path]:
    """Remove the directories that killed processes of this user left, and return them.

    A directory stays if its name shows no maker, or if its maker may live, in any container.
    """
    found = abandoned()
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return found


def abandoned() -> list[Path]:
    """Return the directories that killed processes of this user left; nothing is removed."""
    if not sys.platform.startswith("linux"):
        return []
    found = Path(_fast_directory() or tempfile.gettempdir()).glob("maingate-*")
    return [path for path in found if _is_abandoned(path)]


def _is_abandoned(path: Path) -> bool:
    made = _NAME.fullmatch(path.name)
    if made is None or made["processes"] != _processes():
        return False
    try:
        there = path.lstat()
    except OSError:  # another process has just removed it
        return False
    is_own = stat.S_ISDIR(there.st_mode) and there.st_uid == os.geteuid()
    return is_own and _tick_of(int(made["pid"])) != made["tick"]


def _own_prefix() -> str:
    if not sys.platform.startswith("linux"):
        return "maingate-"
    return f"maingate-{_processes()}-{os.getpid()}-{_tick_of(os.getpid())}-"


def _processes() -> str:
    """Return the id of the set of processes that share numbers; each container has its own."""
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _tick_of(pid: int) -> str:
    """Return the tick of a process's start; empty when there is no such process."""
    return started(pid).rpartition(":")[2]
