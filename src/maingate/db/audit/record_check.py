"""The audit of the record: every chain, every entity, every other row of evidence, and the ledger as a whole.

The record alone shows a row of the ledger that was changed, removed or inserted, and a column of evidence
(`maingate.db.ledger.bound_columns`) that was changed other than by the writer, or whose row was removed or
inserted. The hashes contain no secret. A forger who rewrites a row, everything that follows from it and the
head of the ledger is found only by copies outside: the file ``transitions.jsonl``, which is compared line by
line, and the heads that the commits of landings carry, which are passed as anchors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from maingate.db.audit.chain_check import Chain, audit_rows, check_entities, check_row, merge
from maingate.db.audit.fact_check import LedgerFacts, See, check_evidence, read_facts
from maingate.db.audit.findings import AuditFinding
from maingate.db.audit.ledger_check import Anchor, check_heads, check_sequence
from maingate.db.audit.log_check import LogCheck
from maingate.db.engine import Database
from maingate.db.schema.tables import ENTITIES


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The result of an audit.

    Args:
        chains: The number of chains.
        rows: The number of audit rows.
        facts: The number of facts.
        anchors: The number of heads of the ledger that were compared with copies outside.
        findings: The faults.
        notes: Remarks about what was checked and what was not.
    """

    chains: int
    rows: int
    facts: int = 0
    anchors: int = 0
    findings: tuple[AuditFinding, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_intact(self) -> bool:
        """Return whether there are no findings."""
        return not self.findings

    def and_also(self, findings: Sequence[AuditFinding], notes: Sequence[str]) -> "AuditReport":
        """Return the report with further findings and notes."""
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
        log: Its ``transitions.jsonl``; None to skip the comparison.
        anchors: Heads of the ledger that are known outside of it.

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
    """Check all chains; return the end of each by its entity, and the number of rows."""
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


def _join(chains: dict[str, Chain], facts: LedgerFacts) -> None:
    """Add the columns that facts bind to those that the chains of entities bind."""
    for (table, entity_id), bound in facts.of_entities.items():
        chain = chains.get(entity_id)
        if chain is not None and table == _table_of(chain.entity_type):
            for column, (seq, form) in bound.items():
                merge(chain.bound, seq, {column: form})


def _table_of(machine: str) -> str | None:
    return ENTITIES[machine].name if machine in ENTITIES else None
