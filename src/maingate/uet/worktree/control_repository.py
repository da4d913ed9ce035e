"""The git directory that Maingate itself uses to move a slot's tree; gates may find it and change it."""

# This runs before every job, and pathlib costs more than what is asked of the system.
# ruff: noqa: PTH208

import os
from pathlib import Path
from typing import Final

from maingate.errors import FilterError, GitError
from maingate.git.command import run_git
from maingate.git.filter_drivers import FILTER_TIMEOUT, FilterDrivers, failure_told, is_filter_failure
from maingate.system.removal import all_below, are_folders, remove
from maingate.uet.worktree.slot_repository import CONTROL_CONFIG, leave_only, make_repository
from maingate.uet.worktree.untouched_paths import content_of

_OF_CONTROL: Final = frozenset({"HEAD", "config", "index", "objects", "refs", "shallow"})
"""All that the control directory has in it; git would go by much else, and a lock would stop it."""

_UNBORN: Final = "ref: refs/heads/unborn"


class Control:
    """A git directory over the objects of the source, and its index.

    Args:
        folder: Where it is.
        tree: The work tree that it moves.
        source: The common git directory of the repository whose objects are borrowed.
        drivers: The filters that files are written by.
    """

    def __init__(self, folder: Path, tree: Path, source: Path, drivers: FilterDrivers) -> None:
        self.folder, self._tree, self._source, self._drivers = folder, tree, source, drivers

    def make(self) -> None:
        """Create it, empty."""
        make_repository(self.folder, self._source, config=CONTROL_CONFIG, head=_UNBORN)

    def renew(self, index: bytes | None) -> None:
        """Restore all that git goes by, as a gate may have changed it.

        Args:
            index: The content that the index must have to be believed; None when it is not to be.
        """
        for name in set(os.listdir(self.folder)) - _OF_CONTROL:
            remove(os.fsencode(self.folder / name))
        refs = os.fsencode(self.folder / "refs")
        if not are_folders(self.folder / "refs") or all_below(refs) != [refs, refs + b"/heads"]:
            remove(refs)
        self.make()
        leave_only(self.folder / "objects", "info")
        leave_only(self.folder / "objects" / "info", "alternates")
        path = self.folder / "index"
        if index is None or not path.is_file() or path.read_bytes() != index:
            self.drop_index()

    def index(self) -> bytes:
        """Return the content of the index.

        Raises:
            OSError: There is none.
        """
        return content_of(os.fsencode(self.folder / "index"))

    def drop_index(self) -> None:
        """Remove the index, so that every file is written again."""
        remove(os.fsencode(self.folder / "index"))

    def check_out(self, commit: str) -> bytes:
        """Write the files of a commit by git; return the index that it leaves.

        Raises:
            GitError: It could not.
            FilterError: A filter failed.
        """
        env = {"GIT_WORK_TREE": str(self._tree), "GIT_INDEX_FILE": str(self.folder / "index")}
        words = ("checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules", commit)
        filters = self._drivers.variables()
        if not filters:
            run_git(*words, git_dir=self.folder, cwd=self._tree, env=env)
            return self.index()
        try:
            run_git(
                *words,
                git_dir=self.folder,
                cwd=self._tree,
                env=env | filters,
                timeout=FILTER_TIMEOUT,
                runs_programs=True,
                unsaid=self._drivers.place,
            )
        except GitError as error:
            if error.exit_code is None or is_filter_failure(error.stderr or ""):
                raise FilterError(f"a filter of git's configuration failed: {failure_told(error)}") from error
            raise
        return self.index()
