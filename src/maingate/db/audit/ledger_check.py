"""Checks of the ledger as a whole: its numbers, its running hash on record, and copies of it outside.

A head of the ledger that is known outside is an anchor: rows before it that were rewritten, and hashed again
to the end, give another head.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from maingate.db.audit.findings import AuditFinding
from maingate.db.ledger import running_head
from maingate.db.ledger.running_head import Position
from maingate.db.sql.statements import row_of, rows_of

_NUMBERS = " UNION ALL ".join(
    f"SELECT seq, hash FROM {table}" for table in ("state_transitions", "events", "facts")
)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A head of the ledger that is known outside of it.

    Args:
        position: The position that it states.
        where: Its place, for people: ``commit 1a2b… on refs/heads/main``.
    """

    position: Position
    where: str


def check_sequence(connection: Connection) -> Iterator[AuditFinding]:
    """Check that every allocated number exists, once."""
    given = running_head.position(connection).seq
    whole = row_of(
        connection, f"SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM ({_NUMBERS}) numbers"
    )
    if given and whole is not None and tuple(whole) == (given, given, 1, given):
        return
    expected = 1
    for row in rows_of(connection, f"SELECT seq FROM ({_NUMBERS}) numbers ORDER BY seq"):
        if row[0] < expected or row[0] > given:
            yield _finding(row[0], "the row was inserted past the writer")
        elif row[0] > expected:
            yield _gap(expected, row[0] - 1)
        expected = max(expected, row[0] + 1)
    if expected <= given:
        yield _gap(expected, given)


def check_heads(connection: Connection, anchors: Sequence[Anchor]) -> Iterator[AuditFinding]:
    """Check the owner of the ledger, the running hash at its end, and the anchors."""
    names = row_of(connection, "SELECT count(*) FROM record")
    if names is not None and names[0] != 1:
        yield _finding(None, f"the record has {names[0]} names instead of one: they were changed")
    heads, end = _heads(connection, {anchor.position.seq for anchor in anchors})
    kept = running_head.position(connection)
    if end.head != kept.head:
        yield _finding(
            None,
            "the ledger does not lead to the head on record: a row was changed and hashed anew",
        )
    good = 0
    for anchor in sorted(anchors, key=lambda each: each.position.seq):
        told = anchor.position
        if heads.get(told.seq) == told.head:
            good = told.seq
        else:
            yield _finding(told.seq, _unlike(anchor, good, end.seq))
            return


def _heads(connection: Connection, wanted: set[int]) -> tuple[Mapping[int, str], Position]:
    """Return the heads after the given rows, and the end of the ledger."""
    head, seq = running_head.beginning(connection), 0
    heads = {0: head}
    for row in rows_of(connection, f"SELECT seq, hash FROM ({_NUMBERS}) numbers ORDER BY seq"):
        seq, head = row[0], running_head.onward(head, (row[1],))
        if seq in wanted:
            heads[seq] = head
    return heads, Position(seq=seq, head=head)


def _unlike(anchor: Anchor, good: int, end: int) -> str:
    told = anchor.position.seq
    if told > end:
        return f"{anchor.where} was made after row {told}, but the ledger ends at {end}: its end was cut off"
    return (
        f"{anchor.where} was made when the ledger's rows up to {told} were others: "
        f"one of rows {good + 1} to {told} was changed, removed or put in"
    )


def _finding(seq: int | None, problem: str) -> AuditFinding:
    return AuditFinding(entity_type=None, entity_id=None, seq=seq, problem=problem)


def _gap(first: int, last: int) -> AuditFinding:
    which = f"row {first} was" if first == last else f"rows {first} to {last} were"
    return _finding(first, f"{which} removed")
