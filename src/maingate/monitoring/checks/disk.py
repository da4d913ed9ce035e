"""The check of the disks that Maingate writes to."""

from typing import Any, Final

from maingate.monitoring.finding import CheckFinding, HealthState, Trouble, command_in
from maingate.repository_context import RepositoryContext
from maingate.system.disk import Room, room_of

MIB: Final = 1024 * 1024
LITTLE_ROOM: Final = 1024 * MIB
"""Bytes left on a disk below which a person should make room."""
NO_ROOM: Final = 32 * MIB
"""Bytes left on a disk below which runs are about to stop."""
FEW_FILES: Final = 1000
"""Files left on a disk below which runs are about to stop."""


def check_disk(context: RepositoryContext) -> CheckFinding:
    """Check the room on the disks of the state folder and of the worktrees."""
    clean = command_in(context.repository.root, "clean")
    folders = {"state": context.paths.root, "worktrees": context.paths.slots}
    rooms = {name: room_of(path) for name, path in folders.items()}
    by_folder = {room.folder: room for room in rooms.values()}
    troubles = [each for room in by_folder.values() for each in trouble_of_room(room, clean)]
    least = min(room.bytes_left for room in rooms.values())
    detail: dict[str, Any] = {
        name: {"folder": str(room.folder), "bytes_left": room.bytes_left, "files_left": room.files_left}
        for name, room in rooms.items()
    }
    return CheckFinding(summary=f"at least {least // MIB} MiB left", troubles=troubles, detail=detail)


def trouble_of_room(room: Room, command: str) -> list[Trouble]:
    """Return what is wrong with the room on a disk.

    Args:
        room: The room.
        command: The command that makes some, or that shows more.
    """
    where = f"the disk of {room.folder}"
    failed = HealthState.FAILED
    if room.is_read_only:
        return [Trouble(state=failed, reason=f"{where} is mounted read-only", command=command)]
    if room.files_left is not None and room.files_left < FEW_FILES:
        reason = f"{where} has room for {room.files_left} files only"
        return [Trouble(state=failed, reason=reason, command=command)]
    if room.bytes_left < LITTLE_ROOM:
        state = failed if room.bytes_left < NO_ROOM else HealthState.DEGRADED
        reason = f"{where} has {room.bytes_left // MIB} MiB left"
        return [Trouble(state=state, reason=reason, command=command)]
    return []
