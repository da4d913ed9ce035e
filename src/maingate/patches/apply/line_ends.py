"""Line endings of a patch that are others than those of the file that it changes.

Nothing is guessed: with the file's endings, the old side of every hunk must be there; as it stands, not.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from maingate.patches.intake import Intake
from maingate.patches.model import NO_NEWLINE, FileChange, Hunk
from maingate.patches.repair_record import Repair, RepairKind

CRLF: Final = b"\r\n"

ReadBlob = Callable[[bytes], bytes | None]


def ending_of_base(change: FileChange, base: bytes) -> bytes | None:
    """Return the line ending of a file that a change would fit with; None when it is none but its own."""
    if not change.hunks:
        return None
    blocks = [b"".join(hunk.old_lines()) for hunk in change.hunks]
    text = b"".join(blocks) or b"".join(b"".join(hunk.new_lines()) for hunk in change.hunks)
    has_crlf = CRLF in text
    if has_crlf and text.count(CRLF) != text.count(b"\n"):
        return None
    if not any(blocks):
        is_crlf = CRLF in base and base.count(CRLF) == base.count(b"\n")
        is_other = is_crlf != has_crlf and b"\n" in base and (is_crlf or CRLF not in base)
        return (CRLF if is_crlf else b"\n") if is_other else None
    ending = b"\n" if has_crlf else CRLF
    own_fit = all(block in base for block in blocks)
    return ending if not own_fit and all(_with(block, ending) in base for block in blocks) else None


def with_endings_of_base(intake: Intake, read_blob: ReadBlob) -> Intake:
    """Return a patch with the line endings of the files that it changes, where it fits only so."""
    repairs: list[Repair] = []
    files = tuple(_fitted(intake, read_blob, repairs))
    return replace(intake, files=files, repairs=(*intake.repairs, *repairs)) if repairs else intake


def _fitted(intake: Intake, read_blob: ReadBlob, repairs: list[Repair]) -> Iterator[FileChange]:
    for change in intake.files:
        base = None if change.old_path is None else read_blob(change.old_path)
        ending = None if base is None else ending_of_base(change, base)
        if ending is None:
            yield change
            continue
        was, now = ("LF", "CRLF") if ending == CRLF else ("CRLF", "LF")
        said = f"its {was} line endings were made {now}, as those of the file"
        repairs.append(Repair(kind=RepairKind.LINE_ENDS, said=said, file=change.path, was=was, now=now))
        hunks = tuple(_converted(hunk, ending) for hunk in change.hunks)
        # The ids are those of files with the other endings.
        yield replace(change, hunks=hunks, old_blob=None, new_blob=None)


def _converted(hunk: Hunk, ending: bytes) -> Hunk:
    """Return a hunk with other line endings; a line without any is followed by a marker, and gets none."""
    following = (*hunk.lines[1:], b"")
    lines = (
        line if NO_NEWLINE in (line, after) else _with(line, ending)
        for line, after in zip(hunk.lines, following, strict=True)
    )
    return replace(hunk, lines=tuple(lines))


def _with(text: bytes, ending: bytes) -> bytes:
    plain = text.replace(CRLF, b"\n")
    return plain if ending == b"\n" else plain.replace(b"\n", CRLF)
