"""A patch on a tree: applied as git does it, checked by an own reading, and spliced into the tree.

The order of trying, and who decides:

1. Exactly. `git apply` places every hunk at its stated line: the result has to be, byte for byte, what
   the own reading makes of the base. One git process; the normal case. Only when the lines of a hunk occur
   more than once in a file that has changed since may the stated line be another one than was meant: then
   the merge is asked too.
2. Three-way, when the text names the blobs it was made on, these count (`patches.apply.preimages`), and they
   are not what the base has. Git merges what the patch did to its own base into this one. **Its word is
   final where it can be had, also when the patch would apply with offsets**: unchanged context at another
   line may belong to a repetition of the same lines, and a merge knows the difference. A conflict of the
   merge is a conflict.
3. With offsets, when there are no such blobs: git found every line of context elsewhere, nothing is
   fuzzy, and they stand nowhere else (`patches.apply.one_place`). The result has to be what the own
   reading makes with the hunks where git says they went.

A hunk without any context (``diff -U0``) that was made on another state of the file is never placed by
line number alone: it gets its context from the file it was made on, if that counts, or is
refused. What applies nowhere but applies in reverse is there already. A result that differs from the own
reading is refused as malformed, whatever git's exit code was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

from maingate.git.repository import Repository
from maingate.git.trees import GitEntry
from maingate.patches.apply.expected import (
    REMOVING,
    Reading,
    content_of,
    is_done,
    is_merged,
    is_repeated,
    outcome,
    read_change,
)
from maingate.patches.apply.git_apply import Attempt, attempt, private_entries
from maingate.patches.apply.locate import locate
from maingate.patches.apply.one_place import with_other_places
from maingate.patches.apply.preimages import Preimages
from maingate.patches.intake import Intake
from maingate.patches.model import ChangeKind, FileChange, show_path
from maingate.patches.repairs import Repair, RepairKind
from maingate.patches.text.render import render_change
from maingate.reasons import Reason, ReasonCode

_UNPLACED: Final = "a hunk without context lines was made on another state of the file: its place is unknown"
_NO_BLOB: Final = "0" * 40
_EMPTY_BLOB: Final = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
_SHOWN: Final = 10
"""How many complaints or paths a message for people lists."""
_KEPT: Final = 200
"""How many of them are kept for programs."""


class ApplyMethod(StrEnum):
    """How a patch was made to fit; recorded in the ledger."""

    EXACT = "exact"
    OFFSET = "offset"
    THREE_WAY = "three_way"


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The patch applies.

    Args:
        tree: The tree that it makes.
        method: How it was made to fit.
        repairs: All that was done to the patch, from reading it to applying it.
    """

    tree: str
    method: ApplyMethod
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The patch does not land: conflict, already applied, empty, or malformed."""

    reason: Reason


def apply_patch(
    repository: Repository, base_tree: str, intake: Intake, *, history: Preimages
) -> Applied | Refused:
    """Apply a patch to a tree; nothing but objects is written.

    Args:
        repository: Where the tree is.
        base_tree: The tree's id.
        history: Which files the patch may be merged by: those in the history that it is applied on.
        intake: The patch as taken in and **not** located: that is done here, because a hunk without context
            may only be given some from the file that it was made on.

    Raises:
        GitError: git or the disk failed; it says nothing about the patch.
    """
    blind = [change for change in intake.files if _is_blind(repository, base_tree, change)]
    own_bases = {change.old_path: history.named(change) for change in blind}
    if any(own_bases[change.old_path] is None and _only_adds(change) for change in blind):
        return _Application(repository, base_tree, intake, history).refused((_UNPLACED,))

    def content_at(path: bytes) -> bytes | None:
        own_base = own_bases.get(path)
        if own_base is not None:
            return repository.read_blob(own_base)
        blob = repository.blob_at(base_tree, path)
        return None if blob is None else blob.data

    located = locate(intake, content_at)
    if isinstance(located, Reason):
        return Refused(reason=located)
    application = _Application(repository, base_tree, located, history)
    return application.refused((_UNPLACED,)) if located.is_zero_context else application.run()


class _Application:
    """One patch on one tree, while it is being tried."""

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
        """Return the patch with the full ids of the blobs that git may merge by, and of no others."""
        return b"".join(render_change(self._with_own_base(change)) for change in self.intake.files)

    def _with_own_base(self, change: FileChange) -> FileChange:
        if change.old_path is None or change.old_blob is None:
            return change
        return replace(change, old_blob=self.own_base(change) or _NO_BLOB)

    def own_base(self, change: FileChange) -> str | None:
        """Return the blob that a change was made on: the base's own, or one of its history that counts."""
        before = self.before(change)
        if before is not None and change.old_blob is not None and before.id.startswith(change.old_blob):
            return before.id
        return self.history.agreeing(change)

    def entry_at(self, path: bytes) -> GitEntry | None:
        return self.repository.entry_at(self.base_tree, path)

    def run(self) -> Applied | Refused:
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

    def guessed(self, tried: Attempt, readings: list[Reading]) -> tuple[str, ...]:
        """Return which hunks git has moved to one of several places where their lines stand."""
        return tuple(
            f"hunk {number} of {show_path(reading.change.path)} fits at several places, none of them its own"
            for reading, moved in zip(readings, tried.moved, strict=False)
            if moved and not reading.is_exact and reading.before is not None
            for number in with_other_places(
                content_of(self.repository, reading.before), reading.change.hunks, moved
            )
        )

    def exact(self, exact: Applied | Refused, readings: list[Reading]) -> Applied | Refused:
        """Return what came of applying exactly, unless a merge knows that its lines are meant elsewhere."""
        unsure = (reading for reading in readings if may_be_meant_elsewhere(self.repository, reading))
        if not any(can_merge(self.history, reading) for reading in unsure):
            return exact
        merged = self.three_way()
        agree = isinstance(exact, Applied) and isinstance(merged, Applied) and exact.tree == merged.tree
        return exact if agree else merged

    def three_way(self) -> Applied | Refused:
        merged = attempt(self.repository.private_git_dir(), self.index, self.text_to_merge(), ("--3way",))
        if not merged.took:
            return self.refused(merged.complaints, is_malformed=merged.is_malformed)
        readings = self.readings(merged)
        for reading in readings:
            path = reading.change.new_path or reading.change.path
            after = merged.entries.get(path)
            as_read = reading.is_readable and reading.entry == after
            own_base = self.own_base(reading.change)
            if not as_read and not is_merged(
                self.repository, self.before(reading.change), reading.change, after, own_base
            ):
                return self.malformed(merged, readings)
        if not self.is_confined(merged):
            return self.malformed(merged, readings)
        return self.applied(merged, ApplyMethod.THREE_WAY, readings)

    def attempt(self, *options: str) -> Attempt:
        private = self.repository.private_git_dir()
        return attempt(private, self.index, self.text, options)

    def before(self, change: FileChange) -> GitEntry | None:
        """Return the file, link or submodule that the base has at a change's old path."""
        return None if change.old_path is None else self.index.get(change.old_path)

    def readings(self, tried: Attempt) -> list[Reading]:
        moved = tried.moved if len(tried.moved) == len(self.intake.files) else ({},) * len(self.intake.files)
        pairs = zip(self.intake.files, moved, strict=True)
        return [read_change(self.repository, self.before(change), change, where) for change, where in pairs]

    def is_as_read(self, tried: Attempt, readings: list[Reading]) -> bool:
        if not all(reading.is_readable for reading in readings):
            return False
        wanted = outcome(readings)
        return self.is_confined(tried) and all(
            tried.entries.get(path) == entry for path, entry in wanted.items()
        )

    def is_confined(self, tried: Attempt) -> bool:
        """Has git changed nothing beside the paths that the patch names, and removed what it removes?"""
        others = {path: entry for path, entry in self.index.items() if path not in self.touched}
        left = {path: entry for path, entry in tried.entries.items() if path not in self.touched}
        placed = {change.new_path for change in self.intake.files}
        gone = {change.old_path for change in self.intake.files if change.kind in REMOVING} - placed
        return others == left and not gone & tried.entries.keys()

    def applied(self, tried: Attempt, method: ApplyMethod, readings: list[Reading]) -> Applied | Refused:
        changes = {path: tried.entries.get(path) for path in self.touched}
        changed = {path: entry for path, entry in changes.items() if self.index.get(path) != entry}
        if not changed:
            return self.nothing_new()
        tree = self.repository.splice(self.base_tree, changed)
        repairs = (*self.intake.repairs, *self.done_by(method, tried, readings))
        return Applied(tree=tree, method=method, repairs=repairs)

    def done_by(self, method: ApplyMethod, tried: Attempt, readings: list[Reading]) -> list[Repair]:
        """Return what was done to make it apply: hunks that moved, files that were merged."""
        moved = [
            _moved(reading.change, number, line + 1)
            for reading, where in zip(readings, tried.moved, strict=False)
            for number, line in where.items()
            if not reading.is_exact
        ]
        is_merged = method is ApplyMethod.THREE_WAY
        merged = [_merged(reading, self.own_base(reading.change)) for reading in readings if is_merged]
        return [*moved, *filter(None, merged), *unlike_stated(readings)]

    def nothing_new(self) -> Refused:
        if any(map(_says_something, self.intake.files)):
            return _refused(ReasonCode.ALREADY_APPLIED, "everything that the patch does is already there", {})
        return _refused(ReasonCode.EMPTY_PATCH, "the patch changes nothing", {})

    def refused(self, complaints: tuple[str, ...], *, is_malformed: bool = False) -> Refused:
        detail = {"paths": self.shown_paths(), "git": list(complaints[:_KEPT])}
        said = "; ".join(complaints[:_SHOWN])
        if is_malformed:
            return _refused(ReasonCode.FORMAT_INVALID, f"git cannot read the patch: {said}", detail)
        if self.is_done() or (self.goes_back() and self.attempt("-R", "--check").took):
            message = "everything that the patch does is already there"
            return _refused(ReasonCode.ALREADY_APPLIED, message, detail)
        message = f"the patch does not fit what is there: {said}; make it again on the current state"
        return _refused(ReasonCode.CONFLICT, message, detail)

    def goes_back(self) -> bool:
        """Can git try it in reverse? Without the way back it takes binary data that somebody has stored."""
        binaries = (change.binary for change in self.intake.files if change.binary is not None)
        return not self.intake.needs_base and all(binary.reverse is not None for binary in binaries)

    def is_done(self) -> bool:
        """Does everything stand as the patch states it, going by the ids in the text?"""
        placed = {change.new_path for change in self.intake.files}
        left = {change.old_path for change in self.intake.files if change.kind in REMOVING} - placed
        return not left & self.index.keys() and all(
            is_done(self.repository, change, self.index.get(change.path)) for change in self.intake.files
        )

    def malformed(self, tried: Attempt, readings: list[Reading]) -> Refused:
        wanted = outcome(readings)
        wrong = sorted(
            {reading.change.path for reading in readings if not reading.is_readable}
            | {path for path, entry in wanted.items() if tried.entries.get(path) != entry}
        )
        shown = [show_path(path) for path in wrong[:_KEPT]]
        message = (
            f"git applied something else than the text says, in {', '.join(shown[:_SHOWN])}: "
            "the patch is damaged, make it again"
        )
        return _refused(ReasonCode.FORMAT_INVALID, message, {"paths": shown})

    def shown_paths(self) -> list[str]:
        return [show_path(path) for path in sorted(self.touched)[:_KEPT]]


