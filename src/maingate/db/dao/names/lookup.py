"""Lookup of entities by the text that people type: an id, the beginning of one, or a plan's name in a run."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.dao import runs
from maingate.db.dao.names.near_names import near
from maingate.db.schema.tables import ENTITIES
from maingate.db.sql.statements import rows_of
from maingate.errors import AmbiguousNameError, UnknownEntityError
from maingate.ids import ENTITY_OF_PREFIX
from maingate.wording import short

_NAME_COLUMN: Final[dict[str, str]] = {
    "run": "name",
    "workstream": "name",
    "task": "name",
    "worker": "name",
    "circuit_breaker": "tool",
}
_COMMIT: Final = re.compile("[0-9a-fA-F]{7,64}")
_NOUN: Final[dict[str, str]] = {
    "run": "run",
    "workstream": "workstream",
    "task": "task",
    "patch_ledger": "patch",
    "test_gate": "gate",
    "worker": "worker",
}
"""The nouns of the entities that people may name."""
_SOME: Final = 20
_SHORTEST_PREFIX: Final = 4
_LISTS: Final = "`maingate status --all` lists what there is"
_HOLDERS: Final[dict[str, str]] = {
    "run": "SELECT id FROM runs WHERE name = ?",
    "workstream": "SELECT run_id FROM workstreams WHERE name = ?",
    "task": "SELECT t.run_id FROM tasks t JOIN workstreams w ON w.id = t.workstream_id"
    " WHERE t.name = ? OR w.name || '/' || t.name = ?",
}
"""The statements that find runs with an entity of a kind, by its name."""
_OLDER_RUNS_SEARCHED: Final = 1000
"""Most older runs in which a name is looked for."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An entity that a text names.

    Args:
        machine: Name of its machine.
        id: The entity.
        name: Its name for people; its id where it has none.
    """

    machine: str
    id: str
    name: str


Choice = Callable[[Sequence[Found]], Found | None]
"""Returns the one that counts of several entities of a name, the widest first; None where they differ."""


def no_choice(_found: Sequence[Found]) -> None:
    """Return that entities of one name differ."""


def find(
    connection: Connection,
    text: str,
    *,
    kinds: Collection[str] | None = None,
    run_id: str | None = None,
    choose: Choice = no_choice,
) -> Found:
    """Find the one entity that a text names.

    An id, or the beginning of one that no other shares, is looked for everywhere; a plan's own name
    (``parser``, ``parser/drop-regex``, ``drop-regex``) in one run.

    Args:
        connection: A transaction.
        text: The text that was typed.
        kinds: Only entities of these machines; None for all.
        run_id: The run in which names are looked for; None for the newest.
        choose: Chooses among several that have it.

    Raises:
        UnknownEntityError: No entity has that name.
        AmbiguousNameError: Several entities have it.
    """
    wanted = set(ENTITIES) if kinds is None else set(kinds)
    found = _by_id(connection, text, wanted) or _by_name(connection, text, wanted, run_id)
    if not found:
        raise UnknownEntityError(text, _unknown(connection, text, wanted, run_id))
    chosen = found[0] if len(found) == 1 else choose(found)
    if chosen is None:
        raise AmbiguousNameError(text, [_candidate(each) for each in found])
    return chosen


def find_in_newest(connection: Connection, text: str, *, kinds: Collection[str] | None = None) -> Found:
    """Find the entity of a name in the newest run that has one.

    Raises:
        UnknownEntityError: No run has one.
        AmbiguousNameError: That run has several.
    """
    return next(find_in_each(connection, text, kinds=kinds))


def find_in_each(
    connection: Connection,
    text: str,
    *,
    kinds: Collection[str] | None = None,
    choose: Choice = no_choice,
) -> Iterator[Found]:
    """Find the entity of a name in each run, the newest first; an id is found once.

    Raises:
        UnknownEntityError: No run has one.
        AmbiguousNameError: One of the runs has several.
    """
    is_anywhere = False
    for run in runs.recent(connection, limit=_OLDER_RUNS_SEARCHED):
        wanted = set(ENTITIES) if kinds is None else set(kinds)
        if not _by_id(connection, text, wanted) and not _by_name(connection, text, wanted, run.id):
            continue
        is_anywhere = True
        found = find(connection, text, kinds=kinds, run_id=run.id, choose=choose)
        yield found
        if "_" in text and found.id.lower().startswith(text.lower()):
            return
    if not is_anywhere:
        yield find(connection, text, kinds=kinds)  # which reports other entities of that name


def repositories_of(connection: Connection, entity_id: str) -> list[str | None]:
    """Return the repository of each entity that has an id, or whose id begins so, by the repository's own id.

    None stands for an entity of no run, such as a breaker. The list is empty when there is no such entity.
    """
    found: list[str | None] = []
    for each in _by_id(connection, entity_id, ENTITIES):
        table = ENTITIES[each.machine]
        if table is runs.ROWS.table:
            of_run = "SELECT repository_id FROM runs WHERE id = ?"
        elif "run_id" in table.c:
            joined = f'"{table.name}" e JOIN runs r ON r.id = e.run_id'
            of_run = f"SELECT r.repository_id FROM {joined} WHERE e.id = ?"
        else:
            found.append(None)
            continue
        found += [row[0] for row in rows_of(connection, of_run, (each.id,))]
    return found


def of_commit(connection: Connection, text: str) -> Found | None:
    """Find the entity that landed with a commit: its one patch, else the workstream; None when there is none.

    Args:
        connection: A transaction.
        text: The commit's id, or the beginning of it, of at least seven digits.

    Raises:
        AmbiguousNameError: Several commits begin with it.
    """
    if not _COMMIT.fullmatch(text):
        return None
    beginning = (f"{text.lower()}%",)
    landed = 'WHERE "commit" LIKE ? AND committed_at IS NOT NULL ORDER BY created_at, id'
    in_it = _select(connection, "patch_ledger", landed, beginning)
    streams = _select(connection, "workstream", "WHERE landed_commit LIKE ? ORDER BY id", beginning)
    found = in_it if len(in_it) == 1 or not streams else streams
    if len(found) > 1:
        raise AmbiguousNameError(text, [_candidate(each) for each in found])
    return found[0] if found else None


def _candidate(found: Found) -> str:
    """Return a candidate of an ambiguous name for people: kind, name, and the unambiguous id."""
    noun = _NOUN.get(found.machine, found.machine)
    return f"{noun} {found.name} ({found.id})" if found.name != found.id else f"{noun} {found.id}"


def _unknown(connection: Connection, text: str, wanted: set[str], run_id: str | None) -> str | None:
    """Return a message that a name is unknown, with near ones; None where none is near."""
    if (said := _too_short(text) or _called_so(connection, text, wanted, run_id)) is not None:
        return said
    if (newest := runs.newest(connection)) is None:
        return None
    if holders := _runs_with(connection, text, wanted):
        looked_in = f"run {run_id}" if run_id not in {None, newest.id} else f"the newest run ({newest.id})"
        more = f" (and {len(holders) - 1} more)" if len(holders) > 1 else ""
        found_in = f"{holders[0]}{more} has it: add `--run {holders[0]}`"
        return f"nothing in {looked_in} is called {short(text)!r}; {found_in}"
    if elsewhere := _runs_with(connection, text, set(_NOUN)):
        return _called_so(connection, text, wanted, elsewhere[0])
    if not (close := near(connection, text, wanted, run_id=run_id or newest.id)):
        return None
    meant = " or ".join(repr(name) for name in close)
    return f"nothing here is called {short(text)!r}; did you mean {meant}? {_LISTS}"


def _too_short(text: str) -> str | None:
    """Return a message that a text is the beginning of an id, but too little of it; None where it is not."""
    prefix, separator, rest = text.partition("_")
    if not separator or prefix not in ENTITY_OF_PREFIX or len(rest) >= _SHORTEST_PREFIX:
        return None
    return f"{text!r} is too short for an id: give {_SHORTEST_PREFIX} or more characters after {prefix}_"


def _called_so(connection: Connection, text: str, wanted: set[str], run_id: str | None) -> str | None:
    """Return a message that an entity of another kind has the name; None when none has."""
    others = set(_NOUN) - wanted
    found = _by_id(connection, text, others) or _by_name(connection, text, others, run_id)
    if not found:
        return None
    nouns = " or ".join(f"a {noun}" for machine, noun in _NOUN.items() if machine in wanted)
    newest = runs.newest(connection)
    of_run = "" if run_id is None or (newest and newest.id == run_id) else f" of {run_id}"
    return (
        f"{text!r} is a {_NOUN[found[0].machine]}{of_run}, and what is wanted here is "
        f"{nouns or 'something else'}; {_LISTS}"
    )


def _runs_with(connection: Connection, text: str, wanted: set[str]) -> list[str]:
    """Return the runs in which an entity of these kinds has the name, newest first."""
    holders = set()
    for machine, sql in _HOLDERS.items():
        if machine in wanted:
            holders |= {row[0] for row in rows_of(connection, sql, (text,) * sql.count("?"))}
    if not holders:
        return []
    return [run.id for run in runs.recent(connection, limit=_OLDER_RUNS_SEARCHED) if run.id in holders]


def _by_id(connection: Connection, text: str, kinds: Collection[str]) -> list[Found]:
    prefix, separator, rest = text.partition("_")
    machine = ENTITY_OF_PREFIX.get(prefix, "")
    if not separator or machine not in kinds:
        return []
    spelled = f"{prefix}_{rest.upper()}"
    exact = _select(connection, machine, "WHERE id = ?", (spelled,))
    if exact or len(rest) < _SHORTEST_PREFIX or not rest.isalnum():
        return exact
    return _select(
        connection, machine, "WHERE id LIKE ? ESCAPE '!' ORDER BY id", (f"{prefix}!_{rest.upper()}%",)
    )


def _by_name(connection: Connection, text: str, kinds: Collection[str], run_id: str | None) -> list[Found]:
    found = []
    for machine in ("worker", "circuit_breaker"):
        if machine in kinds:
            found += _select(connection, machine, f"WHERE {_NAME_COLUMN[machine]} = ?", (text,))
    if run_id is None:
        newest = runs.newest(connection)
        if newest is None:
            return found
        run_id = newest.id
    if "run" in kinds:
        found += _select(connection, "run", "WHERE id = ? AND name = ?", (run_id, text))
    if "workstream" in kinds:
        named = "WHERE run_id = ? AND name = ? ORDER BY created_at DESC, id DESC"
        found += _select(connection, "workstream", named, (run_id, text))[:1]
    return found + (_tasks(connection, text, run_id) if "task" in kinds else [])


def _tasks(connection: Connection, text: str, run_id: str) -> list[Found]:
    """Find tasks by ``workstream/task`` or by their own name; of one that was retried, the last."""
    sql = (
        "SELECT t.id, w.name, t.name FROM tasks t JOIN workstreams w ON w.id = t.workstream_id"
        " WHERE t.run_id = ? ORDER BY t.created_at, t.id"
    )
    by_place = {}
    for row in rows_of(connection, sql, (run_id,)):
        if text in {f"{row[1]}/{row[2]}", row[2]}:
            by_place[row[1], row[2]] = Found(machine="task", id=row[0], name=f"{row[1]}/{row[2]}")
    return list(by_place.values())


def _select(connection: Connection, machine: str, rest: str, values: Sequence[Any]) -> list[Found]:
    name = _NAME_COLUMN.get(machine, "id")
    sql = f'SELECT id, "{name}" FROM "{ENTITIES[machine].name}" {rest} LIMIT {_SOME}'
    return [Found(machine=machine, id=row[0], name=row[1]) for row in rows_of(connection, sql, values)]
