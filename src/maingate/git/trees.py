"""Trees as values: read them, change some of their paths, compare two of them.

Works on the bytes of tree objects rather than on a library's tree class: names are bytes (many are not
UTF-8), a directory is rewritten only when something in it changed, and whole directories with equal ids are
never opened. So the cost is that of the change, not of the repository.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

TREE_MODE: Final = 0o040000
FILE_MODE: Final = 0o100644
EXECUTABLE_MODE: Final = 0o100755
SYMLINK_MODE: Final = 0o120000
SUBMODULE_MODE: Final = 0o160000
EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

_KIND: Final = 0o170000
_REGULAR: Final = 0o100000
_ENTRY: Final = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GitEntry:
    """An entry of a tree.

    Args:
        mode: One of git's modes, such as ``0o100644``.
        id: The object's id, 40 hexadecimal digits.
    """

    mode: int
    id: str

    @property
    def is_tree(self) -> bool:
        """Return whether it is a directory."""
        return self.mode == TREE_MODE

    @property
    def is_blob(self) -> bool:
        """Return whether it is a file or a symbolic link, which has content in this repository."""
        return self.mode not in {TREE_MODE, SUBMODULE_MODE}


RawEntry = tuple[bytes, bytes]
"""Mode and id as in a tree object; made into a ``GitEntry`` only on use."""

Directory = Mapping[bytes, RawEntry]
Changes = Mapping[bytes, GitEntry | None]


class TreeStore(Protocol):
    """A store from which trees are read and to which they are written."""

    def read_directory(self, tree: str) -> Directory:
        """Return the entries of a tree, by name."""
        ...

    def write_tree(self, content: bytes) -> str:
        """Store a tree object and return its id."""
        ...


class TreeConflictError(ValueError):
    """A path would be both a file and a directory."""


def parse_directory(content: bytes) -> Directory:
    """Parse the content of a tree object."""
    return {name: (mode, oid) for mode, name, oid in _ENTRY.findall(content)}


def entry_at(store: TreeStore, tree: str, path: bytes) -> GitEntry | None:
    """Return the entry of a tree at a path, a directory too; None when there is none."""
    found = GitEntry(TREE_MODE, tree)
    for name in path.split(b"/"):
        if not found.is_tree:
            return None
        below = store.read_directory(found.id).get(name)
        if below is None:
            return None
        found = _entry(below)
    return found


def list_files(store: TreeStore, tree: str, under: bytes = b"") -> Iterator[tuple[bytes, GitEntry]]:
    """Yield every file, symbolic link and submodule of a tree with its full path, in tree order."""
    for name, entry in list_directory(store, tree):
        if entry.is_tree:
            yield from list_files(store, entry.id, under + name + b"/")
        else:
            yield under + name, entry


def list_directory(store: TreeStore, tree: str) -> Iterator[tuple[bytes, GitEntry]]:
    """Yield the entries of a tree, directories too, by name."""
    for name, raw in store.read_directory(tree).items():
        yield name, _entry(raw)


def splice(store: TreeStore, tree: str, changes: Changes) -> str:
    """Return the tree that differs from ``tree`` in exactly the given paths.

    Args:
        store: The store of the trees.
        tree: The tree to start from.
        changes: Full paths; None removes the entry, an entry sets it. An empty directory is removed.

    Raises:
        TreeConflictError: A path would be a file and a directory at once.
    """
    return _splice(store, tree, changes) or store.write_tree(b"")


def diff(
    store: TreeStore, old: str | None, new: str | None, under: bytes = b""
) -> Iterator[tuple[bytes, GitEntry | None, GitEntry | None]]:
    """Yield each path of a file, link or submodule that differs, with the entries before and after."""
    if old == new:
        return
    before, after = _directory(store, old), _directory(store, new)
    for name in before.keys() | after.keys():
        raw_was, raw_now = before.get(name), after.get(name)
        if raw_was == raw_now:
            continue
        path = under + name
        was, now = raw_was and _entry(raw_was), raw_now and _entry(raw_now)
        if (was and was.is_tree) or (now and now.is_tree):
            yield from diff(store, _tree_id(was), _tree_id(now), path + b"/")
        was, now = _no_tree(was), _no_tree(now)
        if was != now:
            yield path, was, now


def _splice(store: TreeStore, tree: str | None, changes: Changes) -> str | None:
    directory = dict(_directory(store, tree))
    direct: dict[bytes, GitEntry | None] = {}
    nested: defaultdict[bytes, dict[bytes, GitEntry | None]] = defaultdict(dict)
    for path, entry in changes.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            nested[name][rest] = entry
        else:
            direct[name] = entry
    for name, entry in direct.items():
        if entry is None:
            directory.pop(name, None)
    for name, below in nested.items():
        _splice_below(store, directory, name, below)
    for name, entry in direct.items():
        if entry is not None:
            _set(directory, name, entry)
    return store.write_tree(_content(directory)) if directory else None


def _splice_below(store: TreeStore, directory: dict[bytes, RawEntry], name: bytes, below: Changes) -> None:
    raw = directory.get(name)
    here = None if raw is None else _entry(raw)
    if here is not None and not here.is_tree:
        if any(below.values()):
            raise TreeConflictError(f"{name!r} is a file, nothing can be put below it")
        return
    made = _splice(store, _tree_id(here), below)
    if made is None:
        directory.pop(name, None)
    else:
        directory[name] = _raw(GitEntry(TREE_MODE, made))


def _set(directory: dict[bytes, RawEntry], name: bytes, entry: GitEntry) -> None:
    here = directory.get(name)
    if here is not None and _entry(here).is_tree and not entry.is_tree:
        raise TreeConflictError(f"{name!r} is a directory with something in it, it cannot become a file")
    directory[name] = _raw(entry)


def _content(directory: Directory) -> bytes:
    ordered = sorted(directory.items(), key=_sort_key)
    return b"".join([b"%s %s\0%s" % (mode, name, oid) for name, (mode, oid) in ordered])


def _sort_key(item: tuple[bytes, RawEntry]) -> bytes:
    """Return the key by which git sorts: a directory as if its name ended in a slash."""
    name, (mode, _) = item
    return name + b"/" if mode.lstrip(b"0") == b"40000" else name


def _directory(store: TreeStore, tree: str | None) -> Directory:
    return {} if tree is None or tree == EMPTY_TREE else store.read_directory(tree)


def _entry(raw: RawEntry) -> GitEntry:
    return GitEntry(_canonical(int(raw[0], 8)), raw[1].hex())


def _raw(entry: GitEntry) -> RawEntry:
    return b"%o" % entry.mode, bytes.fromhex(entry.id)


def _canonical(mode: int) -> int:
    """Return the mode that git would write today; old trees have group-writable files."""
    if mode & _KIND == _REGULAR:
        return EXECUTABLE_MODE if mode & 0o100 else FILE_MODE
    return mode


def _tree_id(entry: GitEntry | None) -> str | None:
    return entry.id if entry is not None and entry.is_tree else None


def _no_tree(entry: GitEntry | None) -> GitEntry | None:
    return None if entry is None or entry.is_tree else entry


def folders_of(paths: Iterable[bytes]) -> set[bytes]:
    """Return the folders that some paths are in, and those above."""
    found: set[bytes] = set()
    for path in paths:
        folder = path.rpartition(b"/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition(b"/")[0]
    return found
