"""The check of the newest rows of the ledger: cheap enough to be made every few seconds.

`maingate.db.audit.record_check` reads the whole record; this reads what was added since the check before, and
folds it into the running hash. So a row that is changed, removed or inserted while a process looks on is
found at once, at a cost that follows what was added. The first check has no hash to begin with, and trusts
the head on record when the newest rows are whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.ledger import running_head
from maingate.db.ledger.chain import EVENT_COLUMNS, FACT_COLUMNS, HASHED, hash_of, hash_of_event, hash_of_fact
from maingate.db.ledger.running_head import Position
from maingate.db.sql.statements import quoted, rows_of

ROWS: Final = 2000
"""Rows that one check reads at most."""


@dataclass(frozen=True, kw_only=True)
class TailCheck:
    """The result of a check.

    Args:
        end: The end of the ledger.
        verified: The last row that was verified, with the running hash there; None where a fault was found.
        first: The number of the first row that was read.
        problem: The fault; None when there is none.
    """

    end: Position
    verified: Position | None
    first: int
    problem: str | None = None


def check_tail(connection: Connection, after: Position | None = None, *, most: int = ROWS) -> TailCheck:
    """Check the rows of the ledger after a position.

    Args:
        connection: A transaction.
        after: The position up to which the ledger was verified; None checks the last rows.
        most: Rows to read at most.
    """
    end = running_head.position(connection)
    begun = max(0, end.seq - most) if after is None else after.seq
    if begun > end.seq:
        return TailCheck(
            end=end,
            verified=None,
            first=begun + 1,
            problem=f"the ledger ends at row {end.seq}, but row {begun} was there: its end was cut off",
        )
    upto = min(end.seq, begun + most)
    hashes: list[str] = []
    for expected, (seq, stored, computed) in enumerate(_rows(connection, begun, upto), start=begun + 1):
        if seq != expected:
            return TailCheck(end=end, verified=None, first=begun + 1, problem=_misplaced(expected, seq))
        if stored != computed:
            problem = f"row {seq} was changed: its hash does not fit its content"
            return TailCheck(end=end, verified=None, first=begun + 1, problem=problem)
        hashes.append(stored)
    if len(hashes) != upto - begun:
        missing = _misplaced(begun + len(hashes) + 1, upto + 1)
        return TailCheck(end=end, verified=None, first=begun + 1, problem=missing)
    head = end.head if after is None else running_head.onward(after.head, hashes)
    if upto == end.seq and head != end.head:
        problem = "the ledger does not lead to the head on record: a row was changed and hashed anew"
        return TailCheck(end=end, verified=None, first=begun + 1, problem=problem)
    return TailCheck(end=end, verified=Position(seq=upto, head=head), first=begun + 1)


def _rows(connection: Connection, after: int, upto: int) -> Sequence[tuple[int, str, str]]:
    """Return the number, the stored hash and the computed hash of rows of the ledger, in order."""
    return sorted(_read(connection, after, upto), key=itemgetter(0))


def _read(connection: Connection, after: int, upto: int) -> Iterator[tuple[int, str, str]]:
    where = "WHERE seq > ? AND seq <= ?"
    columns = (*HASHED, "prev_hash", "hash")
    for row in rows_of(connection, f"SELECT {quoted(columns)} FROM state_transitions {where}", (after, upto)):
        *values, before, stored = row
        yield row[0], stored, hash_of(values, before)
    tables: tuple[tuple[str, Sequence[str], Any], ...] = (
        ("events", EVENT_COLUMNS, hash_of_event),
        ("facts", FACT_COLUMNS, hash_of_fact),
    )
    for table, names, hash_row in tables:
        for row in rows_of(connection, f"SELECT {quoted(names)} FROM {table} {where}", (after, upto)):
            *values, stored = row
            yield row[0], stored, hash_row(values, None)


def _misplaced(expected: int, found: int) -> str:
    if found < expected:
        return f"row {found} is there twice: one was inserted past the writer"
    return f"row {expected} was removed"
