"""The check of everything that each item of a run needs, made without the item after something failed.

Nothing here depends on the item that failed. So when all of it works, the item is at fault, and the others go
on; when it does not, the run stops as it stands and can be resumed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.errors import GitError, OutsideFaultError
from maingate.git.command import run_git
from maingate.git.repository import Repository
from maingate.ids import new_id
from maingate.system.disk import room_of

ROOM: Final = 1024 * 1024
"""Bytes that each disk must have left: with less, next to nothing can be written."""

FILES: Final = 8
"""Files that each disk must have room for, where it counts them."""


@dataclass(frozen=True, kw_only=True)
class SharedResources:
    """Tries everything that all items need.

    Args:
        folders: The folders that Maingate writes to.
        fence: Raises when this process has lost a hold, on the run or its target.
        target: The branch that the run lands on.
        base: The commit that it began on.
    """

    database: Database
    repository: Repository
    folders: Sequence[Path]
    fence: Callable[[Connection], None]
    target: str
    base: str

    def examine(self) -> None:
        """Try everything; blocks.

        Raises:
            OutsideFaultError: Something fails; the message names it and the command that helps.
        """
        with self.database.write() as conn:
            self.fence(conn)
        for folder in self.folders:
            _see_to_room(folder)
        self.repository.write_blob(f"{new_id('evt')}\n".encode())
        head = self.repository.ref_value(self.target)
        if head is None:
            raise OutsideFaultError(
                f"{self.target} is gone; create it again, then `maingate resume` continues"
            )
        for commit in (self.base, head):
            self.repository.read_directory(self.repository.tree_of(commit))
        self._try_git(head)

    def _try_git(self, head: str) -> None:
        """Read the target with git, and move it to where it is, which changes nothing."""
        git_dir = self.repository.git_dir
        done = run_git("cat-file", "-e", f"{head}^{{tree}}", git_dir=git_dir, check=False)
        if done.code != 0:
            raise GitError(f"git does not work on {git_dir}: {done.stderr.strip() or done.code}")
        self.repository.update_ref(self.target, head, head, message="maingate: can it be moved?")


def _see_to_room(folder: Path) -> None:
    """Raise unless the disk of a folder, or of the nearest parent that exists, has room."""
    room = room_of(folder)
    if room.bytes_left < ROOM or (room.files_left is not None and room.files_left < FILES):
        raise OutsideFaultError(
            f"the disk of {room.folder} is full; free space, then `maingate resume` continues"
        )
