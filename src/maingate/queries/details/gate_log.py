"""Logs of gates, found by the record alone and read piece by piece."""

import os
from collections import deque
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Final

from maingate.db.dao import gates
from maingate.db.dao.gates import GateRow
from maingate.errors import UnknownEntityError
from maingate.repository_context import RepositoryContext
from maingate.state.gate import GateState
from maingate.verdicts.records import log_name
from maingate.wording import short

MOST_BYTES: Final = 1024 * 1024
"""Bytes of a log that are read at once at most."""


@dataclass(frozen=True, kw_only=True)
class LogPiece:
    """A piece of a log.

    Args:
        content: Its bytes.
        start: The place of its first byte.
        size: The size of the whole log at the time.
    """

    content: bytes
    start: int
    size: int


def log_piece(context: RepositoryContext, gate_id: str, *, start: int | None, length: int) -> LogPiece:
    """Read a piece of a gate's log.

    Args:
        context: The repository and its record.
        gate_id: The gate.
        start: The place of the first byte; None for the last bytes of the log.
        length: The number of bytes; at most `MOST_BYTES` are read.

    Raises:
        UnknownEntityError: There is no such gate, or it has no log any more.
    """
    with context.database.read() as conn:
        row = gates.get(conn, gate_id)
    path = _path_of(context.paths.logs, row.log_path or _live_name(context.paths.logs, row))
    if path is None:
        raise UnknownEntityError(
            gate_id, f"gate {short(row.name)} has no log: it did not run, or the log is gone"
        )
    length = min(length, MOST_BYTES)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        begin = max(0, size - length) if start is None else min(start, size)
        file.seek(begin)
        return LogPiece(content=file.read(length), start=begin, size=size)


def _live_name(logs: Path, row: GateRow) -> str | None:
    """Return the name of the log of a running gate's last attempt; None before its first."""
    if row.state is not GateState.RUNNING:
        return None
    names = takewhile(lambda name: (logs / name).is_file(), (log_name(row, attempt) for attempt in count(1)))
    return next(iter(deque(names, maxlen=1)), None)


def _path_of(logs: Path, name: str | None) -> Path | None:
    """Return the file of a log; None where there is none, or where its name leads out of the folder."""
    if name is None:
        return None
    path = (logs / name).resolve()
    return path if path.is_relative_to(logs.resolve()) and path.is_file() else None
