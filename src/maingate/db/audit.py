"""Check the record: every chain, every entity, every other row of evidence, and the ledger as a whole.

What shows from the record alone: a row of the ledger that was changed, removed or inserted, and any column
that is evidence (`maingate.db.binding`) that was changed past the writer, or whose row was removed or put in.
The hashes have no secret in them: whoever rewrites a row, all that follows from it and the head of the ledger
leaves only what was told to the outside: the file ``transitions.jsonl``, which is compared line by line, and
the heads that the commits of landings carry, which are given as anchors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from maingate.db.chain_check import Chain, audit_rows, check_entities, check_row, merge
from maingate.db.engine import Database
from maingate.db.fact_check import Facts, See, check_evidence, read_facts
from maingate.db.findings import AuditFinding
from maingate.db.ledger_check import Anchor, check_heads, check_sequence
from maingate.db.log_check import LogCheck
from maingate.db.tables import ENTITIES


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What a check of the audit found.

    Args:
        chains: How many chains there are.
        rows: How many audit rows there are.
        facts: How many facts there are.
        anchors: How many heads of the ledger were compared with what was told to the outside.
        findings: What is wrong.
        notes: What people should know about what was looked at and what was not.
    """

    chains: int
    rows: int
    facts: int = 0
    anchors: int = 0
    findings: tuple[AuditFinding, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_intact(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings

    def and_also(self, findings: Sequence[AuditFinding], notes: Sequence[str]) -> "AuditReport":
        """Return the report with what was found elsewhere."""
        return replace(self, findings=(*self.findings, *findings), notes=(*self.notes, *notes))

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "intact": self.is_intact,
            "chains": self.chains,
            "rows": self.rows,
            "facts": self.facts,
            "anchors": self.anchors,
            "findings": [finding.as_json() for finding in self.findings],
            "notes": list(self.notes),
        }


def verify(database: Database, *, log: Path | None = None, anchors: Sequence[Anchor] = ()) -> AuditReport:
    """Check every chain, every entity, all other evidence, and that no number of the sequence is missing.

    Args:
        database: The database.
        log: Its ``transitions.jsonl``; None when that is not to be compared.
        anchors: Heads of the ledger as they were told to the outside.

    Raises:
        DatabaseError: The database or the file could not be read.
    """
    compared = None if log is None else LogCheck(log)
    see: See = (lambda _row: None) if compared is None else compared.see
    findings: list[AuditFinding] = []
    with database.read() as connection:
        chains, rows = _chains(connection, findings, see)
        facts = read_facts(connection, see)
        _join(chains, facts)
        findings += facts.findings
        findings += check_entities(connection, chains)
        findings += check_evidence(connection, facts)
        findings += check_sequence(connection)
        findings += check_heads(connection, anchors)
    if compared is not None:
        findings += compared.findings()
    return AuditReport(
        chains=len(chains), rows=rows, facts=facts.count, anchors=len(anchors), findings=tuple(findings)
    )


def _chains(connection: Connection, findings: list[AuditFinding], see: See) -> tuple[dict[str, Chain], int]:
    """Check all chains; return what each comes to, by its entity, and how many rows there are."""
    chains: dict[str, Chain] = {}
    rows, before = 0, None
    for row in audit_rows(connection):
        rows += 1
        if before is not None and before["entity_id"] != row["entity_id"]:
            before = None
        findings += check_row(row, before)
        see(row)
        chain = chains.setdefault(row["entity_id"], Chain(entity_type=row["entity_type"]))
        chain.follow(row)
        before = row
    return chains, rows


def _join(chains: dict[str, Chain], facts: Facts) -> None:
    """Add what facts bind of entities to what their chains bind."""
    for (table, entity_id), bound in facts.of_entities.items():
        chain = chains.get(entity_id)
        if chain is not None and table == _table_of(chain.entity_type):
            for column, (seq, form) in bound.items():
                merge(chain.bound, seq, {column: form})


def _table_of(machine: str) -> str | None:
    return ENTITIES[machine].name if machine in ENTITIES else None
