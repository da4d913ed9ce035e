"""Expressions of SQL about rows of the ledger, for both databases: the subject of a row, as a column.

Texts of JSON are canonical (`maingate.db.sql.columns.canonical`): keys are sorted and quotes in values
escaped, so that codes are found in them by their place, and a damaged text is counted without a code instead
of stopping all that follows.
"""

from typing import Final

from maingate.db.schema.rollup_kinds import BOUNDS_MS
from maingate.db.sql.statements import texts
from maingate.events import CRITICAL_TRIGGERS, FAILURES, FAULTS, RECOVERIES, ROLLBACKS

HOUR: Final = 3_600_000_000
"""Microseconds."""

JOINS: Final = """
    LEFT JOIN gates g ON g.id = CASE WHEN t.entity_type = 'test_gate' THEN t.entity_id END
    LEFT JOIN breakers b ON b.id = CASE WHEN t.entity_type = 'circuit_breaker' THEN t.entity_id END
    LEFT JOIN tasks k ON k.id = CASE WHEN t.entity_type = 'task' THEN t.entity_id END
    LEFT JOIN tool_runs r ON r.attempt = 1
        AND r.task_id = CASE WHEN t.from_state IN ('running', 'validating', 'retrying') THEN k.id END
"""
"""The joins of a transition (``t``) with what it is about: a gate, a breaker, a task and its tool. The end of
an attempt is written with the transition that ends it, so the answer never depends on when it is asked."""

BEFORE: Final = "LEFT JOIN state_transitions p ON p.entity_id = t.entity_id AND p.version = t.version - 1"
"""The join of a transition with the one before it of the same entity (``p``)."""

TOOL: Final = "coalesce(b.tool, r.tool, '')"
"""The tool that a transition is about, with `JOINS`."""

_BEGINS: Final = '{"code":"'
_GATE: Final = '"gate":"'


def place(is_sqlite: bool) -> str:
    """Return the function that finds a text in another."""
    return "instr" if is_sqlite else "strpos"


def code(text: str, is_sqlite: bool) -> str:
    """Return the code of a reason: the first key of its text."""
    begins = f"substr({text}, 1, {len(_BEGINS)}) = '{_BEGINS}'"
    return f"CASE WHEN {begins} THEN {_between(text, _BEGINS, is_sqlite)} ELSE '' END"


def gate_of_reason(text: str, is_sqlite: bool) -> str:
    """Return the gate that a reason names."""
    return _between(text, _GATE, is_sqlite)


def gate(is_sqlite: bool) -> str:
    """Return the gate that a transition is about, or that its reason names, with `JOINS`."""
    return f"coalesce(g.name, {gate_of_reason('t.reason', is_sqlite)}, '')"


def is_flaky(is_sqlite: bool) -> str:
    """Return whether a transition of a gate says that it passed only on another execution."""
    return f"""{place(is_sqlite)}(coalesce(t.sets, ''), '"is_flaky":1') > 0"""


def is_critical(is_sqlite: bool) -> str:
    """Return whether the metadata of a transition say that it is critical."""
    return f"""{place(is_sqlite)}(t.metadata, '"critical":true') > 0"""


def spent(is_sqlite: bool) -> str:
    """Return the microseconds in the state that a transition leaves, with `BEFORE`."""
    return f"{'max' if is_sqlite else 'greatest'}(t.at - p.at, 0)"


def severity(is_sqlite: bool) -> str:
    """Return the severity of a transition: the rule of `maingate.events.severity_of`."""
    failed = f'(t.to_state IN ({texts(sorted(FAILURES))}) OR t."trigger" IN ({texts(sorted(FAULTS))}))'
    critical = (
        f't.to_state IN ({texts(sorted(ROLLBACKS))}) OR t."trigger" IN ({texts(sorted(CRITICAL_TRIGGERS))})'
        f" OR ({failed} AND {is_critical(is_sqlite)})"
    )
    silent = "(t.entity_type = 'worker' AND t.to_state = 'unresponsive')"
    recovered = f'(t.from_state IS NOT NULL AND t."trigger" IN ({texts(sorted(RECOVERIES))}))'
    warned = f"t.to_state = 'retrying' OR {recovered} OR {failed} OR t.operator IS NOT NULL"
    return (
        f"CASE WHEN {critical} THEN 'critical' WHEN {failed} AND NOT {silent} THEN 'error'"
        f" WHEN {warned} THEN 'warning' ELSE 'info' END"
    )


def bucket(micros: str) -> str:
    """Return the bucket of a duration."""
    steps = " ".join(f"WHEN {micros} <= {bound * 1000} THEN {index}" for index, bound in enumerate(BOUNDS_MS))
    return f"CASE {steps} ELSE {len(BOUNDS_MS)} END"


def _between(text: str, begins: str, is_sqlite: bool) -> str:
    """Return the part of a text between another text and the next quote; empty without it."""
    at = place(is_sqlite)
    rest = f"substr({text}, {at}({text}, '{begins}') + {len(begins)})"
    part = f"substr({rest}, 1, instr({rest}, '\"') - 1)" if is_sqlite else f"split_part({rest}, '\"', 1)"
    return f"CASE WHEN {at}({text}, '{begins}') > 0 THEN {part} ELSE '' END"
