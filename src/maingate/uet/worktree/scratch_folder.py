"""The scratch folder of a slot: temporary files of one job, its git configuration, a tool's prompt."""

# This runs before every job, and pathlib costs more than what is asked of the system.
# ruff: noqa: PTH208

import os
import stat
from pathlib import Path
from typing import Final

from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.system.removal import kind_of, remove
from maingate.uet.worktree.untouched_paths import content_of

_GATES_CONFIG: Final = (
    "[user]\n\tname = Maingate\n\temail = maingate@localhost\n"
    "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
)
"""The git configuration of gates, instead of the person's: theirs to write to, no signing, no background."""


class Scratch:
    """The folder for temporary files of the job that runs.

    Args:
        folder: Where it is; made anew when a job has left anything in it.
        drivers: The filters that a job's own git finds configured, as that of the person does.
    """

    def __init__(self, folder: Path, drivers: FilterDrivers = NONE) -> None:
        self.folder, self._config = folder, _GATES_CONFIG + drivers.as_config()
        self.prompt = folder / "prompt.md"

    def environment(self) -> dict[str, str]:
        """Return the variables that point a gate to its temporary folder and git configuration."""
        scratch = str(self.folder / "tmp")
        return {
            "TMPDIR": scratch,
            "TMP": scratch,
            "TEMP": scratch,
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "GIT_TERMINAL_PROMPT": "0",
        }

    def renew(self) -> None:
        """Restore it as a job is to find it.

        Raises:
            OSError: Something in it cannot be removed.
        """
        if self._is_fresh():
            return
        remove(os.fsencode(self.folder))
        (self.folder / "tmp").mkdir(parents=True, mode=0o700)
        (self.folder / "gitconfig").touch(mode=0o600)
        (self.folder / "gitconfig").write_bytes(os.fsencode(self._config))

    def sweep(self) -> None:
        """Remove all that a job has left in it.

        Raises:
            OSError: Something in it cannot be removed.
        """
        if not self._is_fresh():
            remove(os.fsencode(self.folder))

    def _is_fresh(self) -> bool:
        """Return whether it is as a job is to find it."""
        scratch = os.fsencode(self.folder)
        temporary, config = scratch + b"/tmp", scratch + b"/gitconfig"
        return (
            stat.S_ISDIR(kind_of(scratch) or 0)
            and sorted(os.listdir(scratch)) == [b"gitconfig", b"tmp"]
            and kind_of(temporary) == stat.S_IFDIR | stat.S_IRWXU
            and not os.listdir(temporary)
            and kind_of(config) == stat.S_IFREG | stat.S_IRUSR | stat.S_IWUSR
            and content_of(config) == os.fsencode(self._config)
        )
