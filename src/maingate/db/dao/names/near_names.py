"""Names and ids that are close to a text which names nothing, for the message that says so."""

import difflib
from collections.abc import Collection
from typing import Final

from maingate.db.dao import runs
from maingate.db.schema.tables import ENTITIES
from maingate.db.sql.connection import Connection
from maingate.db.sql.statements import rows_of
from maingate.ids import ENTITY_OF_PREFIX

_NAMES: Final[dict[str, str]] = {
    "run": "SELECT name FROM runs WHERE id = ?",
    "workstream": "SELECT name FROM workstreams WHERE run_id = ?",
    "task": "SELECT w.name || '/' || t.name, t.name FROM tasks t JOIN workstreams w"
    " ON w.id = t.workstream_id WHERE t.run_id = ?",
}
"""The statements that read the names of a kind in a run."""

_OLDER_RUNS: Final = 20
"""Number of the newest runs whose names are compared."""

_SHORTEST_ID: Final = 8
"""Characters after the prefix from which on a text is compared with ids."""

_SAME_ID: Final = 0.9
"""Similarity of an id with one that was misspelt: two ids of one millisecond have less."""


def near(connection: Connection, text: str, kinds: Collection[str], *, run_id: str) -> list[str]:
    """Return up to three ids or names that are close to a text, the closest first.

    Args:
        connection: A transaction.
        text: The text that was typed.
        kinds: The machines of the entities that it may name.
        run_id: The run whose names come first; those of other runs count where it has none.
    """
    return (
        _near_ids(connection, text, kinds)
        or difflib.get_close_matches(text, _names_in(connection, kinds, run_id))
        or difflib.get_close_matches(text, _names_in_recent(connection, kinds))
    )


def _names_in_recent(connection: Connection, kinds: Collection[str]) -> list[str]:
    recent = runs.recent(connection, limit=_OLDER_RUNS)
    return list(dict.fromkeys(name for run in recent for name in _names_in(connection, kinds, run.id)))


def _names_in(connection: Connection, kinds: Collection[str], run_id: str) -> list[str]:
    """Return the names of a run's entities of these kinds, each once."""
    names: dict[str, None] = {}
    for machine, sql in _NAMES.items():
        if machine in kinds:
            names |= {str(name): None for row in rows_of(connection, sql, (run_id,)) for name in row}
    return list(names)


def _near_ids(connection: Connection, text: str, kinds: Collection[str]) -> list[str]:
    """Return the ids that a text may have been meant for: another prefix, or a few wrong characters."""
    prefix, separator, rest = text.partition("_")
    rest = rest.upper()
    if not separator or len(rest) < _SHORTEST_ID or not rest.isalnum():
        return []
    half = len(rest) // 2
    found = []
    for known, machine in ENTITY_OF_PREFIX.items():
        if machine in kinds:
            sql = f'SELECT id FROM "{ENTITIES[machine].name}" WHERE id LIKE ? OR id LIKE ? LIMIT 1000'
            halves = (f"{known}_{rest[:half]}%", f"{known}_%{rest[half:]}%")
            found += [str(row[0]) for row in rows_of(connection, sql, halves)]
    # the text may be the beginning of an id only
    length = len(prefix) + 1 + len(rest)
    beginnings = {each[:length]: each for each in reversed(found)}
    close = difflib.get_close_matches(f"{prefix}_{rest}", beginnings, cutoff=_SAME_ID)
    return [beginnings[each] for each in close]
