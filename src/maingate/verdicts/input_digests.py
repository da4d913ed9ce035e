"""Digests of what some globs select in a tree: equal digests mean that a checkout shows the same there.

The content of a file in a checkout is decided by more than its blob: by every ``.gitattributes`` in the
folders on the way to it, and, where a symbolic link is on the way, by what stands at its target. Both are
part of the digest. Where a link leads to what cannot be told apart simply (another link), the whole tree is.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pathspec import GitIgnoreSpec

from maingate.git.index_attributes import NAME as ATTRIBUTES
from maingate.git.repository import GitEntry, Repository
from maingate.git.trees import SUBMODULE_MODE, SYMLINK_MODE, TREE_MODE
from maingate.patches.policy.unsafe_paths import glob_text
from maingate.plan.paths.glob_overlap import may_overlap

Fact = tuple[str, int, str]
"""A name in hexadecimal digits, a mode, and an object's id or a digest."""

_WHOLE: Final = "the whole tree"
_OUTSIDE: Final = "outside of the tree"
_NOTHING: Final = "nothing in the tree"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The selection of globs below a folder.

    Args:
        digest: Of all of it; empty when it is nothing.
        links: Path and blob of each link that is selected, or that leads to what may be.
    """

    digest: str = ""
    links: tuple[tuple[bytes, str], ...] = ()


class InputDigests:
    """Digests of what in a tree matches some globs; a directory that did not change is not looked at again.

    Args:
        repository: Where trees are read.
        globs: gitignore-style, as in the plan.
    """

    def __init__(self, repository: Repository, globs: Sequence[str]) -> None:
        self._repository, self._globs = repository, tuple(globs)
        self._spec = GitIgnoreSpec.from_lines(globs)
        self._links = _Links(repository)
        self._known: dict[tuple[bytes, str], _Part] = {}

    def of(self, tree: str) -> str:
        """Digest the paths, modes and contents that match, and what else decides how they are checked out."""
        part = self._below(b"", tree)
        if not part.links:
            return part.digest
        behind = [self._links.behind(tree, path, blob) for path, blob in part.links]
        return digest_of([_WHOLE, tree] if _WHOLE in behind else [part.digest, behind])

    def _below(self, prefix: bytes, tree: str) -> _Part:
        known = self._known.get((prefix, tree))
        if known is None:
            known = self._known[prefix, tree] = self._read(prefix, tree)
        return known

    def _read(self, prefix: bytes, tree: str) -> _Part:
        listed = list(self._repository.list_directory(tree))
        found: list[Fact] = []
        links: list[tuple[bytes, str]] = []
        for name, entry in listed:
            path = prefix + name
            if entry.is_tree:
                part = self._below(path + b"/", entry.id)
                links += part.links
                said = part.digest
            else:
                said = entry.id if self._is_selected(path, entry) else ""
                links += [(path, entry.id)] if said and entry.mode == SYMLINK_MODE else []
            if said:
                found.append((name.hex(), entry.mode, said))
        if not found:
            return _Part()
        return _Part(digest=digest_of([attributes_in(listed), found]), links=tuple(links))

    def _is_selected(self, path: bytes, entry: GitEntry) -> bool:
        """Return whether a path matches, or, where it stands for a folder, something below it may."""
        text = glob_text(path)
        if self._spec.match_file(text):
            return True
        is_folder = entry.mode in (SYMLINK_MODE, SUBMODULE_MODE)
        return is_folder and may_overlap(self._globs, [f"/{_escaped(text)}/**"])


class _Links:
    """Finds what stands behind symbolic links of trees."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._plain: dict[str, bool] = {}

    def behind(self, tree: str, path: bytes, blob: str) -> object:
        """Return what decides what is seen through a link; ``_WHOLE`` when only the whole tree does.

        Args:
            tree: The root.
            path: Where the link is.
            blob: The link's text.
        """
        text = self._repository.read_blob(blob)
        if text.startswith(b"/"):
            return _OUTSIDE
        way = self._way(tree, path)
        for name in text.split(b"/"):
            further = self._further(way, name)
            if isinstance(further, str):
                return further
            way = further
        *above, target = way
        if target.is_tree and not self._is_plain(target.id):
            return _WHOLE
        listed = [self._repository.list_directory(folder.id) for folder in above]
        return [[attributes_in(each) for each in listed], target.mode, target.id]

    def _further(self, way: list[GitEntry], name: bytes) -> list[GitEntry] | str:
        here = way[-1]
        if not here.is_tree:
            return _NOTHING
        if name in (b"", b"."):
            return way
        if name == b"..":
            return way[:-1] or _OUTSIDE
        found = dict(self._repository.list_directory(here.id)).get(name)
        if found is None:
            return _NOTHING
        return _WHOLE if found.mode == SYMLINK_MODE else [*way, found]

    def _way(self, tree: str, path: bytes) -> list[GitEntry]:
        """Return the folders from the root down to the one that a link is in."""
        way = [GitEntry(TREE_MODE, tree)]
        for name in path.split(b"/")[:-1]:
            way.append(dict(self._repository.list_directory(way[-1].id))[name])
        return way

    def _is_plain(self, tree: str) -> bool:
        """Return whether there is no link below a folder."""
        if tree not in self._plain:
            self._plain[tree] = all(
                self._is_plain(entry.id) if entry.is_tree else entry.mode != SYMLINK_MODE
                for _, entry in self._repository.list_directory(tree)
            )
        return self._plain[tree]


def attributes_in(listed: Iterable[tuple[bytes, GitEntry]]) -> list[Fact]:
    """Return the ``.gitattributes`` among the entries of a folder, in whatever case it is written."""
    return [
        (name.hex(), entry.mode, entry.id)
        for name, entry in listed
        if name.lower() == ATTRIBUTES and not entry.is_tree
    ]


def digest_of(value: object) -> str:
    """Digest a value that JSON has a form for; the order of keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")
