"""Commits of a target that a compared revision lacks: not pushed yet, or removed from it.

A remote's branch lags behind the local target until the next push and fetch, and pushes are not on record.
But if git keeps a log of a ref (reflog), commits that the ref had and no longer has were removed from it.
"""

import os
from collections.abc import Sequence
from functools import cached_property

from maingate.errors import GitError
from maingate.git.command import run_git
from maingate.git.repository import Repository


class Unpushed:
    """Compares a revision with the local targets.

    Args:
        repository: The repository.
        name: The revision's name for people.
        commit: Its commit.
    """

    def __init__(self, repository: Repository, name: str, commit: str) -> None:
        self._repository, self._name, self._commit = repository, name, commit
        self._beyond: dict[str, frozenset[str]] = {}
        self._landings: dict[str, int] = {}

    def has(self, commit: str, ref: str) -> bool:
        """Return whether a target has a commit that the revision lacks and never had."""
        if ref not in self._beyond:
            self._beyond[ref] = frozenset(self._listed(self._head(ref), f"^{self._commit}"))
        return commit in self._beyond[ref] and not self.was_there(commit)

    def was_there(self, commit: str) -> bool:
        """Return whether the revision is a ref that once had a commit."""
        return commit in self._lost

    def count(self, ref: str) -> None:
        """Count one landing that the revision lacks."""
        self._landings[ref] = self._landings.get(ref, 0) + 1

    def notes(self) -> Sequence[str]:
        """Return notes about the counted landings."""
        return [self._note(ref, landings) for ref, landings in self._landings.items()]

    def _note(self, ref: str, landings: int) -> str:
        them = "1 landing is" if landings == 1 else f"{landings} landings are"
        head = self._head(ref)
        if self._repository.is_ancestor(self._commit, head):
            return f"{them} on {ref} and not in {self._name} yet: push them"
        base = self._repository.merge_base(self._commit, head)
        since = "from its beginning" if base is None else f"since {base[:12]}"
        return (
            f"{them} on {ref} and not in {self._name}, which has diverged {since}: "
            f"merge it and push; whether {self._name} once had them is unknown here"
        )

    @cached_property
    def _lost(self) -> frozenset[str]:
        """The commits reachable from the ref's log but not from the ref."""
        full = self._said("rev-parse", "--symbolic-full-name", self._name)
        if len(full) != 1 or not full[0].startswith("refs/"):  # HEAD moves between branches
            return frozenset()
        had = self._said("reflog", "show", "--format=%H", full[0], "--")
        return frozenset(
            self._listed("--ignore-missing", *dict.fromkeys(had), f"^{self._commit}") if had else ()
        )

    def _head(self, ref: str) -> str:
        try:
            return self._repository.ref_value(ref) or self._commit
        except GitError:  # an invalid ref name: the row was changed, which the ledger check reports
            return self._commit

    def _listed(self, *revisions: str) -> Sequence[str]:
        options = [each for each in revisions if each.startswith("--")]
        wanted = "\n".join(each for each in revisions if each not in options)
        return self._said("--no-replace-objects", "rev-list", *options, "--stdin", stdin=f"{wanted}\n")

    def _said(self, *words: str, stdin: str | None = None) -> Sequence[str]:
        sent = None if stdin is None else stdin.encode()
        said = run_git(
            *words, git_dir=self._repository.git_dir, env={"GIT_GRAFT_FILE": os.devnull}, input=sent
        )
        return said.stdout.decode(errors="surrogateescape").split()
