"""A git directory of Headgate's own over a repository's objects, in memory where the machine allows.

What decides about a patch has to decide the same for everybody. A repository's own configuration and
``info/attributes`` can name merge drivers, whitespace rules, replacements and programs to run; overriding
each on the command line is a list that is never complete. A bare git directory with an empty configuration,
whose ``objects`` is a link to the repository's objects, knows nothing of them: `git apply` and merges run
there. Objects they write are in the repository, nothing else is.
"""

import itertools
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from headgate.errors import GitError

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only a private directory made by mkdtemp is used in it
_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"


class PrivateGitDir:
    """The private git directory; it vanishes with the value or by ``close``."""

    def __init__(self, objects: Path) -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix="headgate-", dir=_fast_directory()))
            (self.path / "HEAD").write_text("ref: refs/heads/none\n")
            (self.path / "config").write_text(_CONFIG)
            (self.path / "refs").mkdir()
            (self.path / "objects").symlink_to(objects, target_is_directory=True)
        except OSError as error:
            raise GitError(
                f"no temporary directory could be made for git: {error}; is the disk full?"
            ) from error
        self._numbers = itertools.count()
        self._vanish = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    @contextmanager
    def index_file(self) -> Iterator[Path]:
        """Give the path of an index file that nobody else has; it is gone afterwards."""
        path = self.path / f"index-{next(self._numbers)}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
            path.with_name(path.name + ".lock").unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the directory; again is harmless."""
        self._vanish()


def _fast_directory() -> str | None:
    return str(_MEMORY) if os.access(_MEMORY, os.W_OK | os.X_OK) else None
