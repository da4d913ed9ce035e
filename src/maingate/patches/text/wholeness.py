"""Checks that one file's part of a diff is whole: no part that its header promises is cut off or damaged."""

import hashlib
from dataclasses import replace
from typing import Final

from maingate.patches.model import ChangeKind, Doubt, FileChange, HunkDoubt
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.lines import DiffError
from maingate.patches.text.section import Section

_EMPTY_BLOBS: Final = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
)
_SHORTEST_ID: Final = 7
_FULL_IDS: Final = (40, 64)
_SAME: Final = 100
_LIVES_ON: Final = frozenset({ChangeKind.MODIFY, ChangeKind.RENAME, ChangeKind.COPY})


def check_bare_header(section: Section, change: FileChange) -> None:
    """Refuse a header without content that promises one: the text was cut behind it."""
    if change.kind in _LIVES_ON:
        is_promised = change.old_blob != change.new_blob or change.dissimilarity is not None
        if change.kind is not ChangeKind.MODIFY:
            is_promised |= (change.similarity or _SAME) < _SAME
    else:
        blob = change.new_blob if change.kind is ChangeKind.ADD else change.old_blob
        is_promised = section.is_last if blob is None else not _is_empty_blob(blob)
    if is_promised:
        raise DiffError(
            "a header promises a change of content that does not follow: the text was truncated"
            " (an empty file is proved by its `index` line)",
            section.at,
        )


def _is_empty_blob(blob: str) -> bool:
    return len(blob) >= _SHORTEST_ID and any(empty.startswith(blob) for empty in _EMPTY_BLOBS)


def check_binary(section: Section, change: FileChange) -> None:
    """Refuse binary data that differs from the ids on the `index` line, or whose ids are abbreviated."""
    binary = change.binary
    ids = section.fields.get(b"index", b"").split(b" ")[0].split(b"..")
    if binary is None or any(len(side) not in _FULL_IDS for side in ids):
        raise DiffError(
            "a binary patch needs full ids in its `index` line; use `git diff --binary`", section.at
        )
    for hunk, blob in ((binary.forward, change.new_blob), (binary.reverse, change.old_blob)):
        if hunk is None or hunk.kind != "literal":
            continue
        if (blob is None and hunk.data) or (blob is not None and not is_blob(hunk.data, blob)):
            raise DiffError("binary data is not what its `index` line says", section.at)


def is_blob(content: bytes, blob: str) -> bool:
    """Return whether content has the object id, which may be abbreviated to 7 digits or more.

    Args:
        content: A file's content.
        blob: Hexadecimal; 64 digits mean SHA-256, everything else SHA-1 as git abbreviates it.
    """
    algorithm = "sha256" if len(blob) == _FULL_IDS[1] else "sha1"
    digest = hashlib.new(algorithm, b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return len(blob) >= _SHORTEST_ID and digest.hexdigest().startswith(blob)


def at_open_end(section: Section, change: FileChange) -> FileChange:
    """Decide whether the last line of a text that ends within it is whole.

    Context and deletions are proved by the base, additions by the object id of the result. A text without ids
    that
    ends in an addition counts as whole: many tools strip the last newline.
    """
    if Doubt.OPEN_END not in change.doubts:
        return change
    said = "the text ended without a newline; its last line was taken as whole"
    section.repairs.append(Repair(kind=RepairKind.FINAL_NEWLINE, said=said))
    settled = replace(change, doubts=change.doubts - {Doubt.OPEN_END})
    last = change.hunks[-1]
    if not last.lines[-1].startswith(b"+"):
        doubt = last.doubt if last.is_doubtful else HunkDoubt.COUNTS
        return replace(settled, hunks=(*change.hunks[:-1], replace(last, doubt=doubt)))
    if change.new_blob is None:
        return settled
    if change.kind is not ChangeKind.ADD:
        return change
    content = b"".join(last.new_lines())
    if not any(is_blob(text, change.new_blob) for text in _line_ending_variants(change, content)):
        raise DiffError(
            "the text ends within a line and its file is not what the `index` line says: truncated"
        )
    return settled


def check_recounted(section: Section, change: FileChange) -> None:
    """Refuse a new file with recounted lines whose content differs from the id on its `index` line."""
    content = b"".join(change.hunks[0].new_lines())
    if change.new_blob is not None and not any(
        is_blob(text, change.new_blob) for text in _line_ending_variants(change, content)
    ):
        raise DiffError("a new file's counts are wrong and it is not what its `index` line says", section.at)


def _line_ending_variants(change: FileChange, content: bytes) -> tuple[bytes, ...]:
    if Doubt.LINE_ENDINGS not in change.doubts:
        return (content,)
    return content, content.replace(b"\r\n", b"\n")
