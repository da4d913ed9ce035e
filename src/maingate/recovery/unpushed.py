"""What a target has beyond a revision that the record is held against: not there yet, or not there any more.

A remote's branch lags behind what lands here until somebody pushes and fetches. What was pushed is not on
record. But where git keeps a log of a ref (reflog), that tells what the ref has had: what it had and does not
have any more was taken from it.
"""

import os
from collections.abc import Sequence
from functools import cached_property

from maingate.errors import GitError
from maingate.git.command import run_git
from maingate.git.repository import Repository


class Unpushed:
    """Compares a revision with the targets as they are here.

    Args:
        repository: The repository.
        name: What people call the revision.
        commit: Where it is.
    """

    def __init__(self, repository: Repository, name: str, commit: str) -> None:
        self._repository, self._name, self._commit = repository, name, commit
        self._beyond: dict[str, frozenset[str]] = {}
        self._landings: dict[str, int] = {}

    def has(self, commit: str, ref: str) -> bool:
        """Return whether a target has a commit that the revision does not have, and never had."""
        if ref not in self._beyond:
            self._beyond[ref] = frozenset(self._listed(self._head(ref), f"^{self._commit}"))
        return commit in self._beyond[ref] and not self.was_there(commit)

    def was_there(self, commit: str) -> bool:
        """Return whether the revision is a ref that had a commit and does not have it any more."""
        return commit in self._lost

    def count(self, ref: str) -> None:
        """Count one landing that the revision does not have yet."""
        self._landings[ref] = self._landings.get(ref, 0) + 1

    def notes(self) -> Sequence[str]:
        """Return what people should know of the landings that were counted."""
        return [self._note(ref, landings) for ref, landings in self._landings.items()]

    def _note(self, ref: str, landings: int) -> str:
        them = "1 landing is" if landings == 1 else f"{landings} landings are"
        head = self._head(ref)
        if self._repository.is_ancestor(self._commit, head):
            return f"{them} on {ref} and not in {self._name} yet: push what is to be there"
        base = self._repository.merge_base(self._commit, head)
        since = "from its beginning" if base is None else f"since {base[:12]}"
        return (
            f"{them} on {ref} and not in {self._name}, which has gone another way {since}: "
            f"merge that and push; whether {self._name} had them before cannot be seen here"
        )

    @cached_property
    def _lost(self) -> frozenset[str]:
        """The commits that the log of the ref leads to, and the ref does not."""
        full = self._said("rev-parse", "--symbolic-full-name", self._name)
        if len(full) != 1 or not full[0].startswith("refs/"):  # HEAD goes from branch to branch
            return frozenset()
        had = self._said("reflog", "show", "--format=%H", full[0], "--")
        return frozenset(
            self._listed("--ignore-missing", *dict.fromkeys(had), f"^{self._commit}") if had else ()
        )

    def _head(self, ref: str) -> str:
        try:
            return self._repository.ref_value(ref) or self._commit
        except GitError:  # no name of a ref: it was changed, which the ledger tells
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
