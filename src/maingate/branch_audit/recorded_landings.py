"""The recorded landings of one repository, for a comparison with its branches.

The rows may have been changed by hand, so only the needed columns are read, and their values are not checked:
the ledger shows that a value was changed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maingate.db.engine import Database, repository_of
from maingate.db.sql.statements import quoted, rows_of

_MOVE: Final = ("id", "run_id", "workstream_id", "ref", "old", "new", "commits", "kind", "state")


_MOVES: Final = f"SELECT {quoted(_MOVE)} FROM intents ORDER BY created_at, id"  # noqa: S608 - our own names


@dataclass(frozen=True, kw_only=True)
class RecordedMove:
    """An intent: see `maingate.db.dao.intents.Intent`."""

    id: str
    run_id: str
    workstream_id: str
    ref: str
    old: str | None
    new: str
    commits: Mapping[str, str]
    kind: str
    state: str


@dataclass(frozen=True, kw_only=True)
class RecordedLanding:
    """A workstream or a patch, with the commit on record of it, and whether that has landed."""

    id: str
    run_id: str
    commit: str | None
    has_landed: bool


@dataclass(frozen=True, kw_only=True)
class Landings:
    """The recorded landings.

    Args:
        targets: The target of each run.
        moves: Every recorded intent to move a target, oldest first.
        workstreams: The workstreams by their ids.
        patches: The patches by their ids.
    """

    targets: Mapping[str, str]
    moves: Sequence[RecordedMove]
    workstreams: Mapping[str, RecordedLanding]
    patches: Mapping[str, RecordedLanding]

    @property
    def landed(self) -> Sequence[RecordedLanding]:
        """All that has landed."""
        return [each for each in (*self.workstreams.values(), *self.patches.values()) if each.has_landed]

    def commits(self) -> set[str]:
        """Return every commit that the record has."""
        found = {move.new for move in self.moves}
        found |= {commit for move in self.moves for commit in move.commits.values()}
        return found | {each.commit for each in (*self.patches.values(), *self.landed) if each.commit}


def read(database: Database) -> Landings:
    """Read the recorded landings; in a shared database, those of the repository of this process.

    Raises:
        DatabaseError: The record could not be read.
    """
    with database.read() as conn:
        whose = repository_of(conn)
        runs = rows_of(conn, "SELECT id, target_ref, repository_id FROM runs ORDER BY created_at, id")
        moves = rows_of(conn, _MOVES)
        streams = rows_of(conn, "SELECT id, run_id, landed_commit, landed_commit FROM workstreams")
        ledger = rows_of(conn, 'SELECT id, run_id, "commit", committed_at FROM patches')
    targets = {row[0]: str(row[1]) for row in runs if whose is None or row[2] == whose}
    return Landings(
        targets=targets,
        moves=[_move(row) for row in moves if row[1] in targets],
        workstreams=_landed(streams, targets),
        patches=_landed(ledger, targets),
    )


def _move(row: Sequence[Any]) -> RecordedMove:
    values = dict(zip(_MOVE, row, strict=True))
    try:
        commits = dict(json.loads(values["commits"]))
    except (TypeError, ValueError, RecursionError):  # it was changed, which the ledger tells
        commits = {}
    return RecordedMove(**(values | {"commits": commits}))


def _landed(rows: Iterable[Sequence[Any]], targets: Mapping[str, str]) -> Mapping[str, RecordedLanding]:
    return {
        row[0]: RecordedLanding(id=row[0], run_id=row[1], commit=row[2], has_landed=row[3] is not None)
        for row in rows
        if row[1] in targets
    }