def can_merge(history: Preimages, reading: Reading) -> bool:
    """Would a three-way merge know more about this change?"""
    is_content = bool(reading.change.hunks) or reading.change.binary is not None
    return is_content and _is_of_another_state(reading) and history.agreeing(reading.change) is not None


def may_be_meant_elsewhere(repository: Repository, reading: Reading) -> bool:
    """Do the lines of a hunk occur more than once in a file that is not the one it says it was made on?"""
    return _is_of_another_state(reading) and is_repeated(repository, reading)


def _is_of_another_state(reading: Reading) -> bool:
    before, stated = reading.before, reading.change.old_blob
    return before is not None and stated is not None and not before.id.startswith(stated)


def unlike_stated(readings: Iterable[Reading]) -> tuple[Repair, ...]:
    """Return which exact results differ from what the patch's own index lines name."""
    said = "the content is not the one that the patch's index line names"
    return tuple(
        Repair(
            kind=RepairKind.RESULT,
            said=said,
            file=reading.change.path,
            was=reading.change.new_blob,
            now=reading.entry.id,
        )
        for reading in readings
        if reading.is_exact and reading.entry is not None and _is_edited(reading)
    )


def _is_blind(repository: Repository, tree: str, change: FileChange) -> bool:
    """Is there a hunk with no context in a change that is not known to be made on this very file?"""
    if change.old_path is None or all(hunk.leading or hunk.trailing for hunk in change.hunks):
        return False
    before = repository.entry_at(tree, change.old_path)
    if before is None or before.id == _EMPTY_BLOB:
        return False
    return change.old_blob is None or not before.id.startswith(change.old_blob)


