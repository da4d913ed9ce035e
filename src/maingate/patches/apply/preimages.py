"""Preimages: the files that a patch was made on and that a merge may use.

A patch names, on its `index` lines, the blobs that it was made on. git accepts any such blob in the object
store: one of a refused patch, of another branch, of a stash, or an unreachable one until `git gc` removes it.
The outcome of a patch would depend on chance. So a blob is admissible only if it belongs to the target or to
the patch: it was at this path somewhere in the history that the patch is applied on, or the patch itself
contains all of it. And it must fit the patch, whose lines occur in it at the stated places.

History is searched only for a blob that the store has and the tree has not, newest commits first, along the
one path. So the cost is that of the changes of the file since the patch was made.
"""

from typing import Final

from maingate.git.repository import Repository
from maingate.patches.model import FileChange, patched
from maingate.patches.text.wholeness import is_blob

_WALK: Final = ("log", "-1", "--format=%H", "--full-history", "--diff-merges=first-parent", "--no-renames")
"""Options that find every blob that was ever at a path: all sides of merges, and their own changes."""


class Preimages:
    """The blobs that patches may be merged by, on one commit.

    Args:
        repository: Where the commit is.
        onto: The commit that patches are applied on; its history is that of a clone of the target.
    """

    def __init__(self, repository: Repository, onto: str) -> None:
        self._repository, self.onto = repository, onto
        self._known: dict[tuple[bytes | None, str], list[str]] = {}

    def go_on(self, onto: str) -> None:
        """Move to another commit, one that has the former in its history."""
        self.onto = onto
        self._known = {key: found for key, found in self._known.items() if found}

    def named(self, change: FileChange) -> str | None:
        """Return the admissible blob that a change names as its base; None when there is none, or several."""
        found = self._candidates(change)
        return found[0] if len(found) == 1 else None

    def agreeing(self, change: FileChange) -> str | None:
        """Return the same blob, only if the lines of the change occur in it exactly where they are stated."""
        fitting = [
            blob
            for blob in self._candidates(change)
            if patched(self._repository.read_blob(blob), change) is not None
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _candidates(self, change: FileChange) -> list[str]:
        if change.old_blob is None or change.old_path is None:
            return []
        key = change.old_path, change.old_blob
        if key not in self._known:
            self._known[key] = self._look_up(change, change.old_path, change.old_blob)
        return self._known[key]

    def _look_up(self, change: FileChange, path: bytes, prefix: str) -> list[str]:
        content = whole_preimage(change)
        if content is not None:
            return [self._repository.write_blob(content)]
        return [blob for blob in self._repository.blobs_like(prefix) if self._stood_at(path, blob)]

    def _stood_at(self, path: bytes, blob: str) -> bool:
        git = self._repository.private_git_dir().git
        place = b":(top,literal)" + path
        return bool(git(*_WALK, f"--find-object={blob}", self.onto, "--", place).stdout.strip())


def whole_preimage(change: FileChange) -> bytes | None:
    """Return the file that a change was made on, if the change contains all of it; else None.

    That is so for a deletion, for hunks that go from the first line to the last, and for a binary file whose
    former content is written out. The id on the `index` line proves it.
    """
    if change.old_blob is None:
        return None
    if change.binary is not None:
        reverse = change.binary.reverse
        content = reverse.data if reverse is not None and reverse.kind == "literal" else None
    else:
        content = b"".join(line for hunk in change.hunks for line in hunk.old_lines())
    return content if content is not None and is_blob(content, change.old_blob) else None
