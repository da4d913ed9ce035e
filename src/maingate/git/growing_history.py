"""The history of a commit on which others are made, one after the other, without a walk through it.

Each question about the newest of a row of merges would walk all those before it. So the commits that the row
has brought are kept, and the library is asked about the commit alone that the row began on.
"""

from typing import Final

from maingate.git.repository import Repository

LONGEST_CHAIN: Final = 10_000
"""Commits of a workstream beyond which git finds the best common ancestors."""


class GrowingHistory:
    """The history of the newest commit of a row.

    Args:
        repository: The repository.
        start: The commit that the row begins on.
    """

    def __init__(self, repository: Repository, start: str) -> None:
        self._repository = repository
        self._last: tuple[str, tuple[list[str], str] | None] = ("", None)
        self.start = self.tip = start
        self._brought: set[str] = set()
        self._below = {start}

    def has(self, commit: str) -> bool:
        """Return whether a commit is in it."""
        if commit in self._below or commit in self._brought:
            return True
        is_below = self._repository.is_ancestor(commit, self.start)
        if is_below:
            self._below.add(commit)
        return is_below

    def base_with(self, commit: str) -> str | None:
        """Return the best common ancestor with a commit; None where none is found, or git is to tell."""
        found = self._own(commit)
        return None if found is None else found[1]

    def go_on(self, tip: str) -> None:
        """Take in the next commit of the row, and all that it brings."""
        brought: set[str] = set()
        at = tip
        while at != self.tip:
            parents = self._repository.read_commit(at).parents
            own = [self._own(parent) for parent in parents[1:]]
            if not parents or None in own or len(brought) > LONGEST_CHAIN:
                self._begin(tip)  # it cannot be told what it brings
                return
            brought.update([at], *(found[0] for found in own if found is not None))
            at = parents[0]
        self._brought |= brought
        self.tip, self._last = tip, ("", None)

    def _begin(self, start: str) -> None:
        self.start = self.tip = start
        self._last = "", None
        self._brought = set()
        self._below = {start}

    def _own(self, commit: str) -> tuple[list[str], str] | None:
        """Return the commits in a row that lead to one from the first that is in this history, and that one.

        Returns:
            None where several ways lead there.
        """
        if self._last[0] != commit:
            self._last = commit, self._find(commit)
        return self._last[1]

    def _find(self, commit: str) -> tuple[list[str], str] | None:
        base = self._repository.merge_base(self.start, commit)
        if base is None:
            return None
        own: list[str] = []
        at = commit
        while at != base and at not in self._brought:
            parents = self._repository.read_commit(at).parents
            if len(parents) != 1 or len(own) == LONGEST_CHAIN:
                return None
            own.append(at)
            at = parents[0]
        return own, at
