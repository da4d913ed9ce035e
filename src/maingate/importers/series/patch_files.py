"""Patches in files: a folder in natural order, a quilt series, or a single file."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from maingate.errors import PlanError, Problem, UsageError
from maingate.git_dates import GitDate
from maingate.importers.series.mail import MailboxOptions, entries_of_mailbox, is_mail
from maingate.importers.series_entry import Entry, author_of, date_of
from maingate.patches.text.colours import without_colours
from maingate.patches.text.first_diff import parted

SUFFIXES: Final = (".patch", ".diff")
_MERCURIAL: Final = re.compile(r"\s*# HG changeset patch\r?\n(?:#.*(?:\n|$))*")
_MERCURIAL_USER: Final = re.compile(
    r"^# User (?P<name>[^<\n]*?)\s*(?:<(?P<mail>[^>\n]*)>)?\s*$", re.MULTILINE
)
_MERCURIAL_DATE: Final = re.compile(r"^# Date (?P<seconds>-?\d+)(?:\.\d+)? (?P<west>-?\d+)\s*$", re.MULTILINE)
_SHOWN: Final = re.compile(
    r"\s*commit [0-9a-f]{40}(?: .*)?\r?\n"
    r"(?P<fields>(?:[A-Z][A-Za-z]*: .*\r?\n)+)(?P<message>(?:(?:    .*)?\r?\n)*)"
)
"""The text of a commit before its diff, as `git show` and `git log` print it."""
_SHOWN_AUTHOR: Final = re.compile(r"^Author: +(?P<name>[^<\n]*?) *<(?P<mail>[^>\n]*)>", re.MULTILINE)
_SHOWN_DATE: Final = re.compile(r"^(?:Author)?Date: +(?P<date>.*?)\s*$", re.MULTILINE)
_SHOWN_NEXT: Final = re.compile(rb"^commit [0-9a-f]{40}\b.*\n(?:Merge: .*\n)?Author: ", re.MULTILINE)
_HUNK: Final = re.compile(rb"^@@", re.MULTILINE)
_STRIP: Final = re.compile(r"-p\s*(\S+)")


def entries_of_folder(folder: Path, options: MailboxOptions | None = None) -> Iterator[Entry]:
    """Yield the patches of a folder's ``*.patch`` and ``*.diff`` files, in natural order (2 before 10).

    Raises:
        UsageError: The folder has none.
    """
    files = sorted((path for path in folder.iterdir() if path.suffix in SUFFIXES), key=_natural)
    if not files:
        raise UsageError(f"{folder} has no *.patch or *.diff files, and no quilt series")
    for path in files:
        yield from entries_of_file(path, origin=path.name, options=options)


def entries_of_file(path: Path, *, origin: str, options: MailboxOptions | None = None) -> Iterator[Entry]:
    """Yield the patch of a file, or the patches of a mailbox."""
    yield from _entries(_read(path), origin=origin, options=options)


def _entries(raw: bytes, *, origin: str, options: MailboxOptions | None = None) -> Iterator[Entry]:
    text, colours = without_colours(raw)
    entries = (
        entries_of_mailbox(text, origin=origin, options=options)
        if is_mail(text)
        else iter([_bare(text, origin=origin)])
    )
    for entry in entries:
        yield replace(entry, notes=(*entry.notes, *(repair.said for repair in colours)))


def entries_of_only_file(path: Path, options: MailboxOptions | None = None) -> Iterator[Entry]:
    """Yield the patches of a file that is the whole series.

    Raises:
        UsageError: The file is neither a mailbox nor a diff, not even a broken one.
    """
    return entries_of_bytes(_read(path), origin=path.name, shown=str(path), options=options)


def entries_of_bytes(
    raw: bytes, *, origin: str, shown: str, options: MailboxOptions | None = None
) -> Iterator[Entry]:
    """Yield the patches of bytes that are the whole series.

    Args:
        raw: A mailbox or a diff.
        origin: Its name in entries.
        shown: Its name in the error.
        options: How mails are read.

    Raises:
        UsageError: They are neither a mailbox nor a diff, not even a broken one.
    """
    text, _ = without_colours(raw)
    if not is_mail(text) and not parted(text)[1] and not _HUNK.search(text):
        raise UsageError(f"no diff found in {shown}; a series is a mailbox or files of diffs")
    return _entries(raw, origin=origin, options=options)


def entries_of_quilt(series: Path, options: MailboxOptions | None = None) -> Iterator[Entry]:
    """Yield the patches of a quilt ``series`` in order, without commented lines.

    Raises:
        PlanError: Missing patches, or options other than ``-p1``, each with its line.
    """
    listed = list(_listed(series))
    problems = [problem for number, line in listed for problem in _problems(series, number, line)]
    if problems:
        raise PlanError(problems)
    for _, line in listed:
        name = line.split()[0]
        yield from entries_of_file(series.parent / name, origin=name, options=options)


def _listed(series: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_read(series).decode(errors="surrogateescape").splitlines(), start=1):
        text = re.sub(r"(?:^|\s)#.*", "", line).strip()
        if text:
            yield number, text


def _problems(series: Path, number: int, line: str) -> Iterator[Problem]:
    name, _, options = line.partition(" ")
    if not (series.parent / name).is_file():
        yield Problem(file=str(series), line=number, message=f"no file {name!r} beside the series")
    if options.strip() and not all(strip in ("1", "ab") for strip in _STRIP.findall(options)):
        hint = "in the quilt tree, push it and say: quilt refresh -p1"
        yield Problem(
            file=str(series), line=number, message=f"{name}: only -p1 patches can be read", hint=hint
        )
    if _STRIP.sub("", options).strip():
        message = f"{name}: the options {options.strip()!r} are not supported"
        yield Problem(file=str(series), line=number, message=message)


def _bare(raw: bytes, *, origin: str) -> Entry:
    """Read a diff with an optional description before it, as written by quilt, Mercurial and `git show`.

    Raises:
        UsageError: It is the output of `git log` with several commits.
    """
    before, diff = parted(raw)
    if not diff:
        return Entry(origin=origin, diff=raw if raw.strip() else b"")
    words = before.decode(errors="replace").replace("\0", "")
    if (shown := _SHOWN.match(words)) is not None:
        if _SHOWN_NEXT.search(diff):
            raise UsageError(
                f"{origin} has several commits, as `git log -p` prints them; name their range instead, such "
                "as main..topic, or write them with `git format-patch`"
            )
        return _of_shown_commit(shown, diff, origin=origin)
    head = _MERCURIAL.match(words)
    if head is None:
        lines = [line.rstrip() for line in words.splitlines() if not line.startswith(("#", "---", "==="))]
        return Entry(origin=origin, diff=diff, message="\n".join(lines).strip())
    user = _MERCURIAL_USER.search(head[0])
    return Entry(
        origin=origin,
        diff=diff,
        message=words[head.end() :].strip("\r\n"),
        author=author_of(user["name"], user["mail"] or "") if user else None,
        date=_mercurial_date(head[0]),
    )


def _of_shown_commit(shown: re.Match[str], diff: bytes, *, origin: str) -> Entry:
    """Return the patch of a commit that `git show` has printed, whose message is indented there."""
    author, date = _SHOWN_AUTHOR.search(shown["fields"]), _SHOWN_DATE.search(shown["fields"])
    lines = [line.removeprefix("    ") for line in shown["message"].splitlines()]
    return Entry(
        origin=origin,
        diff=diff,
        message="\n".join(lines).strip("\n"),
        author=author_of(author["name"], author["mail"]) if author else None,
        date=date_of(date["date"]) if date else None,
    )


def _mercurial_date(head: str) -> GitDate | None:
    """Return the date of an exported changeset: seconds since 1970, and the zone in seconds west of UTC."""
    found = _MERCURIAL_DATE.search(head)
    if found is None:
        return None
    west = int(found["west"])
    minutes, seconds = divmod(abs(west), 60)
    zone = f"{'-' if west > 0 else '+'}{minutes // 60:02d}{minutes % 60:02d}" + (
        f"{seconds:02d}" if seconds else ""
    )
    return date_of(f"{found['seconds']} {zone}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key: digits by value, the rest by letters."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name) if part
    ]
