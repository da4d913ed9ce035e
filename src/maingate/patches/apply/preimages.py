"""Preimages: the files that a patch was made on and that a merge may use.

A patch names, on its `index` lines, the blobs that it was made on. git accepts any such blob in the object
store: one of a refused patch, of another branch, of a stash, or an unreachable one until `git gc` removes it.
The outcome of a patch would depend on chance. So a blob is admissible only if it belongs to the target or to
the patch: it was at this path somewhere in the history that the patch is applied on, or in the state before
the commit that the patch is of, or the patch itself contains all of it. And it must fit the patch, whose
lines occur in it at the stated places.

History is searched only for a blob that the store has and the tree has not, newest commits first, along the
one path. So the cost is that of the changes of the file since the patch was made.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from maingate.errors import GitError
from maingate.git.repository import GitEntry, Repository
from maingate.git.trees import folders_of
from maingate.patches.model import ChangeKind, FileChange, patched
from maingate.patches.text.wholeness import is_blob

_WALK: Final = ("log", "--full-history", "--diff-merges=first-parent", "--no-renames")
"""Options that find every blob that was ever at a path: all sides of merges, and their own changes."""
_NO_BLOB: Final = "none"
_MOST_STATES: Final = 50
"""Commits at most that are looked at for a state that a patch was made on."""


class Preimages:
    """The blobs that patches may be merged by, on one commit.

    Args:
        repository: Where the commit is.
        onto: The commit that patches are applied on; its history is that of a clone of the target.
    """

    def __init__(self, repository: Repository, onto: str) -> None:
        self._repository, self.onto = repository, onto
        self._known: dict[tuple[bytes | None, str], list[str]] = {}
        self._made_on: str | None = None

    def turn_to(self, commit: str | None) -> None:
        """Turn to the next patch.

        Args:
            commit: The commit that it is of, whose first parent belongs to the patch; None for none.
        """
        self._made_on = None if commit is None else _tree_before(self._repository, commit)

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

    def has_lost_folder(self, tree: str, changes: Sequence[FileChange]) -> bool:
        """Return whether a new file is for a folder that its commit had before, and that a tree has not."""
        if self._made_on is None:
            return False
        for folder in folders_of(change.new_path for change in changes if change.new_path is not None):
            was = self._repository.entry_at(self._made_on, folder)
            if was is not None and was.is_tree and self._repository.entry_at(tree, folder) is None:
                return True
        return False

    def states(self, changes: Sequence[FileChange]) -> Iterator[str]:
        """Yield trees that have all files which changes were made on, the likeliest first.

        They are the state before the commit that the patch is of, those of the history, and the present one
        with files moved back that are elsewhere now, where an earlier patch of a series has followed them.
        """
        before = [] if self._made_on is None else [self._made_on]
        seen = set[str]()
        for tree in chain(before, self._states_of_history(changes), self._moved_back(changes)):
            if tree not in seen and self._has_all(tree, changes):
                yield tree
            seen.add(tree)

    def _states_of_history(self, changes: Sequence[FileChange]) -> Iterator[str]:
        """Yield the trees around the commits that changed files from or to those that changes name."""
        named = [change for change in changes if change.old_path is not None and change.old_blob is not None]
        blobs = {blob for change in named for blob in self._repository.blobs_like(change.old_blob or "")}
        if not blobs:
            return
        places = [b":(top,literal)" + (change.old_path or b"") for change in named]
        asked = [f"--find-object={blob}" for blob in sorted(blobs)]
        git = self._repository.private_git_dir().git
        listed = git(*_WALK, f"-{_MOST_STATES}", "--format=%P %H", *asked, self.onto, "--", *places)
        for commit in listed.stdout.decode().split():
            if self._repository.has_object(commit):
                yield self._repository.tree_of(commit)

    def _moved_back(self, changes: Sequence[FileChange]) -> Iterator[str]:
        """Yield the tree in which each missing file is back, if that was moved and is otherwise as stated."""
        repository, back = self._repository, dict[bytes, GitEntry | None]()
        tree = repository.tree_of(self.onto)
        for change in changes:
            path = None if change.kind is ChangeKind.ADD else change.old_path
            if path is not None and repository.entry_at(tree, path) is None:
                moved = self._home_of(path, change.old_blob or _NO_BLOB, tree)
                if moved is None:
                    return
                back |= {moved[0]: None, path: moved[1]}
        if back:
            yield repository.splice(tree, back)

    def _home_of(self, path: bytes, blob: str, tree: str) -> tuple[bytes, GitEntry] | None:
        """Return the only file of a tree that has a blob, and was not there when another path still was."""
        repository, git = self._repository, self._repository.private_git_dir().git
        place = b":(top,literal)" + path
        gone = git(*_WALK, "-1", "--format=%P", self.onto, "--", place).stdout.decode().split()
        last = next((each for each in gone if repository.entry_at(repository.tree_of(each), path)), None)
        if last is None:
            return None
        then = repository.tree_of(last)
        found = [
            (name, entry)
            for name, entry in repository.list_files(tree)
            if entry.is_blob and entry.id.startswith(blob) and repository.entry_at(then, name) is None
        ]
        return found[0] if len(found) == 1 else None

    def _has_all(self, tree: str, changes: Sequence[FileChange]) -> bool:
        for change in changes:
            if change.old_path is not None and change.kind is not ChangeKind.ADD:
                entry = self._repository.entry_at(tree, change.old_path)
                if entry is None or not entry.id.startswith(change.old_blob or ""):
                    return False
        return True

    def _candidates(self, change: FileChange) -> list[str]:
        if change.old_blob is None or change.old_path is None:
            return []
        if self._made_on is not None:
            own = self._repository.entry_at(self._made_on, change.old_path)
            if own is not None and own.is_blob and own.id.startswith(change.old_blob):
                return [own.id]
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
        found = git(*_WALK, "-1", "--format=%H", f"--find-object={blob}", self.onto, "--", place)
        return bool(found.stdout.strip())


def _tree_before(repository: Repository, commit: str) -> str | None:
    """Return the tree that a commit was made on; None where it is gone, or the first of its history."""
    try:
        parents = repository.read_commit(commit).parents
        return repository.tree_of(parents[0]) if parents else None
    except GitError:  # it was removed, is no commit, or the clone ends there
        return None


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
