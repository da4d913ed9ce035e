"""Words that complete a command line: names and ids of the record."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from maingate.db.dao import runs
from maingate.db.dao.names import offered_words
from maingate.db.dao.names.offered_words import Word
from maingate.db.migrations import HEAD
from maingate.db.sql.connection import Connection
from maingate.queries.names import run_named
from maingate.repository_context import RepositoryContext
from maingate.state.machines import MACHINES


class WordKind(StrEnum):
    """The kinds of things that a word of a command line may name."""

    RUN = "run"
    WORKSTREAM = "workstream"
    TASK = "task"
    PATCH = "patch_ledger"
    GATE = "gates"
    """A gate of a plan."""
    TOOL = "tools"
    """A tool of a plan."""
    BREAKER = "breakers"
    """A tool with a breaker."""
    TOKEN = "tokens"  # noqa: S105 - a kind of names
    ANY_GATE_ID = "test_gate"
    """One execution of a gate."""


_NAMED: Final = frozenset({WordKind.WORKSTREAM, WordKind.TASK, WordKind.PATCH})
_WITH_ID: Final = (WordKind.WORKSTREAM, WordKind.TASK, WordKind.PATCH, WordKind.ANY_GATE_ID)


def offered(
    context: RepositoryContext,
    start: str,
    kinds: Sequence[WordKind],
    *,
    run: str | None = None,
    is_open: bool = False,
    states: Sequence[str] = (),
) -> list[Word]:
    """Return the words that begin so, each once: names first, then ids; none of an older program's record.

    Args:
        context: The repository and its record.
        start: The beginning of the word.
        kinds: The kinds of things that it may name.
        run: The run whose names count; None for the newest.
        is_open: Only what has not ended.
        states: Only what is in these states; empty for all.

    Raises:
        UnknownEntityError: No run is called so.
    """
    if context.database.revision() != HEAD:
        return []  # only commands migrate a record
    with context.database.read() as conn:
        words = list(_words(conn, start, kinds, run, is_open=is_open, states=states))
    return list({word.text: word for word in words if word.text.startswith(start)}.values())


def _words(
    conn: Connection,
    start: str,
    kinds: Sequence[WordKind],
    run: str | None,
    *,
    is_open: bool,
    states: Sequence[str],
) -> Iterator[Word]:
    newest = None if run is not None else runs.newest(conn)
    run_id = run_named(conn, run) if run is not None else None if newest is None else newest.id
    for kind in kinds:
        if kind is WordKind.BREAKER:
            yield from offered_words.of_breakers(conn)
        elif kind is WordKind.TOKEN:
            yield from offered_words.of_tokens(conn)
        elif kind in {WordKind.GATE, WordKind.TOOL} and run_id is not None:
            yield from offered_words.of_plan(conn, kind, run_id)
        elif kind is WordKind.RUN:
            yield from offered_words.of_runs(conn, start, _states(kind, is_open=is_open, states=states))
        elif kind in _NAMED and run_id is not None:
            among = _states(kind, is_open=is_open, states=states)
            yield from offered_words.of_names(conn, start, kind, run_id, among)
    for kind in _WITH_ID:
        if kind in kinds:
            among = _states(kind, is_open=is_open, states=states)
            yield from offered_words.of_ids(conn, start, kind, among)


def _states(kind: WordKind, *, is_open: bool, states: Sequence[str]) -> list[str]:
    """Return the states of a kind that count; empty for all."""
    machine = MACHINES[kind]
    if is_open:
        return [state for state in machine.states if not machine.is_terminal(state)]
    return [state for state in states if state in set(machine.states)]
