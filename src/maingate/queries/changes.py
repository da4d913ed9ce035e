"""Changes of the record, by which an earlier answer is known to be right still.

Every column that is evidence changes together with a row of the ledger (`maingate.db.ledger.bound_columns`),
and the rows are numbered in the order of their commits. So an answer of such columns is still right as long
as no later row is about the same entities. Holds, leases and signs of life are no evidence: an answer that
shows them cannot rely on this.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from maingate.db.dao.history import changes
from maingate.db.ledger import running_head
from maingate.db.ledger.running_head import Position
from maingate.repository_context import RepositoryContext
from maingate.state.gate import TEST_GATE
from maingate.state.machine import Machine
from maingate.state.patch_ledger import PATCH_LEDGER
from maingate.state.run import RUN
from maingate.state.task import TASK
from maingate.state.workstream import WORKSTREAM

MOST_PARTS: Final = 10_000
"""Parts whose last changes are kept; with more, all of them count as changed."""

MOST_ROWS: Final = 5_000
"""New rows that one look reads; with more, everything counts as changed."""

Part = tuple[str | None, str | None]
"""A part of the record: a run, or None for all; and a machine, or None for the entities of all."""

ALL: Final[Part] = (None, None)
"""All of the record."""
_SHOWN: Final[Mapping[str, Sequence[Machine]]] = {
    "runs": (RUN,),
    "workstreams": (WORKSTREAM,),
    "tasks": (TASK, PATCH_LEDGER),
    "patches": (PATCH_LEDGER,),
    "gates": (TEST_GATE,),
}
"""The machines whose entities a list shows; the names of the others do not change."""
_EMPTY: Final = Position(seq=0, head="")


def parts_of_list(name: str, run_id: str | None = None) -> list[Part]:
    """Return the parts of the record that a list shows.

    Args:
        name: The name of the list, such as ``tasks``.
        run_id: The run whose entities it shows; None for all.
    """
    return [(run_id, machine.name) for machine in _SHOWN[name]]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordMoment:
    """A moment of a record, as a watch counts.

    Args:
        seq: The place of the last row of the ledger.
        record: The number of the record, which grows when another one, or an older state, takes its place.
    """

    seq: int
    record: int


class ChangeWatch:
    """A reader of the ledger that knows when each part of the record changed last. Threads may share it.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context, self._lock = context, threading.Lock()
        self._at = _EMPTY
        self._changed: dict[Part, int] = {}
        self._all_changed = self._record = self._begun = 0

    def look(self) -> RecordMoment:
        """Read the rows that are new, and return the present moment; the looks of many threads are joined."""
        begun = self._begun
        with self._lock:
            if self._begun == begun:  # else another look has begun, and ended, while this one waited
                self._begun += 1
                self._look()
            return RecordMoment(seq=self._at.seq, record=self._record)

    def _look(self) -> None:
        with self._context.database.read() as conn:
            at = running_head.position(conn)
            if at.seq > self._at.seq + MOST_ROWS and self._at.seq > 0:
                self._all_changed = at.seq
            elif at.seq > self._at.seq > 0:
                self._note(changes.since(conn, self._at.seq))
            elif at != self._at:
                self._changed.clear()
                self._record += 1
            self._at = at

    def is_unchanged(self, parts: Collection[Part], since: RecordMoment) -> bool:
        """Return whether no row behind a moment, as far as was looked, is about one of some parts."""
        with self._lock:
            if since.record != self._record or since.seq < self._all_changed:
                return False
            return all(self._changed.get(part, 0) <= since.seq for part in parts)

    def _note(self, found: Collection[changes.ChangedPart]) -> None:
        for each in found:
            if each.machine is None and each.run_id is None:
                self._all_changed = max(self._all_changed, each.seq)
            for part in {(each.run_id, each.machine), (each.run_id, None), (None, each.machine), ALL}:
                self._changed[part] = max(self._changed.get(part, 0), each.seq)
        if len(self._changed) > MOST_PARTS:
            self._all_changed = max(self._changed.values())
            self._changed.clear()
