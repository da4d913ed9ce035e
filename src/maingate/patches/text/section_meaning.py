"""Interpretation of one file's part of a diff: the file, the kind of its change, and its completeness.

A header that promises a content which does not follow was cut; a contradictory one is refused.
"""

import re
from dataclasses import replace
from typing import Final

from maingate.patches.model import (
    KNOWN_MODES,
    REGULAR,
    SUBMODULE,
    ChangeKind,
    Doubt,
    FileChange,
    HunkDoubt,
)
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.headers import NULL
from maingate.patches.text.hunk_numbers import settle
from maingate.patches.text.lines import DiffError
from maingate.patches.text.quoting import show_path
from maingate.patches.text.section import Section
from maingate.patches.text.section_paths import paths_in
from maingate.patches.text.wholeness import at_open_end, check_bare_header, check_binary, check_recounted

_INDEX: Final = re.compile(rb"([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: (\d{6}))?")
_PERCENT: Final = re.compile(rb"(\d{1,3})%")
_SAME: Final = 100
_LIVES_ON: Final = frozenset({ChangeKind.MODIFY, ChangeKind.RENAME, ChangeKind.COPY})


def change_of(section: Section) -> FileChange:
    """Return the change of a part of a diff; adds to the part's repairs.

    Raises:
        DiffError: It is contradictory, cut, or of a kind that cannot be applied.
    """
    kind = _kind(section)
    old_path, new_path = paths_in(section)
    old_blob, new_blob, index_mode = _index(section)
    old_mode, new_mode = _modes(section, kind, index_mode)
    change = FileChange(
        kind=kind,
        old_path=None if kind is ChangeKind.ADD else old_path,
        new_path=None if kind is ChangeKind.DELETE else new_path,
        old_mode=old_mode,
        new_mode=new_mode,
        old_blob=old_blob,
        new_blob=new_blob,
        hunks=tuple(section.hunks),
        binary=section.binary,
        similarity=_percent(section, b"similarity index"),
        dissimilarity=_percent(section, b"dissimilarity index"),
        doubts=frozenset(section.doubts),
    )
    if change.hunks:
        return _with_hunks(section, change)
    if change.binary:
        check_binary(section, change)
    else:
        check_bare_header(section, change)
    return replace(change, doubts=frozenset())


# Kind, paths, modes, object ids


def _kind(section: Section) -> ChangeKind:
    fields = section.fields
    said = {
        ChangeKind.ADD: b"new file mode" in fields or section.old_name == NULL,
        ChangeKind.DELETE: b"deleted file mode" in fields or section.new_name == NULL,
        ChangeKind.RENAME: b"rename from" in fields or b"rename to" in fields,
        ChangeKind.COPY: b"copy from" in fields or b"copy to" in fields,
    }
    kinds = [kind for kind, is_said in said.items() if is_said]
    if len(kinds) > 1:
        raise DiffError("a header contradicts itself: " + " and ".join(kinds) + " of one file", section.at)
    kind = kinds[0] if kinds else ChangeKind.MODIFY
    if kind is ChangeKind.ADD and section.old_name not in (None, NULL):
        raise DiffError("a new file's `---` line names an old one", section.at)
    if kind is ChangeKind.DELETE and section.new_name not in (None, NULL):
        raise DiffError("a deleted file's `+++` line names a new one", section.at)
    if kind not in _LIVES_ON and (b"old mode" in fields or b"new mode" in fields):
        raise DiffError(
            "a header contradicts itself: the mode of a file that is made or deleted changes", section.at
        )
    return kind


def _modes(section: Section, kind: ChangeKind, index_mode: int | None) -> tuple[int | None, int | None]:
    fields = section.fields
    if kind is ChangeKind.ADD:
        return None, _mode_of_new(section, _mode(section, fields.get(b"new file mode")), index_mode)
    if kind is ChangeKind.DELETE:
        return _mode(section, fields.get(b"deleted file mode")), None
    old, new = _mode(section, fields.get(b"old mode")), _mode(section, fields.get(b"new mode"))
    if (old is None) != (new is None):
        raise DiffError("a header has one of `old mode` and `new mode`, but not the other", section.at)
    if old is None:
        return index_mode, index_mode
    if index_mode not in (None, old, new):
        raise DiffError("a header contradicts itself about the file's mode", section.at)
    return old, new


def _mode_of_new(section: Section, said: int | None, index_mode: int | None) -> int:
    if said is not None:
        if index_mode not in (None, said):
            raise DiffError("a header contradicts itself about the file's mode", section.at)
        return said
    if section.is_git:
        if b"index" in section.fields and index_mode is None:
            raise DiffError("a new file's header has no `new file mode` line", section.at)
        taken = f"{index_mode or REGULAR:06o}"
        words = f"`new file mode` was missing: taken as {taken}"
        section.repairs.append(Repair(kind=RepairKind.FILE_MODE, said=words, now=taken))
    return index_mode or REGULAR


