"""Import a series of patches: a mailbox, a folder of patches, a quilt series, or a range of git history.

The patches are written as bare diffs, byte for byte. Message, author and date go into the plan, so that no
message can be mistaken for a part of a diff.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maingate.errors import UsageError
from maingate.importers.plan_files import ImportedPlan, ImportOptions, write_plan
from maingate.importers.series.git_range import base_of, entries_of_range, is_range, resolve_range
from maingate.importers.series.mail import MailboxOptions
from maingate.importers.series.patch_files import entries_of_folder, entries_of_only_file, entries_of_quilt
from maingate.importers.series_entry import Entry

__all__ = ["ImportOptions", "ImportedPlan", "MailboxOptions", "import_series"]


@dataclass(frozen=True, kw_only=True)
class Series:
    """An opened series of patches.

    Args:
        name: Its name for people.
        entries: Its patches, in order.
        comments: Lines about its origin.
        notes: Notes for the user.
    """

    name: str
    entries: Iterator[Entry]
    comments: Sequence[str]
    notes: Sequence[str] = ()


def import_series(
    source: str,
    *,
    out: Path,
    repo: Path,
    options: ImportOptions | None = None,
    mailbox: MailboxOptions | None = None,
) -> ImportedPlan:
    """Write a plan that lands a series of patches in its order.

    Args:
        source: A mailbox, a patch file, a folder of ``*.patch`` and ``*.diff`` files, a quilt ``series`` (or
            a folder with one in it), or a git range ``A..B``. An existing path counts as a path.
        out: The plan file to write; the patches go beside it into ``<stem>.patches/``.
        repo: The repository of a git range.
        options: The plan's other keys.
        mailbox: How mails are read.

    Returns:
        The written plan, with the entries left out and notes for the person.

    Raises:
        UsageError: The source cannot be read, or a file would be overwritten.
        PlanError: A quilt series has problems; all are listed.
    """
    series = open_series(source, repo, mailbox)
    made = write_plan(
        series.entries,
        out=out,
        source=series.name,
        comments=series.comments,
        options=options or ImportOptions(),
    )
    return replace(made, notes=(*series.notes, *made.notes))


def open_series(source: str, repo: Path, mailbox: MailboxOptions | None = None) -> Series:
    """Open a series; see `import_series`.

    Raises:
        UsageError: It cannot be read.
        PlanError: A quilt series has problems; all are listed.
    """
    path = Path(source)
    if path.is_dir():
        quilt = next(
            (found for found in (path / "series", path / "patches" / "series") if found.is_file()), None
        )
        if quilt is not None:
            return _from_quilt(quilt, mailbox)
        return Series(
            name=path.resolve().name,
            entries=entries_of_folder(path, mailbox),
            comments=[f"Imported from {source}."],
        )
    if path.is_file():
        if path.name == "series":
            return _from_quilt(path, mailbox)
        entries = entries_of_only_file(path, mailbox)
        return Series(name=path.stem, entries=entries, comments=[f"Imported from {source}."])
    if is_range(source):
        return _from_range(source, repo)
    if "..." in source:
        two = re.sub(r"\.{3,}", "..", source)
        raise UsageError(f"{source!r} is a symmetric difference, not a range; use two dots: {two}")
    raise UsageError(
        f"{source!r} is no file, folder or git range; give a mailbox, a folder of patches, "
        "a quilt series or a range A..B"
    )


def _from_quilt(series: Path, mailbox: MailboxOptions | None) -> Series:
    comments = [f"Imported from the quilt series {series}."]
    return Series(
        name=series.resolve().parent.name, entries=entries_of_quilt(series, mailbox), comments=comments
    )


def _from_range(source: str, repo: Path) -> Series:
    commits = resolve_range(source, repo=repo)
    base = base_of(commits)
    comments = [
        f"Imported from the commits {source}, first parents only.",
        f"base: {base or 'none: the series begins with a root commit'}",
        f"last: {commits.new}",
    ]
    return Series(name=source, entries=entries_of_range(commits), comments=comments, notes=commits.notes)
