"""Resolution of a text's doubts by the base, so that nothing is guessed.

A hunk whose length was recounted, or whose line numbers are missing or wrong, is accepted only if its old
side (context and deleted lines) occurs in the base: at the stated line, or else exactly once. It then gets
context from the base, so that git checks the same place again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from maingate.patches.apply.hunk_placement import placed, widened, with_context
from maingate.patches.intake import Intake
from maingate.patches.model import (
    REGULAR,
    ChangeKind,
    Doubt,
    FileChange,
    HunkDoubt,
    lines_of,
    patched,
)
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.hunk_numbers import renumbered
from maingate.patches.text.lines import DiffError
from maingate.patches.text.quoting import show_path
from maingate.patches.text.wholeness import is_blob
from maingate.reasons import Reason, ReasonCode

ReadBlob = Callable[[bytes], bytes | None]


def locate(intake: Intake, read_blob: ReadBlob) -> Intake | Reason:
    """Resolve the doubts about a patch by the base.

    Args:
        intake: The patch.
        read_blob: Returns a file's content in the base, or None when there is none.

    Returns:
        The same object without doubts (then no file is read); else the patch with every hunk placed, or the
        reason
        of its refusal: ``conflict`` when a file or place is not there, ``format_invalid`` when it is
        ambiguous.
    """
    if not intake.needs_base:
        return intake
    repairs: list[Repair] = []
    try:
        files = tuple(_located(intake.files, read_blob, repairs))
    except DiffError as error:
        return Reason(code=error.code, message=str(error))
    return replace(intake, files=files, repairs=(*intake.repairs, *repairs))


@dataclass(kw_only=True)
class _Endings:
    """The origin of CRLF line endings of a whole text, by the files that show it."""

    kept: list[bytes] = field(default_factory=list)
    stripped: list[bytes] = field(default_factory=list)

    def of_new_file(self, path: bytes) -> bool:
        """Return whether a new file keeps them; without any evidence they came from the transport."""
        if self.kept and self.stripped:
            raise DiffError(
                f"{show_path(path)}: cannot tell whose its CRLF line endings are: existing files differ"
            )
        return bool(self.kept)


def _located(
    changes: Sequence[FileChange], read_blob: ReadBlob, repairs: list[Repair]
) -> Iterator[FileChange]:
    endings = _Endings()
    settled = {
        index: _settle_existing(change, read_blob, endings, repairs)
        for index, change in enumerate(changes)
        if change.needs_base and change.old_path is not None
    }
    for index, change in enumerate(changes):
        change = settled.get(index, change)  # noqa: PLW2901 - the settled form of the same change
        yield _settle_new(change, endings, repairs) if change.needs_base else change


def _settle_existing(
    change: FileChange, read_blob: ReadBlob, endings: _Endings, repairs: list[Repair]
) -> FileChange:
    path = change.old_path or b""
    base = read_blob(path)
    stated = change
    if not change.doubts - {Doubt.CONTEXT} and not any(hunk.is_doubtful for hunk in change.hunks):
        return _with_confirmed_context(change, base, repairs)
    if Doubt.EXISTENCE in change.doubts:
        if base is None:
            said = "it does not exist, so the patch makes it"
            repairs.append(Repair(kind=RepairKind.EXISTENCE, said=said, file=path))
            return _as_new(change)
        change = replace(change, doubts=change.doubts - {Doubt.EXISTENCE})
    if base is None:
        raise DiffError(f"{show_path(path)} is not in the base", code=ReasonCode.CONFLICT)
    if Doubt.LINE_ENDINGS in change.doubts:
        change = _settle_endings(change, base, endings, repairs)
    if any(hunk.is_doubtful for hunk in change.hunks):
        change = placed(change, base, repairs)
    return _check_ids(stated, _check_open_end(_with_confirmed_context(change, base, repairs), base), base)


def _check_ids(stated: FileChange, settled: FileChange, base: bytes) -> FileChange:
    """Refuse a repair by which the stated base gets another result than the `index` line names."""
    if stated.old_blob is None or stated.new_blob is None or not is_blob(base, stated.old_blob):
        return settled
    result = patched(base, settled)
    if result is not None and not is_blob(result, stated.new_blob):
        raise DiffError(
            f"{show_path(stated.path)}: its text is damaged, and what can be read of it gives not what its"
            " `index` line says (if it was edited by hand, correct the counts or remove that line)"
        )
    return settled


def _as_new(change: FileChange) -> FileChange:
    hunk = replace(change.hunks[0], old_start=0, new_start=1, doubt=HunkDoubt.NONE)
    doubts = change.doubts - {Doubt.EXISTENCE}
    return replace(change, kind=ChangeKind.ADD, old_path=None, new_mode=REGULAR, hunks=(hunk,), doubts=doubts)


def _settle_new(change: FileChange, endings: _Endings, repairs: list[Repair]) -> FileChange:
    if Doubt.LINE_ENDINGS not in change.doubts:
        return change
    if endings.of_new_file(change.path):
        made = replace(change, doubts=change.doubts - {Doubt.LINE_ENDINGS})
    else:
        made = _without_carriage_returns(change, repairs)
    content = patched(b"", made) if made.kind is ChangeKind.ADD else None
    if content is not None and made.new_blob is not None and not is_blob(content, made.new_blob):
        raise DiffError(
            f"{show_path(made.path)}: its line endings are damaged: not what its `index` line says"
        )
    return made


# Line endings


def _settle_endings(change: FileChange, base: bytes, endings: _Endings, repairs: list[Repair]) -> FileChange:
    keeps = _keeps_endings(change, base)
    (endings.kept if keeps else endings.stripped).append(change.path)
    if keeps:
        return replace(change, doubts=change.doubts - {Doubt.LINE_ENDINGS})
    return _without_carriage_returns(change, repairs)


def _keeps_endings(change: FileChange, base: bytes) -> bool:
    """Return whether the old sides occur in the base with CR; without old sides, whether its lines do."""
    blocks = [b"".join(hunk.old_lines()) for hunk in change.hunks]
    if any(blocks):
        return all(block in base for block in blocks)
    return b"\r\n" in base and base.count(b"\r\n") == base.count(b"\n")


def _without_carriage_returns(change: FileChange, repairs: list[Repair]) -> FileChange:
    said = "CRLF line endings of the whole text were made LF"
    repairs.append(Repair(kind=RepairKind.LINE_ENDS, said=said, file=change.path, was="CRLF", now="LF"))
    hunks = tuple(
        replace(
            hunk,
            section=hunk.section.removesuffix(b"\r"),
            lines=tuple(line[:-2] + b"\n" if line.endswith(b"\r\n") else line for line in hunk.lines),
        )
        for hunk in change.hunks
    )
    return replace(change, hunks=hunks, doubts=change.doubts - {Doubt.LINE_ENDINGS})


def _with_confirmed_context(change: FileChange, content: bytes | None, repairs: list[Repair]) -> FileChange:
    """Add context to hunks without it, if they fit at the stated lines; else git decides."""
    if Doubt.CONTEXT not in change.doubts:
        return change
    settled = replace(change, doubts=change.doubts - {Doubt.CONTEXT})
    if content is None or patched(content, settled) is None:
        return replace(settled, is_loose=True)
    hunks = with_context(change.hunks, lines_of(content))
    repairs += widened(change, change.hunks, hunks)
    return replace(settled, hunks=renumbered(hunks))


def _check_open_end(change: FileChange, base: bytes) -> FileChange:
    """Prove by the object id of the result that a text which ends within a line is whole."""
    if Doubt.OPEN_END not in change.doubts:
        return change
    settled = replace(change, doubts=change.doubts - {Doubt.OPEN_END})
    result = patched(base, settled)
    if result is None or change.new_blob is None or not is_blob(result, change.new_blob):
        raise DiffError(
            f"{show_path(change.path)}: the text ends within a line, and gives not what its `index` line"
            " says; it was truncated (if it is whole, end it with a newline)"
        )
    return settled
