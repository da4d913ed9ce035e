"""The ledger: the one sequence of transitions, events and facts, and the running hash over it.

Each of its rows has a number and a hash. The head of the ledger after a row is the SHA-256 over the head
before it, a line feed, and the row's hash, so that it stands for the row, all rows before it, and their
order; that of an empty ledger is the id of the record.

Number and head are stored in ``counters`` under the lock of the writing transaction. A head that is known
outside, as from the commit of a landing, shows later whether the rows up to it are the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.record_files import identify
from maingate.db.sql.statements import change, row_of

_TAKE: Final = (
    "INSERT INTO counters (name, value) VALUES ('event', ?)"
    " ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value, head"
)
_KEEP: Final = "UPDATE counters SET head = ? WHERE name = 'event'"
_READ: Final = "SELECT value, head FROM counters WHERE name = 'event'"


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """The end of the ledger.

    Args:
        seq: The number of its last row; 0 when it is empty.
        head: The running hash with that row.
    """

    seq: int
    head: str

    def __str__(self) -> str:
        """Return the form that commits contain."""
        return f"{self.seq}:{self.head}"


def position(connection: Connection) -> Position:
    """Read the end of the ledger."""
    found = row_of(connection, _READ)
    return Position(seq=0 if found is None else int(found[0]), head=_head(connection, found))


def beginning(connection: Connection) -> str:
    """Return the head of the ledger before its first row."""
    return identify(connection) or ""


def take(connection: Connection, count: int) -> Position:
    """Allocate the next numbers, and return the position before them; `keep` must follow with their hashes.

    The numbers become free again when the transaction is rolled back, so that the sequence never has a gap.
    """
    found = row_of(connection, _TAKE, (count,))
    return Position(seq=0 if found is None else int(found[0]) - count, head=_head(connection, found))


def keep(connection: Connection, before: Position, hashes: Iterable[str]) -> None:
    """Advance the head over rows whose numbers were allocated, by their hashes in order."""
    change(connection, _KEEP, (onward(before.head, hashes),))


def _head(connection: Connection, found: Sequence[Any] | None) -> str:
    return beginning(connection) if found is None or found[1] is None else str(found[1])


def onward(head: str, hashes: Iterable[str]) -> str:
    """Return the head of a ledger after more rows."""
    for each in hashes:
        head = sha256(f"{head}\n{each}".encode()).hexdigest()
    return head
