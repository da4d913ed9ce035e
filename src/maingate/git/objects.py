"""The objects of a repository: read, stored, and looked up by path, in this process.

Every thread has library handles of its own, because libgit2's are not to be shared.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maingate.errors import GitError, MissingObjectError
from maingate.git import trees
from maingate.git.commits import Commit, parse_commit
from maingate.git.library import ObjectType, failures, oid, opened, translated
from maingate.git.plain_repository import loose_commit
from maingate.git.private_git import PrivateGitDir
from maingate.git.shared_objects import share_object, shared_permissions
from maingate.git.trees import Changes, Directory, GitEntry, parse_directory

if TYPE_CHECKING:
    import pygit2

_DIRECTORIES_CACHED: Final = 256
"""Parsed directories that are cached; a patch reads a few, and the next one mostly the same."""

_PROMISED: Final = re.compile(r"remote\..*\.promisor|extensions\.partialclone")
"""The settings of a partial clone: those of today, and those of a git before 2.24."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file's or symbolic link's content with its place in a tree."""

    mode: int
    id: str
    data: bytes


class _Handles(threading.local):
    """The open handles of one thread."""

    ours: "pygit2.Repository | None" = None
    private: "pygit2.Repository | None" = None


class ObjectStore:
    """The objects under a git directory. Threads may share it.

    Args:
        git_dir: The common git directory, with objects and refs.
    """

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._handles = _Handles()
        self._lock = threading.Lock()
        self._private: PrivateGitDir | None = None
        self._read_directory = lru_cache(maxsize=_DIRECTORIES_CACHED)(self._parse_directory)

    def close(self) -> None:
        """Remove the private git directory; may be called again."""
        with self._lock:
            if self._private is not None:
                self._private.close()
            self._private = None
        self._handles = _Handles()

    @property
    def is_shallow(self) -> bool:
        """Return whether its history is cut, so that old commits are missing."""
        return (self.git_dir / "shallow").is_file()

    @property
    def is_partial(self) -> bool:
        """Return whether it was cloned with a filter, so that git fetches some objects only on demand."""
        with translated("read the configuration"):
            return any(_PROMISED.fullmatch(entry.name) for entry in self.handle.config)

    @cached_property
    def sharing(self) -> str:
        """The setting `core.sharedRepository`; empty where the repository is of one user."""
        with translated("read the configuration"):
            found = [entry.value for entry in self.handle.config if entry.name == "core.sharedrepository"]
            return (found[-1] or "true") if found else ""

    def private_git_dir(self) -> PrivateGitDir:
        """Return Maingate's own git directory over the same objects; made when first needed."""
        with self._lock:
            if self._private is None or not self._private.path.is_dir():
                self._private = PrivateGitDir(self.git_dir / "objects", sharing=self.sharing)
            return self._private

    def read_blob(self, blob: str) -> bytes:
        """Return a blob's content."""
        return self._read(blob, ObjectType.BLOB)

    def write_blob(self, data: bytes) -> str:
        """Store content and return its id."""
        return self._write(ObjectType.BLOB, data)

    def read_directory(self, tree: str) -> Directory:
        """Return the entries of a tree, by name."""
        return self._read_directory(tree)

    def write_tree(self, content: bytes) -> str:
        """Store a tree object and return its id."""
        return self._write(ObjectType.TREE, content)

    def has_object(self, object_id: str) -> bool:
        """Return whether there is an object of that full id."""
        with translated(f"look for {object_id}"):
            return oid(object_id) in self.handle

    def blobs_like(self, prefix: str) -> list[str]:
        """Return the full ids of the blobs whose ids start with a text; none if it is no id."""
        try:
            found = self.handle.get(prefix)
        except ValueError:  # several begin so, or it is too short, or no id at all
            return self._of_several(prefix)
        return [str(found.id)] if found is not None and found.type_str == "blob" else []

    def read_commit(self, commit: str) -> Commit:
        """Return a commit's parts."""
        return parse_commit(commit, self._read(commit, ObjectType.COMMIT))

    def write_commit(self, content: bytes) -> str:
        """Store a commit object and return its id."""
        return self._write(ObjectType.COMMIT, content)

    def tree_of(self, commit: str) -> str:
        """Return the id of a commit's tree."""
        return self.read_commit(commit).tree

    def entry_at(self, tree: str, path: bytes) -> GitEntry | None:
        """Return the entry of a tree at a path, directories included; None when there is none."""
        return trees.entry_at(self, tree, path)

    def blob_at(self, tree: str, path: bytes) -> Blob | None:
        """Return the file or symbolic link at a path; None when there is none."""
        entry = self.entry_at(tree, path)
        if entry is None or not entry.is_blob:
            return None
        return Blob(mode=entry.mode, id=entry.id, data=self.read_blob(entry.id))

    def list_files(self, tree: str) -> Iterator[tuple[bytes, GitEntry]]:
        """Yield every file, symbolic link and submodule of a tree with its full path."""
        return trees.list_files(self, tree)

    def list_directory(self, tree: str) -> Iterator[tuple[bytes, GitEntry]]:
        """Yield the entries of a tree, directories too, by name."""
        return trees.list_directory(self, tree)

    def splice(self, tree: str, changes: Changes) -> str:
        """Return the tree that differs from ``tree`` in exactly the given paths; None removes one.

        Raises:
            TreeConflictError: A path would be a file and a directory at once.
        """
        return trees.splice(self, tree, changes)

    def changed_paths(
        self, old: str | None, new: str | None
    ) -> dict[bytes, tuple[GitEntry | None, GitEntry | None]]:
        """Return the paths in which two trees differ, with the entries before and after."""
        return {path: (was, now) for path, was, now in trees.diff(self, old, new)}

    @property
    def handle(self) -> "pygit2.Repository":
        """This thread's handle on the repository."""
        if self._handles.ours is None:
            self._handles.ours = opened(self.git_dir)
        return self._handles.ours

    @property
    def merge_handle(self) -> "pygit2.Repository":
        """This thread's handle on the private git directory, where merges depend on nothing else."""
        if self._handles.private is None:
            self._handles.private = opened(self.private_git_dir().path)
        return self._handles.private

    def _of_several(self, prefix: str) -> list[str]:
        said = self.private_git_dir().git("rev-parse", f"--disambiguate={prefix}", check=False).stdout
        found = {name: self.handle.get(name) for name in said.decode().split()}
        return sorted(
            name for name, object_ in found.items() if object_ is not None and object_.type_str == "blob"
        )

    def _parse_directory(self, tree: str) -> Directory:
        return parse_directory(self._read(tree, ObjectType.TREE))

    def _read(self, object_id: str, kind: ObjectType) -> bytes:
        is_first = self._handles.ours is None  # of this thread, and perhaps its last too
        if (
            is_first
            and kind is ObjectType.COMMIT
            and (loose := loose_commit(self.git_dir, object_id)) is not None
        ):
            return loose
        try:
            found, content = self.handle.read(oid(object_id))
        except KeyError as error:
            raise self._missing(object_id, kind) from error
        except failures() as error:
            raise GitError(f"the object {object_id} could not be read: {error}") from error
        if found != kind:
            raise GitError(
                f"the object {object_id} is a {ObjectType(found).name.lower()}, not a {kind.name.lower()}"
            )
        return content

    def _write(self, kind: ObjectType, content: bytes) -> str:
        with translated(f"write a {kind.name.lower()} into {self.git_dir}"):
            made = str(self.handle.write(kind, content))
        if self.sharing and (permissions := shared_permissions(self.sharing)):
            share_object(self.git_dir / "objects", made, permissions)
        return made

    def _missing(self, object_id: str, kind: ObjectType) -> MissingObjectError:
        why = ""
        if self.is_shallow:
            why = "; the clone is shallow, `git fetch --unshallow` may bring it"
        elif self.is_partial:
            why = "; the clone is partial, `git fetch --refetch --no-filter` brings everything"
        return MissingObjectError(
            f"{self.git_dir} has no {kind.name.lower()} {object_id}: it is missing or damaged{why}"
        )
