"""Intake of patches: bytes become a patch that was read as a whole, or a reason for refusal.

See docs/SPECIFICATION.md §2.2.

``git apply`` can exit 0 having applied a part: it ignores lines that it does not recognise and trusts counts.
So the text is read here to its last line, a fault is repaired where only one reading is possible (and the
repair is recorded), and git gets a text that is rendered again from the parsed changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from maingate.patches.change_key import change_key
from maingate.patches.model import ChangeKind, Doubt, FileChange
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.colours import without_colours
from maingate.patches.text.diffstat import CONTRADICTS, MISSING_OR_QUOTED, contradiction
from maingate.patches.text.file_set import one_change_per_file
from maingate.patches.text.headers import has_scheme, same_file, without_prefix
from maingate.patches.text.left_out import left_out, refuse_messages_of_diff
from maingate.patches.text.lines import DiffError, begins_traditional, no_diff, stray_syntax
from maingate.patches.text.mail import FLOWED, Letter, MailHeader, MailOptions, open_letter
from maingate.patches.text.mail_fields import begins_mail
from maingate.patches.text.mail_parts import SEVERAL, only_mail_in
from maingate.patches.text.quoting import show_path
from maingate.patches.text.render import render_change
from maingate.patches.text.section import Section
from maingate.patches.text.section_meaning import change_of
from maingate.patches.text.section_paths import named_otherwise
from maingate.patches.text.section_reader import read_section
from maingate.reasons import Reason, ReasonCode

__all__ = ["Intake", "MailHeader", "Scope", "take_in"]

_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_INFLATION: Final = 8
"""Factor by which a binary file may be larger than the largest text."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The scope of a patch, always derived from the diff.

    Args:
        paths: Every path it writes or removes, both sides of renames, sorted.
        insertions: Lines added.
        deletions: Lines deleted.
        hunks: Runs of changed lines.
    """

    paths: tuple[bytes, ...]
    insertions: int
    deletions: int
    hunks: int

    @classmethod
    def of(cls, changes: Sequence[FileChange]) -> "Scope":
        """Return the scope of changes."""
        touched = {path for change in changes for path in touched_paths(change)}
        return cls(
            paths=tuple(sorted(touched)),
            insertions=sum(change.insertions for change in changes),
            deletions=sum(change.deletions for change in changes),
            hunks=sum(len(change.hunks) for change in changes),
        )

    @property
    def files(self) -> int:
        """The number of paths that it touches."""
        return len(self.paths)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "files": self.files,
            "insertions": self.insertions,
            "deletions": self.deletions,
            "hunks": self.hunks,
            "paths": [show_path(path) for path in self.paths],
        }


def touched_paths(change: FileChange) -> tuple[bytes, ...]:
    """Return the paths that a change writes or removes; a copy does not touch its source."""
    return (change.path,) if change.kind is ChangeKind.COPY else change.paths


@dataclass(frozen=True, kw_only=True)
class Intake:
    """A patch that was read as a whole.

    Args:
        raw: The bytes as they came.
        files: The change of each file, in the order of the text.
        repairs: The repairs that were made.
        header: The mail around it.
    """

    raw: bytes
    files: tuple[FileChange, ...]
    repairs: tuple[Repair, ...]
    header: MailHeader | None

    @cached_property
    def scope(self) -> Scope:
        """The scope of the patch."""
        return Scope.of(self.files)

    @cached_property
    def key(self) -> str:
        """The digest of its changes, shared by patches with the same ones."""
        return change_key(self.files)

    @cached_property
    def needs_base(self) -> bool:
        """Return whether ``locate`` must ask the base before it can be rendered."""
        return any(change.needs_base for change in self.files)

    @cached_property
    def is_zero_context(self) -> bool:
        """Return whether some hunk is placed by line numbers alone, which the base did not confirm.

        Git needs ``--unidiff-zero`` for such a patch; that it applies at another place proves nothing.
        """
        return any(change.is_loose or Doubt.CONTEXT in change.doubts for change in self.files)

    def render(self, changes: Sequence[FileChange] | None = None) -> bytes:
        """Return the text for git: of all changes, or of some.

        Raises:
            ValueError: It needs the base first.
        """
        return b"".join(render_change(change) for change in (self.files if changes is None else changes))


def take_in(raw: bytes, *, max_bytes: int, cuts_at_scissors: bool = False) -> Intake | Reason:
    """Read a patch as a whole.

    Args:
        raw: Any bytes: a diff, a mail, a tool's answer with a diff somewhere in it.
        max_bytes: Most bytes that are read.
        cuts_at_scissors: Whether only the text below a scissors line is the message of a mail.

    Returns:
        The patch, or the reason why it is refused: ``format_invalid`` or ``empty_patch``.
    """
    try:
        return _take_in(raw, max_bytes, MailOptions(cuts_at_scissors=cuts_at_scissors))
    except DiffError as error:
        place = "" if error.at is None else f"line {error.at + 1}: "
        detail = {} if error.at is None else {"line": error.at + 1}
        return Reason(code=error.code, message=f"{place}{error}", detail=detail)


def _take_in(raw: bytes, max_bytes: int, options: MailOptions) -> Intake:
    if len(raw) > max_bytes:
        raise DiffError(
            f"the patch has {len(raw)} bytes, more than the {max_bytes} allowed (max_patch_bytes)"
        )
    if not raw.strip():
        raise DiffError("the patch is empty", code=ReasonCode.EMPTY_PATCH)
    if raw.startswith(_BYTE_ORDER_MARKS):
        raise DiffError("the patch begins with a byte-order mark; save it as plain bytes without", 0)
    text, colours = without_colours(raw)
    mail, parts = only_mail_in(text)
    letter = open_letter(mail, options)
    if any(b"\0" in line for line in letter.lines[: letter.prose_end]):
        raise DiffError("a NUL byte stands outside of any file's content")
    sections = _read_sections(letter.lines, letter.prose_end, _INFLATION * max_bytes)
    _refuse_another_mail(letter, sections)
    _refuse_broken_flow(letter, sections)
    changes = _decide_lone_names(sections, [change_of(section) for section in sections])
    repairs = [
        replace(repair, file=change.path)
        for section, change in zip(sections, changes, strict=True)
        for repair in section.repairs
    ]
    _refuse_without_effect(sections, changes)
    _refuse_contradiction(letter, sections, changes)
    files, merges = one_change_per_file(changes)
    before = [*colours, *parts, *letter.repairs, *_told_scissors(letter, options)]
    repairs = [*before, *left_out(letter, sections), *repairs, *merges]
    return Intake(raw=raw, files=files, repairs=tuple(repairs), header=letter.header)


def _told_scissors(letter: Letter, options: MailOptions) -> list[Repair]:
    """Return the repair that a message has a scissors line, if it has one."""
    if not letter.has_scissors:
        return []
    if options.cuts_at_scissors:
        said = "the message above its scissors line was left out"
    else:
        said = "the message has a scissors line; `scissors: true` takes only the text below it"
    return [Repair(kind=RepairKind.SCISSORS, said=said)]


def _refuse_broken_flow(letter: Letter, sections: Sequence[Section]) -> None:
    """Refuse a diff whose lines a mail program has joined: its counts tell, and are not repaired then.

    Raises:
        DiffError: The text was flowed, and a hunk has other lines than its header says.
    """
    kinds = {repair.kind for section in sections for repair in section.repairs}
    if FLOWED in letter.repairs and RepairKind.COUNTS in kinds:
        raise DiffError(
            "the mail was sent with format=flowed, which has damaged its diff; attach the patch instead, or"
            " send it by `git send-email`",
            sections[0].at,
        )


def _refuse_another_mail(letter: Letter, sections: Sequence[Section]) -> None:
    """Refuse a mailbox: its mails are commits of their own, and a cover letter is none.

    Raises:
        DiffError: Another mail begins above the diff, or behind a part of it.
    """
    lines = letter.lines
    starts = [1, *(section.end for section in sections)]
    ends = [*(section.at for section in sections), len(lines)]
    for start, end in zip(starts, ends, strict=True):
        for at in range(start, end):
            if begins_mail(lines, at, end):
                raise DiffError(SEVERAL.format("the text has several mails"), at)


def _read_sections(lines: Sequence[bytes], at: int, binary_limit: int) -> list[Section]:
    sections: list[Section] = []
    while at < len(lines):
        line = lines[at]
        if line[0] in b"d-" and (line.startswith(b"diff --git ") or begins_traditional(lines, at)):
            section = read_section(lines, at, binary_limit=binary_limit)
            sections.append(section)
            at = section.end
            continue
        if fault := stray_syntax(lines, at, is_after_file=bool(sections)):
            raise DiffError(fault, at)
        at += 1
    if not sections:
        raise DiffError(no_diff(lines))
    refuse_messages_of_diff(lines, sections)
    return sections


def _decide_lone_names(sections: Sequence[Section], changes: Sequence[FileChange]) -> list[FileChange]:
    """Decide whether names of added or deleted files have a prefix, by the names of the other files."""
    pairs = [section.names for section in sections if section.names is not None]
    has_prefix = [old != new for old, new in pairs if same_file(old, new) is not None]
    return [
        change if section.lone_name is None else _decided(section, section.lone_name, change, has_prefix)
        for section, change in zip(sections, changes, strict=True)
    ]


def _decided(section: Section, name: bytes, change: FileChange, has_prefix: Sequence[bool]) -> FileChange:
    path = _lone_path(name, has_prefix)
    if name not in {path, b"a/" + path, b"b/" + path}:
        section.repairs.append(named_otherwise(name, path))
    return _named(change, path)


def _lone_path(name: bytes, has_prefix: Sequence[bool]) -> bytes:
    stripped = without_prefix(name)
    is_certain = has_scheme(name)
    if stripped is None or (has_prefix and not any(has_prefix) and not is_certain):
        return name
    is_usual = is_certain or name.startswith((b"a/", b"b/"))
    return stripped if is_usual or (has_prefix and all(has_prefix)) else name


def _named(change: FileChange, path: bytes) -> FileChange:
    if change.kind is ChangeKind.ADD:
        return replace(change, new_path=path)
    return replace(change, old_path=path)


def _refuse_contradiction(letter: Letter, sections: Sequence[Section], changes: Sequence[FileChange]) -> None:
    """Refuse a mail whose diffstat declares other changes than its diff has."""
    if not letter.prose_end:
        return
    said = contradiction(letter.lines[letter.prose_end : sections[0].at], changes)
    if said is not None:
        raise DiffError(f"{CONTRADICTS}: {said}. {MISSING_OR_QUOTED}", letter.prose_end)


def _refuse_without_effect(sections: Sequence[Section], changes: Sequence[FileChange]) -> None:
    idle = [section for section, change in zip(sections, changes, strict=True) if not change.has_effect]
    if len(idle) == len(sections):
        raise DiffError("the patch changes nothing", code=ReasonCode.EMPTY_PATCH)
    if idle:
        raise DiffError("a file's header says no change: its part is damaged or was truncated", idle[0].at)
