"""Check the audit: every hash chain, and every entity against the end of its chain (SSOT §8.5).

What shows: a row that was changed, removed (the first, one in the middle, the last, a whole chain, even with
its entity) or inserted, and an entity whose state was changed past the writer. The chains have no secret in
them: whoever can rewrite a chain to its end and its entity's row too leaves only the file
``transitions.jsonl`` to tell, so that is compared as well, line by line, where it is given.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.chain import COLUMNS, HASHED, hash_of
from maingate.db.engine import Database
from maingate.db.findings import Finding
from maingate.db.log_check import LogCheck
from maingate.db.statements import quoted, row_of, rows_of
from maingate.db.tables import ENTITIES
from maingate.db.transitions import CREATED
from maingate.state.machines import MACHINES

_PAGE: Final = 2000


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What a check of the audit found.

    Args:
        chains: How many chains there are.
        rows: How many audit rows there are.
        findings: What is wrong.
    """

    chains: int
    rows: int
    findings: tuple[Finding, ...]

    @property
    def is_intact(self) -> bool:
        """Tell whether nothing was found."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "intact": self.is_intact,
            "chains": self.chains,
            "rows": self.rows,
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True, kw_only=True)
class _End:
    """The last row of a chain."""

    entity_type: str
    state: str
    version: int
    hash: str


def verify(database: Database, *, log: Path | None = None) -> AuditReport:
    """Check every chain, every entity, and that no number of the sequence is missing.

    Args:
        database: The database.
        log: Its ``transitions.jsonl``; None when that is not to be compared.

    Raises:
        DatabaseError: The database or the file could not be read.
    """
    findings: list[Finding] = []
    ends: dict[str, _End] = {}
    rows = 0
    compared = None if log is None else LogCheck(log)
    with database.read() as connection:
        before: dict[str, Any] | None = None
        for row in _audit(connection):
            rows += 1
            if before is not None and before["entity_id"] != row["entity_id"]:
                before = None
            findings += _check_row(row, before)
            if compared is not None:
                compared.see(row)
            before = row
            ends[row["entity_id"]] = _End(
                entity_type=row["entity_type"],
                state=row["to_state"],
                version=row["version"],
                hash=row["hash"],
            )
        findings += _check_entities(connection, ends)
        findings += _check_sequence(connection)
    if compared is not None:
        findings += compared.findings()
    return AuditReport(chains=len(ends), rows=rows, findings=tuple(findings))


def _audit(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield all audit rows, chain by chain, a page at a time."""
    select = f"SELECT {quoted(COLUMNS)} FROM state_transitions"
    order = "ORDER BY entity_id, version, seq"
    found = rows_of(connection, f"{select} {order} LIMIT ?", (_PAGE,))
    while found:
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in found]
        yield from rows
        last = rows[-1]
        place = (last["entity_id"], last["version"], last["seq"])
        found = rows_of(
            connection,
            f"{select} WHERE (entity_id, version, seq) > (?, ?, ?) {order} LIMIT ?",
            (*place, _PAGE),
        )


def _finding(row: dict[str, Any], problem: str) -> Finding:
    return Finding(
        entity_type=row["entity_type"], entity_id=row["entity_id"], seq=row["seq"], problem=problem
    )


def _check_row(row: dict[str, Any], before: dict[str, Any] | None) -> Iterator[Finding]:
    """Check one row against itself, the row before it in its chain, and its machine."""
    if hash_of([row[name] for name in HASHED], row["prev_hash"]) != row["hash"]:
        yield _finding(row, "the row was changed: its hash does not fit its content")
    if row["version"] != (1 if before is None else before["version"] + 1):
        missing = "the first row" if before is None else "a row before this one"
        yield _finding(row, f"{missing} of the chain was removed, or a row was inserted")
    if row["prev_hash"] != (None if before is None else before["hash"]):
        yield _finding(
            row, "the row does not continue the chain: a row was changed, removed or inserted before it"
        )
    yield from _check_transition(row, before)


def _check_transition(row: dict[str, Any], before: dict[str, Any] | None) -> Iterator[Finding]:
    machine = MACHINES.get(row["entity_type"])
    if machine is None:
        yield _finding(row, f"there is no machine {row['entity_type']!r}")
    elif row["from_state"] is None:
        if row["trigger"] != CREATED or row["to_state"] != machine.initial:
            yield _finding(row, f"a {machine.name} is not created as {row['to_state']} by {row['trigger']}")
    elif not machine.allows(row["from_state"], row["to_state"], row["trigger"]):
        wrong = f"{row['from_state']} to {row['to_state']} by {row['trigger']}"
        yield _finding(row, f"the machine does not allow {wrong}: the row was inserted or changed")
    if before is not None and row["from_state"] != before["to_state"]:
        yield _finding(
            row, f"the row leaves {row['from_state']}, but the one before reached {before['to_state']}"
        )


def _check_entities(connection: Connection, ends: dict[str, _End]) -> Iterator[Finding]:
    """Check every entity against the end of its chain, and every chain for its entity."""
    unseen = dict(ends)
    for machine, table in ENTITIES.items():
        for row in rows_of(
            connection, f'SELECT id, state, version, chain_hash FROM "{table.name}" ORDER BY id'
        ):
            end = unseen.pop(row[0], None)
            problem = _entity_problem(end, row[1], row[2], row[3])
            if problem is not None:
                yield Finding(entity_type=machine, entity_id=row[0], seq=None, problem=problem)
    for entity_id, end in unseen.items():
        yield Finding(
            entity_type=end.entity_type,
            entity_id=entity_id,
            seq=None,
            problem="the chain's entity was removed, or the chain was inserted",
        )


def _entity_problem(end: _End | None, state: str, version: int, chain_hash: str) -> str | None:
    if end is None:
        return "the whole chain of the entity was removed, or the entity was inserted"
    if version > end.version:
        return f"the chain's last rows were removed: it ends at {end.version}, the entity is at {version}"
    if version < end.version:
        return f"rows were added to the chain: it ends at {end.version}, the entity is at {version}"
    if state != end.state:
        return f"the state of the entity was changed: it is {state}, the chain says {end.state}"
    if chain_hash != end.hash:
        return "the end of the chain is not the one that the writer left: a row or the entity was changed"
    return None


def _check_sequence(connection: Connection) -> Iterator[Finding]:
    """Check that the numbers given out are all there, in the audit or among the events."""
    counter = row_of(connection, "SELECT value FROM counters WHERE name = 'event'")
    given = 0 if counter is None else counter[0]
    numbers = "SELECT seq FROM state_transitions UNION ALL SELECT seq FROM events"
    whole = row_of(
        connection, f"SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM ({numbers}) numbers"
    )
    if given and whole is not None and tuple(whole) == (given, given, 1, given):
        return
    expected = 1
    for row in rows_of(connection, f"{numbers} ORDER BY seq"):
        if row[0] < expected or row[0] > given:
            yield Finding(
                entity_type=None, entity_id=None, seq=row[0], problem="the row was inserted past the writer"
            )
        elif row[0] > expected:
            yield _gap(expected, row[0] - 1)
        expected = max(expected, row[0] + 1)
    if expected <= given:
        yield _gap(expected, given)


def _gap(first: int, last: int) -> Finding:
    which = f"row {first} was" if first == last else f"rows {first} to {last} were"
    return Finding(entity_type=None, entity_id=None, seq=first, problem=f"{which} removed")
