"""The rows of the ledger as lines of `transitions.jsonl`."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.dao.history.events import SHARED, STORED, event_of
from maingate.db.ledger.chain import EMPTY_METADATA, FACT_COLUMNS
from maingate.db.sql.columns import from_micros, text_of
from maingate.db.sql.statements import quoted, rows_of
from maingate.events import TRANSITION_SUFFIX, iso_millis, severity_of

_AFTER: Final = tuple(
    f"SELECT {quoted(columns)} FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?"
    for table, columns in (
        ("state_transitions", (*SHARED, "version", "sets", "hash")),
        ("events", (*STORED, "hash")),
        ("facts", FACT_COLUMNS),
    )
)
"""The statement that reads the rows of the ledger for its file."""
_json: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


FACT: Final = "fact"
"""The type of the lines of facts."""


def line_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of a row of the ledger, by the names of its columns.

    Raises:
        ValueError: The row is malformed.
    """
    if "about" in row:
        return _fact_line([row[name] for name in FACT_COLUMNS])
    shared = [row[name] for name in SHARED]
    if "event_type" in row:
        return event_of((*shared, row["event_type"], row["severity"])).as_json() | {"hash": row["hash"]}
    sets = None if row["sets"] is None else json.loads(row["sets"])
    own = {"version": row["version"], "sets": sets, "hash": row["hash"]}
    return event_of((*shared, None, None)).as_json() | own


def lines_after(connection: Connection, seq: int, limit: int) -> tuple[list[str], int]:
    """Return the rows of the ledger after a number as lines of JSON, and the number of the last.

    The line of a transition is the public form of the event with the ``version``, ``sets`` and ``hash`` of
    its row. Its parts are stored as JSON or as plain text, so the line is concatenated from them.

    Args:
        connection: A transaction.
        seq: Only rows after this number.
        limit: Most rows to return.
    """
    found: list[tuple[int, Sequence[Any], Callable[[Sequence[Any]], str]]] = []
    for sql, write in zip(_AFTER, (_line, _event_line, _told_fact), strict=True):
        found += [(row[0], row, write) for row in rows_of(connection, sql, (seq, limit))]
    found.sort(key=itemgetter(0))
    lines = found[:limit]
    return [write(row) for _, row, write in lines], lines[-1][0] if lines else seq


def _event_line(row: Sequence[Any]) -> str:
    return _json(event_of(row[:-1]).as_json() | {"hash": row[-1]})


def _told_fact(row: Sequence[Any]) -> str:
    return _json(_fact_line(row))


def _fact_line(row: Sequence[Any]) -> dict[str, Any]:
    seq, name, about, key, entity, sets, hashed = row
    return {
        "seq": seq,
        "event_id": name,
        "event_type": FACT,
        "about": about,
        "key": json.loads(key),
        "entity_id": entity,
        "sets": json.loads(sets),
        "hash": hashed,
    }


def _line(row: Sequence[Any]) -> str:
    seq, name, machine, entity, left, reached, trigger, reason, metadata, by, run, ws, task, at = row[:-3]
    facts = {} if metadata == EMPTY_METADATA else json.loads(metadata)
    severity = severity_of(machine, left, reached, trigger, facts, operator=by)
    return (
        f'{{"seq":{seq},"event_id":{text_of(name)},"timestamp":"{_timestamp(at)}",'
        f'"event_type":"{machine}{TRANSITION_SUFFIX}","severity":"{severity}","entity_type":"{machine}",'
        f'"entity_id":{text_of(entity)},"from_state":{text_of(left)},"to_state":{text_of(reached)},'
        f'"trigger":{text_of(trigger)},"reason":{reason or "null"},"metadata":{metadata},'
        f'"operator":{text_of(by)},"context":{{"run_id":{text_of(run)},"workstream_id":{text_of(ws)},'
        f'"task_id":{text_of(task)}}},"version":{row[-3]},"sets":{row[-2] or "null"},'
        f'"hash":{text_of(row[-1])}}}'
    )


@lru_cache(maxsize=64)
def _timestamp(micros: int) -> str:
    return iso_millis(from_micros(micros))
