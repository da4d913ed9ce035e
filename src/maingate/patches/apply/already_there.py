"""Search for changes that the target has already: a patch lands once, also if it would apply again.

That a patch applies proves nothing: its context may occur again below its own additions (as in a changelog),
and a file that it adds may have been renamed since. So the past decides:

* **The ledger**: the same patch landed on this history, or one with the same changes to the same lines.
* **The history**: one of the newest commits made exactly these changes to the same files, by any author;
  its changes to other files (as in a squashed series) are ignored.

Neither counts after the change was reverted: by a rollback, by a reverse commit, or by hand, so that nothing
of it is left. Later changes by the same run (a patch that undoes it or moves the file) are no revert. And
neither counts
for a patch whose `index` lines name exactly the files that are there: that is another change, which looks
alike. Only identical bytes are the same patch even then.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from maingate.git.history import TargetHistory
from maingate.git.merge import MergeConflict, merge_trees
from maingate.git.repository import Repository
from maingate.git.reverted import was_taken_back
from maingate.git.trees import EMPTY_TREE
from maingate.patches.apply.same_change import did
from maingate.patches.intake import Intake
from maingate.patches.model import ChangeKind, FileChange
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode


@dataclass(frozen=True, kw_only=True)
class LandedChange:
    """A patch that landed and was not rolled back, by the ledger.

    Args:
        patch: Its id.
        run: Its run's id.
        key: The digest of its changes (`change_key`).
        sha256: The checksum of its bytes.
        commit: The commit that holds it.
        end: The target's commit at the end of its run; None while the run goes on.
    """

    patch: str
    run: str
    key: str
    sha256: str
    commit: str
    end: str | None = None


FindLanded = Callable[[Collection[str]], Sequence[LandedChange]]
"""A function that returns the landed patches with one of the given keys."""

Known = Mapping[str, Sequence[LandedChange]]
"""Landed patches by their keys."""


class AlreadyThere:
    """The changes that the target has already. Threads may share it."""

    def __init__(self, repository: Repository, ledger: FindLanded) -> None:
        self._repository, self._ledger = repository, ledger
        self.history = TargetHistory(repository)

    def recall(self, intakes: Sequence[Intake]) -> Known:
        """Query the ledger for several patches at once."""
        known: dict[str, list[LandedChange]] = {}
        for landed in self._ledger({intake.key for intake in intakes}):
            known.setdefault(landed.key, []).append(landed)
        return known

    def reason(self, intake: Intake, known: Known, *, onto: str) -> Reason | None:
        """Return the reason that a patch landed before a commit; None when it did not."""
        tree = self._repository.tree_of(onto)
        is_made_here = all(self._is_made_on(tree, change) for change in intake.files)
        for landed in known.get(intake.key, ()):
            if self._is_evidence(landed, intake, onto, is_made_here=is_made_here):
                by = f"patch {landed.patch} of run {landed.run} landed it"
                return _already(intake, landed.commit, by, {"patch": landed.patch, "run": landed.run})
        commit = None if is_made_here else self._commit_that_did(intake, onto)
        return None if commit is None else _already(intake, commit, "it does exactly this", {})

    def _is_made_on(self, tree: str, change: FileChange) -> bool:
        """Return whether a change names the present file as its base, and its new path is free."""
        if change.old_path is None or change.old_blob is None or change.kind is ChangeKind.COPY:
            return False
        there = self._repository.entry_at(tree, change.old_path)
        is_free = change.kind is not ChangeKind.RENAME or self._is_free(tree, change.path)
        return is_free and there is not None and there.id.startswith(change.old_blob)

    def _is_free(self, tree: str, path: bytes) -> bool:
        return self._repository.entry_at(tree, path) is None

    def _is_evidence(self, landed: LandedChange, intake: Intake, onto: str, *, is_made_here: bool) -> bool:
        if not self._is_in(landed.commit, onto):
            return False
        is_the_same = landed.sha256 == sha256(intake.raw).hexdigest()
        if not is_the_same and (is_made_here or self._is_older(landed.commit, intake, onto)):
            return False
        end = landed.end if landed.end is not None and self._is_in(landed.end, onto) else landed.commit
        return self._holds(landed.commit, end, onto, intake, is_own=self._is_own(landed))

    def _commit_that_did(self, intake: Intake, onto: str) -> str | None:
        for commit in self.history.commits_that_changed(intake.scope.paths, onto=onto):
            before, after = self._change_of(commit)
            if (
                did(self._repository, before, after, intake.files)
                and not self._is_older(commit, intake, onto)
                and self._holds(commit, commit, onto, intake, is_own=self._is_all(before, after, intake))
                and not self._has_only_moved(before, after, intake)
            ):
                return commit
        return None

    def _has_only_moved(self, before: str, after: str, intake: Intake) -> bool:
        """Return whether a file that the patch removes was moved by a change, so that it is elsewhere now."""
        removed = {change.old_path for change in intake.files if change.kind is ChangeKind.DELETE}
        if not removed:
            return False
        git = self._repository.private_git_dir().git
        listed = git("diff-tree", "-r", "-M", "--diff-filter=R", "--name-status", "-z", before, after)
        return not removed.isdisjoint(listed.stdout.split(b"\0")[1::3])

    def _is_all(self, before: str, after: str, intake: Intake) -> bool:
        return set(self._repository.changed_paths(before, after)) == set(intake.scope.paths)

    def _is_older(self, commit: str, intake: Intake, onto: str) -> bool:
        """Return whether the patch was made on a state of the files before the commit."""
        return any(
            self.history.has_come_since(commit, change.old_path, change.old_blob, onto=onto)
            for change in intake.files
            if change.old_path is not None and change.old_blob is not None
        )

    def _holds(self, commit: str, end: str, onto: str, intake: Intake, *, is_own: bool) -> bool:
        """Return whether a commit's change is still there, or was changed only by its own run."""
        before, after = self._change_of(commit)
        here, then = self._repository.tree_of(onto), self._repository.tree_of(end)
        if not is_own:  # the commit holds other patches too: only the files of this one tell
            before, after, here, then = (self._only(tree, intake) for tree in (before, after, here, then))
        is_gone = self._is_gone(before, after, here)
        if is_gone is None:
            return not was_taken_back(self._repository, before=before, after=after, since=end, head=onto)
        return not is_gone or self._is_gone(before, after, then) is True

    def _is_gone(self, before: str, after: str, state: str) -> bool | None:
        """Return whether a tree has nothing left of a change; None when later changes make it undecidable."""
        merged = merge_trees(self._repository, base=after, ours=state, theirs=before)
        return None if isinstance(merged, MergeConflict) else merged == state

    def _change_of(self, commit: str) -> tuple[str, str]:
        found = self._repository.read_commit(commit)
        if not found.parents or not self._repository.has_object(found.parents[0]):  # where a clone is cut off
            return self._repository.write_tree(b""), found.tree
        return self._repository.tree_of(found.parents[0]), found.tree

    def _is_in(self, commit: str, onto: str) -> bool:
        return self._repository.has_object(commit) and self._repository.is_ancestor(commit, onto)

    def _is_own(self, landed: LandedChange) -> bool:
        message = self._repository.read_commit(landed.commit).message
        return f"Maingate-Patch: {landed.patch}".encode() in message.splitlines()

    def _only(self, tree: str, intake: Intake) -> str:
        entries = {path: self._repository.entry_at(tree, path) for path in intake.scope.paths}
        files = {path: entry for path, entry in entries.items() if entry is not None and not entry.is_tree}
        return self._repository.splice(EMPTY_TREE, files)


def _already(intake: Intake, commit: str, by: str, detail: Mapping[str, str]) -> Reason:
    paths = [show_path(path) for path in intake.scope.paths]
    return Reason(
        code=ReasonCode.ALREADY_APPLIED,
        message=f"the target has this change already: {by}, in commit {commit[:12]}, and nothing has taken "
        "it back since; if it is to be made once more, make the patch again on the current state",
        detail={**detail, "commit": commit, "paths": paths},
    )
