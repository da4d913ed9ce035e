"""The objects of a repository: read, stored, and looked up by path, in this process.

Every thread has library handles of its own, because libgit2's are not to be shared. A thread that makes many
objects gathers them, and writes them as one pack.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maingate.errors import GitError, MissingObjectError
from maingate.git import trees
from maingate.git.commits import Commit, parse_commit
from maingate.git.library import ObjectType, failures, oid, opened, translated
from maingate.git.pack_draft import PackDraft
from maingate.git.plain_repository import loose_commit
from maingate.git.private_git import PrivateGitDir
from maingate.git.shared_objects import share_object, shared_permissions
from maingate.git.trees import Changes, Directory, GitEntry, parse_directory
from maingate.git.unwritten import written_before_git

if TYPE_CHECKING:
    import pygit2

_DIRECTORIES_CACHED: Final = 256
"""Parsed directories that are cached; a patch reads a few, and the next one mostly the same."""

_PACKED_FROM: Final = 48
"""Objects from which a pack is worth its two files; fewer are stored one by one."""

_GATHERED_AT_MOST: Final = 32 * 1024 * 1024
"""Bytes that a thread gathers before it writes them."""

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
    draft: PackDraft | None = None
    is_new: bool = False


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
            return any(_PROMISED.fullmatch(entry.name) for entry in self._opened.config)

    @cached_property
    def sharing(self) -> str:
        """The setting `core.sharedRepository`; empty where the repository is of one user."""
        with translated("read the configuration"):
            found = [entry.value for entry in self._opened.config if entry.name == "core.sharedrepository"]
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
        if self._gathered(object_id) is not None:
            return True
        with translated(f"look for {object_id}"):
            return oid(object_id) in self._opened

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

    @contextmanager
    def gathering(self, *, is_new: bool = False) -> Iterator[None]:
        """Keep what this thread stores in memory, and write it as one pack at the end of the block.

        Until then this thread alone can read it. It is written earlier for whatever reads objects in another
        way: git, and the library. After an exception it is written as well.

        Args:
            is_new: Whether to write objects without a look whether they are there already.
        """
        if self._handles.draft is not None:
            yield
            return
        self._handles.draft, self._handles.is_new = PackDraft(), is_new
        try:
            with written_before_git(self._write_gathered):
                try:
                    yield
                finally:  # what was made before a failure is known to caches already
                    self._write_gathered()
        finally:
            self._handles.draft = None

    def forget_gathered(self, object_id: str) -> None:
        """Forget an object that nothing refers to after all, unless it is written already."""
        if self._handles.draft is not None:
            self._handles.draft.objects.pop(object_id, None)

    @property
    def handle(self) -> "pygit2.Repository":
        """This thread's handle on the repository."""
        self._write_gathered()
        return self._opened

    def handle_for(self, *object_ids: str) -> "pygit2.Repository":
        """Return this thread's handle, by which some objects can be read, and all that they lead to."""
        if any(self._gathered(each) is not None for each in object_ids):
            self._write_gathered()
        return self._opened

    @property
    def _opened(self) -> "pygit2.Repository":
        if self._handles.ours is None:
            self._handles.ours = opened(self.git_dir)
        return self._handles.ours

    @property
    def merge_handle(self) -> "pygit2.Repository":
        """This thread's handle on the private git directory, where merges depend on nothing else."""
        self._write_gathered()
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

    def _gathered(self, object_id: str) -> tuple[ObjectType, bytes] | None:
        """Return an object that this thread has not written yet; None without one."""
        draft = self._handles.draft
        return None if draft is None else draft.objects.get(object_id)

    def _write_gathered(self) -> None:
        """Write what this thread has gathered: few objects one by one, many as a pack."""
        draft = self._handles.draft
        if draft is None or not draft.objects:
            return
        if len(draft.objects) < _PACKED_FROM:
            for kind, content in draft.objects.values():
                self._store(kind, content)
        else:
            folder = self.git_dir / "objects" / "pack"
            permissions = shared_permissions(self.sharing) if self.sharing else 0
            with translated(f"write a pack into {folder}"):
                draft.write(folder, permissions=permissions)
        draft.clear()

    def _read(self, object_id: str, kind: ObjectType) -> bytes:
        if (gathered := self._gathered(object_id)) is not None:
            return self._of_kind(object_id, kind, *gathered)
        is_first = self._handles.ours is None  # of this thread, and perhaps its last too
        if (
            is_first
            and kind is ObjectType.COMMIT
            and (loose := loose_commit(self.git_dir, object_id)) is not None
        ):
            return loose
        try:
            found, content = self._opened.read(oid(object_id))
        except KeyError as error:
            raise self._missing(object_id, kind) from error
        except failures() as error:
            raise GitError(f"the object {object_id} could not be read: {error}") from error
        return self._of_kind(object_id, kind, ObjectType(found), content)

    def _of_kind(self, object_id: str, kind: ObjectType, found: ObjectType, content: bytes) -> bytes:
        if found != kind:
            raise GitError(f"the object {object_id} is a {found.name.lower()}, not a {kind.name.lower()}")
        return content

    def _write(self, kind: ObjectType, content: bytes) -> str:
        draft = self._handles.draft
        if draft is None:
            return self._store(kind, content)
        made = draft.name_of(kind, content)
        if made in draft.objects or not (self._handles.is_new or oid(made) not in self._opened):
            return made
        draft.add(made, kind, content)
        if draft.size > _GATHERED_AT_MOST:
            self._write_gathered()
        return made

    def _store(self, kind: ObjectType, content: bytes) -> str:
        with translated(f"write a {kind.name.lower()} into {self.git_dir}"):
            made = str(self._opened.write(kind, content))
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
