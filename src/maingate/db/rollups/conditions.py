"""Conditions on rows of the ledger, as SQL for each of its two tables of events."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from maingate.db.rollups.expressions import TOOL, code, gate, gate_of_reason, is_flaky, place, severity
from maingate.db.schema.rollup_kinds import FLAKE
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import marks
from maingate.events import TRANSITION_SUFFIX
from maingate.state.machines import MACHINES


@dataclass(frozen=True, kw_only=True)
class RowConditions:
    """The conditions on the rows of one table (``t``).

    Args:
        sql: The conditions, each after ``AND``.
        values: Their values.
        needs_joins: Whether they name the joined tables.
    """

    sql: str = ""
    values: tuple[Any, ...] = ()
    needs_joins: bool = False


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions on the rows of the ledger.

    Args:
        transitions: Those on transitions; None where no transition can match.
        events: Those on other events; None where none can match.
    """

    transitions: RowConditions | None
    events: RowConditions | None


EVERYTHING: Final = Conditions(transitions=RowConditions(), events=RowConditions())
"""No condition."""

_SAME: Final[Mapping[str, str]] = {
    "entity": "t.entity_id",
    "run": "t.run_id",
    "workstream": "t.workstream_id",
    "task": "t.task_id",
    "state": "t.to_state",
    "from": "t.from_state",
    "trigger": 't."trigger"',
    "operator": "t.operator",
}
"""The columns that both tables have."""

_OF_TRANSITIONS: Final[Mapping[str, Callable[[bool], str]]] = {
    "severity": severity,
    "reason": lambda is_sqlite: code("t.reason", is_sqlite),
    "gate": gate,
    "tool": lambda _: TOOL,
}
_OF_EVENTS: Final[Mapping[str, Callable[[bool], str]]] = {
    "severity": lambda _: "t.severity",
    "reason": lambda is_sqlite: code("t.reason", is_sqlite),
    "gate": lambda is_sqlite: gate_of_reason("t.reason", is_sqlite),
    "tool": lambda _: "''",
}
_JOINED: Final = frozenset({"gate", "tool"})


def conditions(
    wanted: Mapping[str, Sequence[str]],
    *,
    is_sqlite: bool,
    words: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Conditions:
    """Return the conditions of filters.

    Args:
        wanted: The values of each filter, of which a row has to have one; types by their full names.
        is_sqlite: Whether they are for SQLite.
        words: Texts that all have to occur in the reason or the metadata, in any case.
        since: Only rows from this time on.
        until: Only rows before this time.
    """
    shared = _times(since, until) + [_word(word, is_sqlite) for word in words]
    made = []
    for own, types in ((_OF_TRANSITIONS, _transition_types), (_OF_EVENTS, _event_types)):
        found = list(shared)
        names = wanted.get("type")
        is_possible = True
        if names is not None:
            kinds = types(names, is_sqlite)
            is_possible = kinds is not None
            found += [kinds] if kinds is not None else []
        for key, values in wanted.items():
            if key != "type":
                column = _SAME.get(key) or own[key](is_sqlite)
                found.append((f"{column} IN ({marks(len(values))})", tuple(values)))
        made.append(_branch(found, needs_joins=bool(_JOINED & wanted.keys())) if is_possible else None)
    return Conditions(transitions=made[0], events=made[1])


_Clause = tuple[str, tuple[Any, ...]]


def _branch(found: Sequence[_Clause], *, needs_joins: bool) -> RowConditions:
    sql = "".join(f" AND {clause}" for clause, _ in found)
    values = tuple(value for _, values in found for value in values)
    return RowConditions(sql=sql, values=values, needs_joins=needs_joins)


def _times(since: datetime | None, until: datetime | None) -> list[_Clause]:
    found: list[_Clause] = []
    found += [] if since is None else [("t.at >= ?", (to_micros(since),))]
    found += [] if until is None else [("t.at < ?", (to_micros(until),))]
    return found


def _word(word: str, is_sqlite: bool) -> _Clause:
    """Return the condition that a text occurs, in the escapes in which texts are stored."""
    text = "lower(coalesce(t.reason, '') || ' ' || t.metadata)"
    return f"{place(is_sqlite)}({text}, ?) > 0", (json.dumps(word)[1:-1].lower(),)


def _transition_types(names: Sequence[str], is_sqlite: bool) -> _Clause | None:
    machines = [name.removesuffix(TRANSITION_SUFFIX) for name in names if name.endswith(TRANSITION_SUFFIX)]
    machines = [machine for machine in machines if machine in MACHINES]
    parts = [f"t.entity_type IN ({marks(len(machines))})"] if machines else []
    parts += [f"(t.entity_type = 'test_gate' AND {is_flaky(is_sqlite)})"] if FLAKE in names else []
    return (f"({' OR '.join(parts)})", tuple(machines)) if parts else None


def _event_types(names: Sequence[str], _is_sqlite: bool) -> _Clause | None:
    others = [name for name in names if name != FLAKE and not name.endswith(TRANSITION_SUFFIX)]
    return (f"t.event_type IN ({marks(len(others))})", tuple(others)) if others else None
