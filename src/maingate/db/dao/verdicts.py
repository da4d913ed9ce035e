"""Verdicts of gates about trees, and the evidence for patches and workstreams.

See docs/SPECIFICATION.md §2.3.

A verdict belongs to its key (tree, gate definition, environment), so that the same tree is not tested twice.
Evidence ties the execution of a gate to the patch or workstream that it was asked for, run or reused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.ledger import facts
from maingate.db.schema import tables
from maingate.db.sql.statements import row_of


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict of a gate about a tree.

    Args:
        key: Digest of everything that the verdict depends on.
        gate_name: The plan's own id of the gate.
        tree: The tree that was judged.
        state: ``PASSED`` or ``FAILED``.
        exit_code: The command's exit code.
        is_flaky: Whether it passed only on another execution.
        gate_id: The execution.
        created_at: Its time.
    """

    key: str
    gate_name: str
    tree: str
    state: str
    exit_code: int
    is_flaky: bool
    gate_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """An execution of a gate that speaks for or against a patch or a workstream.

    Args:
        subject_kind: ``patch`` or ``workstream``.
        subject_id: The patch or workstream.
        gate_name: The plan's own id of the gate.
        tree: The tree that was judged.
        gate_id: The execution.
        reused: Whether it had been run for another subject.
        created_at: The time it was attached.
    """

    subject_kind: str
    subject_id: str
    gate_name: str
    tree: str
    gate_id: str
    reused: bool
    created_at: datetime


_VERDICTS: Final = facts.EvidenceTable(tables.verdicts, Verdict)
_EVIDENCE: Final = facts.EvidenceTable(tables.gate_evidence, Evidence)


def are_there(connection: Connection) -> bool:
    """Return whether there are any verdicts, so that a first run need not look up every tree."""
    return row_of(connection, "SELECT 1 FROM verdicts LIMIT 1") is not None


def known(connection: Connection, keys: Iterable[str]) -> dict[str, Verdict]:
    """Read the verdicts of keys, by key; keys without one are missing."""
    return {verdict.key: verdict for verdict in _VERDICTS.select_in(connection, "key", keys)}


def store(connection: Connection, *verdicts: Verdict) -> None:
    """Insert verdicts; of two with one key the first stays.

    Raises:
        InvariantError: A gate does not exist.
    """
    _VERDICTS.insert(connection, verdicts, or_ignore=True)


def attach(connection: Connection, *evidence: Evidence) -> None:
    """Insert evidence; existing evidence stays as it is.

    Raises:
        InvariantError: A gate does not exist.
    """
    _EVIDENCE.insert(connection, evidence, or_ignore=True)


def evidence(connection: Connection, subject_ids: Iterable[str]) -> list[Evidence]:
    """Read the evidence about patches or workstreams, in the order in which it was attached."""
    return sorted(
        _EVIDENCE.select_in(connection, "subject_id", subject_ids),
        key=lambda each: (each.created_at, each.gate_name),
    )
