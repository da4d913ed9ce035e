"""Exact percentiles of the time that entities spent in states, computed by the database from rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.rollups.conditions import Conditions
from maingate.db.rollups.expressions import BEFORE, JOINS, TOOL, code, gate, severity, spent
from maingate.db.sql.statements import rows_of

SHARES: Final = (0.5, 0.95)
"""The shares of the percentiles that are read."""

_COLUMNS: Final[Mapping[str, Callable[[bool], str]]] = {
    "type": lambda _: "t.entity_type",
    "state": lambda _: "t.from_state",
    "trigger": lambda _: 't."trigger"',
    "operator": lambda _: "coalesce(t.operator, '')",
    "severity": severity,
    "reason": lambda is_sqlite: code("t.reason", is_sqlite),
    "gate": gate,
    "tool": lambda _: TOOL,
}


@dataclass(frozen=True, kw_only=True)
class Times:
    """The times of one group, in microseconds.

    Args:
        group: The values of its columns.
        count: Their number.
        total: Their sum.
        percentiles: The least that at least a share of them does not exceed, for each of `SHARES`.
        longest: The longest.
    """

    group: tuple[Any, ...]
    count: int
    total: int
    percentiles: tuple[int, ...]
    longest: int


def times(
    connection: Connection, only: Conditions, after: int, by: Sequence[str], *, unit: int | None = None
) -> list[Times]:
    """Return the times in the states that transitions left, by group.

    Args:
        connection: A transaction.
        only: Conditions on the transitions.
        after: A number before the first row.
        by: The columns to group by.
        unit: Microseconds of a part of time, which becomes the first column of the group; None without one.
    """
    if only.transitions is None:
        return []
    is_sqlite = connection.dialect.name == "sqlite"
    columns = [] if unit is None else [f"t.at / {unit}"]
    columns += [_COLUMNS[name](is_sqlite) for name in by]
    rows = rows_of(
        connection, _sql(columns, only.transitions.sql, is_sqlite), (after, *only.transitions.values)
    )
    width = len(columns)
    return [
        Times(
            group=tuple(row[:width]),
            count=int(row[width]),
            total=int(row[width + 1]),
            longest=int(row[width + 2]),
            percentiles=tuple(int(value) for value in row[width + 3 :]),
        )
        for row in rows
    ]


def _sql(columns: Sequence[str], only: str, is_sqlite: bool) -> str:
    named = "".join(f"{column} AS c{number}, " for number, column in enumerate(columns))
    names = [f"c{number}" for number in range(len(columns))]
    group = ", ".join(names) or "1"
    listed = "".join(f"{name}, " for name in names)
    shares = ", ".join(f"min(CASE WHEN place >= number * {share} THEN spent END)" for share in SHARES)
    tail = f" GROUP BY {group}" if names else " HAVING count(*) > 0"
    return f"""
        SELECT {listed}count(*), sum(spent), max(spent), {shares}
        FROM (
            SELECT {listed}spent, row_number() OVER (PARTITION BY {group} ORDER BY spent) AS place,
                count(*) OVER (PARTITION BY {group}) AS number
            FROM (
                SELECT {named}{spent(is_sqlite)} AS spent
                FROM state_transitions t {JOINS} {BEFORE}
                WHERE t.seq > ? AND t.version > 1{only}
            ) one
        ) placed{tail}
    """