def _mode(section: Section, text: bytes | None) -> int | None:
    if text is None:
        return None
    mode = int(text, 8) if re.fullmatch(rb"[0-7]{6}", text) else 0
    if mode not in KNOWN_MODES:
        raise DiffError(
            f"{show_path(text)} is no mode of a file in git (100644, 100755, 120000, 160000)", section.at
        )
    return mode


def _index(section: Section) -> tuple[str | None, str | None, int | None]:
    text = section.fields.get(b"index")
    if text is None:
        return None, None, None
    found = _INDEX.fullmatch(text)
    if found is None:
        raise DiffError("an `index` line is damaged", section.at)
    old, new = (None if set(side) == set(b"0") else side.decode() for side in (found[1], found[2]))
    return old, new, _mode(section, found[3])


def _percent(section: Section, word: bytes) -> int | None:
    text = section.fields.get(word)
    if text is None:
        return None
    found = _PERCENT.fullmatch(text)
    if found is None or int(found[1]) > _SAME:
        raise DiffError(f"the `{word.decode()}` line is damaged", section.at)
    return int(found[1])


# Hunks


def _with_hunks(section: Section, change: FileChange) -> FileChange:
    if change.kind is ChangeKind.ADD:
        return _added(section, change)
    if change.kind is ChangeKind.DELETE:
        return _deleted(section, change)
    change = _without_idle_hunks(section, change)
    if not change.hunks:
        return replace(change, doubts=frozenset())
    hunks, disagrees = settle(change.hunks)
    if disagrees:
        said = "line numbers of its hunks contradict each other"
        section.repairs.append(Repair(kind=RepairKind.LINE_NUMBERS, said=said))
    doubts = change.doubts | _existence(change) | _context(change)
    return at_open_end(section, replace(change, hunks=hunks, doubts=doubts))


def _added(section: Section, change: FileChange) -> FileChange:
    hunk = change.hunks[0]
    if len(change.hunks) > 1 or hunk.old_count or hunk.deletions:
        raise DiffError("a new file has context or deleted lines", section.at)
    if hunk.is_doubtful:
        check_recounted(section, change)
    settled = replace(hunk, old_start=0, new_start=1, doubt=HunkDoubt.NONE)
    return at_open_end(section, replace(change, hunks=(settled,)))


def _deleted(section: Section, change: FileChange) -> FileChange:
    hunk = change.hunks[0]
    if len(change.hunks) > 1 or hunk.new_count or hunk.insertions:
        raise DiffError("a deleted file has lines that stay", section.at)
    doubt = HunkDoubt.COUNTS if hunk.is_doubtful else HunkDoubt.NONE
    settled = replace(hunk, old_start=1, new_start=0, doubt=doubt)
    return at_open_end(section, replace(change, hunks=(settled,)))


def _without_idle_hunks(section: Section, change: FileChange) -> FileChange:
    """Remove hunks of context alone, which change nothing and which git calls corrupt."""
    hunks = tuple(hunk for hunk in change.hunks if hunk.insertions or hunk.deletions)
    if len(hunks) == len(change.hunks):
        return change
    idle = len(change.hunks) - len(hunks)
    said = f"{idle} hunks without any change were left out"
    section.repairs.append(Repair(kind=RepairKind.IDLE_HUNKS, said=said, was=idle, now=0))
    return replace(change, hunks=hunks)


def _existence(change: FileChange) -> frozenset[Doubt]:
    """Return the doubt whether the diff adds the file: some tools do not write ``/dev/null``."""
    hunk = change.hunks[0]
    starts = (hunk.old_start, hunk.new_start)
    is_whole = len(change.hunks) == 1 and hunk.old_count == 0 and (starts[0] in (0, None) or starts == (1, 1))
    is_unknown = change.old_blob is None and change.old_mode is None and change.kind is ChangeKind.MODIFY
    return frozenset({Doubt.EXISTENCE}) if is_whole and is_unknown else frozenset()


def _context(change: FileChange) -> frozenset[Doubt]:
    """Return the doubt about a hunk that git would place by its line number alone, unsafely (-U0)."""
    is_bare = any(not hunk.leading and not hunk.trailing for hunk in change.hunks)
    is_file = SUBMODULE not in (change.old_mode, change.new_mode)
    return frozenset({Doubt.CONTEXT}) if is_bare and is_file else frozenset()
