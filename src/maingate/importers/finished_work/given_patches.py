"""Work that is no branch: the patches of a range, of files, or of standard input."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maingate.errors import UsageError
from maingate.importers.finished_work.sources import STANDARD_INPUT, Source
from maingate.importers.plan_files import notes_about
from maingate.importers.series.git_range import is_range
from maingate.importers.series.patch_files import entries_of_bytes
from maingate.importers.series.series import open_series
from maingate.importers.series_entry import Entry


@dataclass(frozen=True, kw_only=True)
class GivenPatches:
    """The patches of a piece of work.

    Args:
        title: Its title for people.
        entries: The patches.
        notes: Notes for the user.
    """

    title: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()


PatchesOf = Callable[[Source], GivenPatches]
"""Returns the patches of work that is no branch."""


def read_given(source: Source, standard_input: bytes) -> GivenPatches:
    """Read the patches of work that is no branch.

    Args:
        source: The work.
        standard_input: The bytes given there, for the argument `-`.

    Raises:
        UsageError: They cannot be read, or have no diff.
        PlanError: A quilt series has problems; all are listed.
    """
    told: list[str] = []
    if source.argument == STANDARD_INPUT:
        name = _shown(source)
        entries = tuple(entries_of_bytes(standard_input, origin=name, shown=name))
        title = entries[0].subject if entries else name
    else:
        series = open_series(source.argument, Path())
        entries, title = tuple(series.entries), series.name
        told = [*series.notes]
    if not is_range(source.argument) and not any(entry.diff.strip() for entry in entries):
        raise UsageError(f"no diff found in {_shown(source)}, so there is nothing to land")
    told += [f"{entry.origin}: {note}" for entry in entries for note in notes_about(entry)]
    return GivenPatches(title=title, entries=entries, notes=tuple(told))


def _shown(source: Source) -> str:
    return "standard input" if source.argument == STANDARD_INPUT else source.argument
