"""Names and ids that continue the beginning of a word, for the completion of command lines.

Rows are read by index, and a bounded number of them: a person waits for them at a key.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from maingate.db.dao import runs
from maingate.db.engine import repository_of
from maingate.db.schema.tables import ENTITIES
from maingate.db.sql.connection import Connection
from maingate.db.sql.statements import rows_of
from maingate.ids import ENTITY_OF_PREFIX

MOST_WORDS: Final = 200
"""Maximum number of words of a kind: one more letter shortens a longer list."""

_RECENT_RUNS: Final = 20
_LAST: Final = "\U0010ffff"
_PREFIX_OF: Final = {machine: prefix for prefix, machine in ENTITY_OF_PREFIX.items()}
_STARTS: Final = "substr({}, 1, ?) = ?"


class Word(NamedTuple):
    """A word that may be meant.

    Attributes:
        text: The word.
        about: Its meaning in a few words.
    """

    text: str
    about: str


def of_names(
    connection: Connection, start: str, machine: str, run_id: str, states: Sequence[str]
) -> list[Word]:
    """Return the names in a run that begin so; of patches those of their tasks, ``workstream/task``.

    Args:
        connection: A transaction.
        start: The beginning of the word.
        machine: The machine of the entities.
        run_id: The run.
        states: Only of entities in these states; empty for all.
    """
    if machine == "workstream":
        source, name = "workstreams e", "e.name"
    elif machine == "task":
        source, name = "tasks e JOIN workstreams w ON w.id = e.workstream_id", "w.name || '/' || e.name"
    else:
        source = "patches e JOIN tasks t ON t.id = e.task_id JOIN workstreams w ON w.id = t.workstream_id"
        name = "w.name || '/' || t.name"
    among, values = _in_states(states)
    sql = f"SELECT {name}, e.state FROM {source} WHERE e.run_id = ? AND {_STARTS.format(name)}{among}"
    rows = rows_of(
        connection, f"{sql} ORDER BY e.id DESC LIMIT ?", (run_id, len(start), start, *values, MOST_WORDS)
    )
    return [Word(str(found), f"{machine.partition('_')[0]}, {state}") for found, state in rows]


def of_runs(connection: Connection, start: str, states: Sequence[str]) -> list[Word]:
    """Return the ids of the newest runs that begin so, the newest first, and their names."""
    found = [run for run in runs.recent(connection, limit=_RECENT_RUNS) if not states or run.state in states]
    ids = [Word(run.id, f"{run.name}, {run.state}") for run in found]
    names = [Word(name, "the newest run of that name") for name in dict.fromkeys(run.name for run in found)]
    return [word for word in (*ids, *names) if word.text.startswith(start)]


def of_ids(connection: Connection, start: str, machine: str, states: Sequence[str]) -> list[Word]:
    """Return the ids of a kind that begin so, the newest first; none until the kind's prefix is begun."""
    prefix = f"{_PREFIX_OF[machine]}_"
    if not start or not (start.startswith(prefix) or prefix.startswith(start)):
        return []
    first = start if len(start) > len(prefix) else prefix
    among, values = _in_states(states)
    if (whose := repository_of(connection)) is not None:
        among += " AND e.run_id IN (SELECT id FROM runs WHERE repository_id = ?)"
        values = (*values, whose)
    sql = f'SELECT e.id, e.state FROM "{ENTITIES[machine].name}" e WHERE e.id >= ? AND e.id < ?{among}'
    rows = rows_of(
        connection, f"{sql} ORDER BY e.id DESC LIMIT ?", (first, first + _LAST, *values, MOST_WORDS)
    )
    return [Word(str(id_), str(state)) for id_, state in rows]


def of_plan(connection: Connection, part: str, run_id: str) -> list[Word]:
    """Return the names of a part of a run's plan, such as its ``gates`` or ``tools``."""
    rows = rows_of(connection, "SELECT plan FROM runs WHERE id = ?", (run_id,))
    return [
        Word(str(name), part.removesuffix("s"))
        for (plan,) in rows
        for name in json.loads(plan).get(part) or ()
    ]


def of_breakers(connection: Connection) -> list[Word]:
    """Return the tools that have a breaker."""
    sql = 'SELECT tool, state FROM "{}" ORDER BY tool LIMIT ?'.format(ENTITIES["circuit_breaker"].name)
    return [Word(str(tool), f"breaker {state}") for tool, state in rows_of(connection, sql, (MOST_WORDS,))]


def of_tokens(connection: Connection) -> list[Word]:
    """Return the names of the tokens that are valid."""
    sql = "SELECT name, role FROM tokens WHERE revoked_at IS NULL ORDER BY name LIMIT ?"
    return [Word(str(name), str(role)) for name, role in rows_of(connection, sql, (MOST_WORDS,))]


def _in_states(states: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    values = tuple(map(str, states))
    return (f" AND e.state IN ({', '.join('?' * len(values))})" if values else ""), values