def _only_adds(change: FileChange) -> bool:
    """Is there a hunk that only adds, with nothing around it to say where?"""
    return any(not hunk.old_lines() and hunk.new_lines() for hunk in change.hunks)


def _says_something(change: FileChange) -> bool:
    if change.kind is not ChangeKind.MODIFY:
        return True
    is_mode_change = change.new_mode is not None and change.new_mode != change.old_mode
    return bool(change.insertions or change.deletions or change.binary) or is_mode_change


def _moved(change: FileChange, number: int, line: int) -> Repair:
    stated = change.hunks[number - 1].new_start if number <= len(change.hunks) else None
    said = f"went to line {line}"
    return Repair(kind=RepairKind.OFFSET, said=said, file=change.path, hunk=number, was=stated, now=line)


def _merged(reading: Reading, own_base: str | None) -> Repair | None:
    """Return the repair that a file was merged, where it is not the one that the change was made on."""
    if reading.before is None or own_base is None or own_base == reading.before.id:
        return None
    said = "was merged: it is not the file any more that the patch was made on"
    now = reading.before.id
    return Repair(kind=RepairKind.THREE_WAY, said=said, file=reading.change.path, was=own_base, now=now)


def _is_edited(reading: Reading) -> bool:
    """Is this the file the patch was made on, but not what its author's tool had seen come out?"""
    old, new = reading.change.old_blob, reading.change.new_blob
    if old is None or new is None or reading.before is None or reading.entry is None:
        return False
    return reading.before.id.startswith(old) and not reading.entry.id.startswith(new)


def _refused(code: ReasonCode, message: str, detail: Mapping[str, list[str]]) -> Refused:
    return Refused(reason=Reason(code=code, message=message, detail=detail))
