"""Repairs that applying a patch made: hunks that moved, files that were merged, unexpected results."""

from collections.abc import Iterable

from maingate.patches.apply.expected import ChangeReading
from maingate.patches.model import FileChange
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.quoting import show_path
from maingate.wording import listed


def unlike_stated(readings: Iterable[ChangeReading]) -> tuple[Repair, ...]:
    """Return repairs for exact results that differ from the ids on the patch's own index lines."""
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


def moved_hunk(change: FileChange, number: int, line: int) -> Repair:
    """Return the repair that a hunk was applied at another line."""
    stated = change.hunks[number - 1].new_start if number <= len(change.hunks) else None
    said = f"went to line {line}"
    return Repair(kind=RepairKind.OFFSET, said=said, file=change.path, hunk=number, was=stated, now=line)


def merged_file(reading: ChangeReading, own_base: str | None) -> Repair | None:
    """Return the repair that a file was merged, if the change was made on another one."""
    if reading.before is None or own_base is None or own_base == reading.before.id:
        return None
    said = "was merged: it is not the file any more that the patch was made on"
    now = reading.before.id
    return Repair(kind=RepairKind.THREE_WAY, said=said, file=reading.change.path, was=own_base, now=now)


def moved_files(missing: Iterable[bytes], elsewhere: Iterable[bytes]) -> list[Repair]:
    """Return the repairs that files were changed where they have been moved to.

    Args:
        missing: The paths of the patch at which there is no file any more.
        elsewhere: The paths that were changed instead.
    """
    names = [show_path(path) for path in missing]
    said = f"was changed by a merge, since {listed(names)} was moved after the patch was made"
    was = names[0] if len(names) == 1 else None
    return [
        Repair(kind=RepairKind.MOVED, said=said, file=path, was=was, now=show_path(path))
        for path in elsewhere
    ]


def _is_edited(reading: ChangeReading) -> bool:
    """Return whether the file is the one the patch was made on, and its result is not the stated one."""
    old, new = reading.change.old_blob, reading.change.new_blob
    if old is None or new is None or reading.before is None or reading.entry is None:
        return False
    return reading.before.id.startswith(old) and not reading.entry.id.startswith(new)
