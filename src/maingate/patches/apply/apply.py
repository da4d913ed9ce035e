"""Application of a patch to a tree: by git, checked against our own reading, and spliced into the tree.

The attempts, in order:

1. Exact. `git apply` places every hunk at its stated line; the result must be, byte for byte, that of our own
   reading. One git process; the normal case. If the lines of a hunk occur more than once in a file that has
   changed since, the stated line may be wrong: then a merge is tried too.
2. Three-way, if the text names the blobs it was made on, these are admissible (`patches.apply.preimages`),
   and the base has others. Git merges the patch's change of its own base into this one. **Its result is final
   if it is
   possible, also when the patch would apply with offsets**: unchanged context at another line may belong to a
   repetition of the same lines, and a merge knows the difference. A conflict of the merge is a conflict.
3. With offsets, if there are no such blobs: git found every line of context at another place, without fuzz,
   and they occur nowhere else (`patches.apply.moved_hunks`). The result must be that of our own reading with
   the hunks at the places that git reports.

A file that the tree lacks may have been moved since the patch was made, or the folder of a new file. Where
the state that the patch was made on is known, git merges the patch's change of that whole state, and so
follows the file, as `git rebase` does; a conflict of that merge is a conflict.

A hunk without any context (``diff -U0``) that was made on another state of the file is never placed by line
number
alone: it gets its context from the file it was made on, if that is admissible, or is refused. A patch that
applies nowhere but applies in reverse is in the tree already. A result that differs from our own reading is
refused as malformed, independent of git's exit code.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Final

from maingate.git.merge import MergeConflict, merge_trees
from maingate.git.merge_place import attributes_of, merged_by_drivers, merging
from maingate.git.repository import Repository
from maingate.git.trees import GitEntry
from maingate.patches.apply.doubt_resolution import locate
from maingate.patches.apply.doubts import can_merge, is_blind, may_merge_otherwise, only_adds
from maingate.patches.apply.expected import (
    REMOVING,
    ChangeReading,
    content_of,
    is_done,
    is_merged,
    outcome,
    read_change,
)
from maingate.patches.apply.git_apply import Attempt, attempt, private_entries
from maingate.patches.apply.line_ends import CRLF, ending_of_base, with_endings_of_base
from maingate.patches.apply.moved_hunks import with_other_places
from maingate.patches.apply.outcomes import Applied, ApplyMethod, NotApplied
from maingate.patches.apply.parts_there import parts_there
from maingate.patches.apply.preimages import Preimages
from maingate.patches.apply.repairs_made import merged_file, moved_files, moved_hunk, unlike_stated
from maingate.patches.intake import Intake
from maingate.patches.model import FileChange, show_path
from maingate.patches.repair_record import Repair
from maingate.patches.text.render import render_change
from maingate.reasons import Reason, ReasonCode
from maingate.wording import listed

_UNPLACED: Final = "a hunk without context lines was made on another state of the file: its place is unknown"
_NO_BLOB: Final = "0" * 40
_MOST_SHOWN: Final = 10
"""Most complaints or paths in a message for people."""
_MOST_KEPT: Final = 200
"""Most of them in the details for programs."""


def apply_patch(
    repository: Repository, base_tree: str, intake: Intake, *, history: Preimages, fixes_endings: bool = False
) -> Applied | NotApplied:
    """Apply a patch to a tree; only objects are written.

    Args:
        repository: The repository.
        base_tree: The tree's id.
        history: The files that the patch may be merged by: those in the history that it is applied on.
        intake: The patch, **not** located yet: that is done here, because a hunk without context may only get
            it from the file that it was made on.
        fixes_endings: Whether it may take the line endings of the files that it changes.

    Raises:
        GitError: git or the disk failed, which means nothing about the patch.
    """
    if fixes_endings:
        intake = with_endings_of_base(intake, lambda path: _content_at(repository, base_tree, path))
    blind = [change for change in intake.files if is_blind(repository, base_tree, change)]
    own_bases = {change.old_path: history.named(change) for change in blind}
    if any(own_bases[change.old_path] is None and only_adds(change) for change in blind):
        return _Application(repository, base_tree, intake, history).refused((_UNPLACED,))

    def content_at(path: bytes) -> bytes | None:
        own_base = own_bases.get(path)
        if own_base is not None:
            return repository.read_blob(own_base)
        return _content_at(repository, base_tree, path)

    located = locate(intake, content_at)
    if isinstance(located, Reason):
        there = parts_there(intake.files, partial(_content_at, repository, base_tree))
        is_told = there is not None and located.code is ReasonCode.CONFLICT
        said = f"{located.message}; {there}" if is_told else located.message
        return NotApplied(reason=replace(located, message=said))
    application = _Application(repository, base_tree, located, history)
    return application.refused((_UNPLACED,)) if located.is_zero_context else application.run()


def _content_at(repository: Repository, tree: str, path: bytes) -> bytes | None:
    blob = repository.blob_at(tree, path)
    return None if blob is None else blob.data


class _Application:
    """The attempts to apply one patch to one tree."""

    def __init__(
        self,
        repository: Repository,
        base_tree: str,
        intake: Intake,
        history: Preimages,
    ) -> None:
        self.repository, self.base_tree, self.intake = repository, base_tree, intake
        self.history = history
        self.touched = {path for change in intake.files for path in change.paths}
        self.index = private_entries(self.touched, self.entry_at, repository)

    @cached_property
    def text(self) -> bytes:
        return self.intake.render()

    def text_to_merge(self) -> bytes:
        """Return the patch with the full ids of the blobs that git may merge by, and no others."""
        return b"".join(render_change(self._with_own_base(change)) for change in self.intake.files)

    def _with_own_base(self, change: FileChange) -> FileChange:
        if change.old_path is None or change.old_blob is None:
            return change
        return replace(change, old_blob=self.own_base(change) or _NO_BLOB)

    def own_base(self, change: FileChange) -> str | None:
        """Return the blob that a change was made on: the base's own, or an admissible one of its history."""
        before = self.before(change)
        if before is not None and change.old_blob is not None and before.id.startswith(change.old_blob):
            return before.id
        return self.history.agreeing(change)

    def entry_at(self, path: bytes) -> GitEntry | None:
        return self.repository.entry_at(self.base_tree, path)

    def run(self) -> Applied | NotApplied:
        if self.is_moved():
            followed = self.followed()
            if followed is not None:
                return followed
        direct = self.attempt()
        readings = self.readings(direct)
        if direct.took:
            if not self.is_as_read(direct, readings):
                return self.malformed(direct, readings)
            if all(reading.is_exact for reading in readings):
                return self.exact(self.applied(direct, ApplyMethod.EXACT, readings), readings)
        if any(can_merge(self.history, reading) for reading in readings if not reading.is_exact):
            return self.three_way()
        if direct.took:
            guessed = self.guessed(direct, readings)
            return self.refused(guessed) if guessed else self.applied(direct, ApplyMethod.OFFSET, readings)
        return self.refused(direct.complaints, is_malformed=direct.is_malformed)

    def guessed(self, tried: Attempt, readings: list[ChangeReading]) -> tuple[str, ...]:
        """Return messages about hunks that git moved to one of several places where their lines occur."""
        return tuple(
            f"hunk {number} of {show_path(reading.change.path)} fits at several places, none of them its own"
            for reading, moved in zip(readings, tried.moved, strict=False)
            if moved and not reading.is_exact and reading.before is not None
            for number in with_other_places(
                content_of(self.repository, reading.before), reading.change.hunks, moved
            )
        )

    def exact(self, exact: Applied | NotApplied, readings: list[ChangeReading]) -> Applied | NotApplied:
        """Return the exact result, unless a merge gives another."""
        unsure = (
            reading for reading in readings if may_merge_otherwise(self.repository, self.base_tree, reading)
        )
        if not any(can_merge(self.history, reading) for reading in unsure):
            return exact
        merged = self.three_way()
        agree = isinstance(exact, Applied) and isinstance(merged, Applied) and exact.tree == merged.tree
        return exact if agree else merged

    def is_moved(self) -> bool:
        """Return whether a file or folder is not where the patch was made to find it."""
        changes = self.intake.files
        is_gone = any(change.old_path is not None and self.before(change) is None for change in changes)
        return is_gone or self.history.has_lost_folder(self.base_tree, changes)

    def followed(self) -> Applied | NotApplied | None:
        """Apply the patch to the state that it was made on, and merge that, as `git rebase` does.

        Returns:
            The result; None where no such state is known.
        """
        for state in self.history.states(self.intake.files):
            made = _Application(self.repository, state, self.intake, self.history).exactly()
            if made is not None:
                merged = merge_trees(self.repository, base=state, ours=self.base_tree, theirs=made)
                return self.merged_elsewhere(merged) if isinstance(merged, str) else self.in_conflict(merged)
        return None

    def exactly(self) -> str | None:
        """Return the tree that the patch gives where it applies as it stands; None where it does not."""
        direct = self.attempt()
        readings = self.readings(direct)
        if not direct.took or not self.is_as_read(direct, readings):
            return None
        applied = self.applied(direct, ApplyMethod.EXACT, readings)
        return (
            applied.tree if isinstance(applied, Applied) and all(each.is_exact for each in readings) else None
        )

    def merged_elsewhere(self, tree: str) -> Applied | NotApplied:
        if tree == self.base_tree:
            return self.nothing_new()
        changed = self.repository.changed_paths(self.base_tree, tree)
        elsewhere = tuple(sorted(changed.keys() - set(self.intake.scope.paths)))
        changes = self.intake.files
        missing = [change.old_path for change in changes if change.old_path and self.before(change) is None]
        added = [change.path for change in changes if self.repository.entry_at(tree, change.path) is None]
        repairs = (*self.intake.repairs, *moved_files(missing or added, elsewhere))
        return Applied(tree=tree, method=ApplyMethod.THREE_WAY, repairs=repairs, elsewhere=elsewhere)

    def in_conflict(self, conflict: MergeConflict) -> NotApplied:
        names = listed([show_path(path) for path in conflict.paths], _MOST_SHOWN)
        there = parts_there(self.intake.files, partial(_content_at, self.repository, self.base_tree))
        said = "; ".join(filter(None, [f"a merge that follows moved files conflicts in {names}", there]))
        message = f"the patch does not fit what is there: {said}; make it again on the current state"
        return _refused(ReasonCode.CONFLICT, message, {"paths": self.shown_paths(), "git": []})

    def three_way(self) -> Applied | NotApplied:
        """Apply the patch by a merge with the files that it was made on, by the rules of `git merge`.

        The result must have the changes of the patch, except where a driver of the configuration merges.
        """
        attributes = attributes_of(self.repository, self.base_tree, self.touched)
        with merging(self.repository, attributes, into=None) as ask:
            private = self.repository.private_git_dir()
            merged = attempt(private, self.index, self.text_to_merge(), ("--3way",), ask=ask)
            by_driver = merged_by_drivers(self.repository.merge_rules, self.touched, ask)
        if not merged.took:
            return self.refused(merged.complaints, is_malformed=merged.is_malformed)
        readings = self.readings(merged)
        for reading in readings:
            path = reading.change.new_path or reading.change.path
            after = merged.entries.get(path)
            as_read = reading.is_readable and reading.entry == after
            own_base = self.own_base(reading.change)
            before = self.before(reading.change)
            if before is not None and path in by_driver and after is not None:
                continue
            if not as_read and not is_merged(self.repository, before, reading.change, after, own_base):
                return self.malformed(merged, readings)
        if not self.is_confined(merged):
            return self.malformed(merged, readings)
        return self.applied(merged, ApplyMethod.THREE_WAY, readings)

    def attempt(self, *options: str) -> Attempt:
        private = self.repository.private_git_dir()
        return attempt(private, self.index, self.text, options)

    def before(self, change: FileChange) -> GitEntry | None:
        """Return the entry of the base at a change's old path."""
        return None if change.old_path is None else self.index.get(change.old_path)

    def readings(self, tried: Attempt) -> list[ChangeReading]:
        moved = tried.moved if len(tried.moved) == len(self.intake.files) else ({},) * len(self.intake.files)
        pairs = zip(self.intake.files, moved, strict=True)
        return [read_change(self.repository, self.before(change), change, where) for change, where in pairs]

    def is_as_read(self, tried: Attempt, readings: list[ChangeReading]) -> bool:
        if not all(reading.is_readable for reading in readings):
            return False
        wanted = outcome(readings)
        return self.is_confined(tried) and all(
            tried.entries.get(path) == entry for path, entry in wanted.items()
        )

    def is_confined(self, tried: Attempt) -> bool:
        """Return whether git changed only paths that the patch names, and removed what it removes."""
        others = {path: entry for path, entry in self.index.items() if path not in self.touched}
        left = {path: entry for path, entry in tried.entries.items() if path not in self.touched}
        placed = {change.new_path for change in self.intake.files}
        gone = {change.old_path for change in self.intake.files if change.kind in REMOVING} - placed
        return others == left and not gone & tried.entries.keys()

    def applied(
        self, tried: Attempt, method: ApplyMethod, readings: list[ChangeReading]
    ) -> Applied | NotApplied:
        changes = {path: tried.entries.get(path) for path in self.touched}
        changed = {path: entry for path, entry in changes.items() if self.index.get(path) != entry}
        if not changed:
            return self.nothing_new()
        tree = self.repository.splice(self.base_tree, changed)
        repairs = (*self.intake.repairs, *self.done_by(method, tried, readings))
        return Applied(tree=tree, method=method, repairs=repairs)

    def done_by(self, method: ApplyMethod, tried: Attempt, readings: list[ChangeReading]) -> list[Repair]:
        """Return the repairs that applying made: hunks that moved, files that were merged."""
        moved = [
            moved_hunk(reading.change, number, line + 1)
            for reading, where in zip(readings, tried.moved, strict=False)
            for number, line in where.items()
            if not reading.is_exact
        ]
        is_merged = method is ApplyMethod.THREE_WAY
        merged = [merged_file(reading, self.own_base(reading.change)) for reading in readings if is_merged]
        return [*moved, *filter(None, merged), *unlike_stated(readings)]

    def nothing_new(self) -> NotApplied:
        if any(change.has_effect for change in self.intake.files):
            return _refused(ReasonCode.ALREADY_APPLIED, "everything that the patch does is already there", {})
        return _refused(ReasonCode.EMPTY_PATCH, "the patch changes nothing", {})

    def refused(self, complaints: tuple[str, ...], *, is_malformed: bool = False) -> NotApplied:
        detail = {"paths": self.shown_paths(), "git": list(complaints[:_MOST_KEPT])}
        said = "; ".join(complaints[:_MOST_SHOWN])
        if is_malformed:
            return _refused(ReasonCode.FORMAT_INVALID, f"git cannot read the patch: {said}", detail)
        if self.is_done() or (self.goes_back() and self.attempt("-R", "--check").took):
            message = "everything that the patch does is already there"
            return _refused(ReasonCode.ALREADY_APPLIED, message, detail)
        there = parts_there(self.intake.files, partial(_content_at, self.repository, self.base_tree))
        said = "; ".join([said, *self.other_endings(), *filter(None, [there])])
        message = f"the patch does not fit what is there: {said}; make it again on the current state"
        return _refused(ReasonCode.CONFLICT, message, detail)

    def other_endings(self) -> list[str]:
        """Return the files to which the patch would apply with their line endings."""
        found = []
        for change in self.intake.files[:_MOST_SHOWN]:
            before = self.before(change)
            if before is None or not before.is_blob:
                continue
            ending = ending_of_base(change, content_of(self.repository, before))
            if ending is not None:
                has, other = ("CRLF", "LF") if ending == CRLF else ("LF", "CRLF")
                found.append(
                    f"{show_path(change.path)} has {has} line endings and the patch has {other}"
                    " (`whitespace: fix-eol` in the plan takes those of the file)"
                )
        return found

    def goes_back(self) -> bool:
        """Return whether git can try it in reverse, for which binary data must have a reverse."""
        binaries = (change.binary for change in self.intake.files if change.binary is not None)
        return not self.intake.needs_base and all(binary.reverse is not None for binary in binaries)

    def is_done(self) -> bool:
        """Return whether the tree is as the patch leaves it, by the ids in the text."""
        placed = {change.new_path for change in self.intake.files}
        left = {change.old_path for change in self.intake.files if change.kind in REMOVING} - placed
        return not left & self.index.keys() and all(
            is_done(self.repository, change, self.index.get(change.path)) for change in self.intake.files
        )

    def malformed(self, tried: Attempt, readings: list[ChangeReading]) -> NotApplied:
        wanted = outcome(readings)
        wrong = sorted(
            {reading.change.path for reading in readings if not reading.is_readable}
            | {path for path, entry in wanted.items() if tried.entries.get(path) != entry}
        )
        shown = [show_path(path) for path in wrong[:_MOST_KEPT]]
        message = (
            f"git applied something else than the text says, in {', '.join(shown[:_MOST_SHOWN])}: "
            "the patch is damaged, make it again"
        )
        return _refused(ReasonCode.FORMAT_INVALID, message, {"paths": shown})

    def shown_paths(self) -> list[str]:
        return [show_path(path) for path in sorted(self.touched)[:_MOST_KEPT]]


def _refused(code: ReasonCode, message: str, detail: Mapping[str, list[str]]) -> NotApplied:
    return NotApplied(reason=Reason(code=code, message=message, detail=detail))
