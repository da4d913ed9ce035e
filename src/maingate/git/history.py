"""The newest commits of a history by the paths that they changed, read once and on demand.

One `git log` per run; later commits on top of it are noted as they are made, or read in the same way.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from maingate.git.repository import Repository
from maingate.git.trees import GitEntry

DEPTH: Final = 1000
"""Commits that are searched, newest first."""

_MOST_MIXED: Final = 50
"""Most commits to return that changed other files too: a changelog is in all of them."""

_NONE: Final = "0" * 40
_TIPS: Final = 20
_LOG: Final = ("log", "--no-merges", "--raw", "-z", "--no-abbrev", "--no-renames", "--format=commit %H %P")
_RAW: Final = re.compile(rb":\d+ \d+ ([0-9a-f]{40}) ([0-9a-f]{40}) [A-Z]\d*")


@dataclass(frozen=True, slots=True)
class PathChange:
    """The change of one path by a commit.

    Args:
        number: Its place in the history; a later one has a higher number.
        commit: The commit.
        old: The id that was at the path; zeros for none.
        new: The id that is there afterwards.
    """

    number: int
    commit: str
    old: str
    new: str


class TargetHistory:
    """The newest commits by the paths that they changed. Threads may share it."""

    def __init__(self, repository: Repository, *, depth: int = DEPTH) -> None:
        self._repository, self._depth = repository, depth
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._tips: list[str] = []
        self._number = 0
        self._by_paths: defaultdict[frozenset[bytes], list[str]] = defaultdict(list)
        self._by_path: defaultdict[bytes, list[PathChange]] = defaultdict(list)

    def commits_that_changed(self, paths: Iterable[bytes], *, onto: str) -> list[str]:
        """Return the commits in a commit's history that changed these paths.

        Commits that changed no other path come first, then some that did; of each kind the newest first.
        """
        with self._lock:
            self._read_up_to(onto)
            wanted = frozenset(paths)
            found = [*reversed(self._by_paths.get(wanted, [])), *self._among_others(wanted)]
        return [commit for commit in found if self._repository.is_ancestor(commit, onto)]

    def _among_others(self, paths: frozenset[bytes]) -> list[str]:
        steps = [self._by_path.get(path, []) for path in paths]
        if not steps:
            return []
        alone = set(self._by_paths.get(paths, ()))
        in_all = set.intersection(*({step.commit for step in each} for each in steps)) - alone
        return [step.commit for step in reversed(steps[0]) if step.commit in in_all][:_MOST_MIXED]

    def has_come_since(self, commit: str, path: bytes, state: str, *, onto: str) -> bool:
        """Return whether a path got a blob, given by the start of its id, in that commit or later."""
        with self._lock:
            self._read_up_to(onto)
            for step in reversed(self._by_path.get(path, [])):
                if step.new.startswith(state):
                    return True
                if step.commit == commit:
                    return False
        return False

    def note(
        self, commit: str, parent: str, changed: Mapping[bytes, tuple[GitEntry | None, GitEntry | None]]
    ) -> None:
        """Add a commit that was just made, if the one before it is known.

        Args:
            commit: The commit.
            parent: Its only parent.
            changed: The ids before and after, by path.
        """
        with self._lock:
            if parent in self._seen:
                ids = {path: (_id_of(was), _id_of(now)) for path, (was, now) in changed.items()}
                self._add(commit, ids)

    def _read_up_to(self, onto: str) -> None:
        if onto in self._seen:
            return
        known = [f"^{tip}" for tip in self._tips[-_TIPS:]]
        told = self._repository.private_git_dir().git(*_LOG, f"-{self._depth}", onto, *known, "--").stdout
        for commit, changed in reversed(list(_commits(told))):
            if commit not in self._seen:
                self._add(commit, changed)
        self._seen.add(onto)
        self._tips.append(onto)

    def _add(self, commit: str, changed: Mapping[bytes, tuple[str, str]]) -> None:
        self._number += 1
        self._seen.add(commit)
        self._by_paths[frozenset(changed)].append(commit)
        for path, (old, new) in changed.items():
            self._by_path[path].append(PathChange(self._number, commit, old, new))


def _id_of(entry: GitEntry | None) -> str:
    return _NONE if entry is None else entry.id


def _commits(told: bytes) -> Iterator[tuple[str, Mapping[bytes, tuple[str, str]]]]:
    """Yield the commits that git printed, with the ids before and after of each path."""
    words = iter(told.split(b"\0"))
    commit, changed = "", dict[bytes, tuple[str, str]]()
    for word in words:
        if raw := _RAW.fullmatch(word.lstrip(b"\n")):
            changed[next(words)] = raw[1].decode(), raw[2].decode()
        elif word.startswith(b"commit "):
            if commit:
                yield commit, changed
            commit, changed = word.split(b" ")[1].decode(), {}
    if commit:
        yield commit, changed
