"""Intents: refs that are about to move, written before git moves them (docs/SPECIFICATION.md §4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.ledger.facts import EvidenceTable
from maingate.db.schema import tables
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import change, rows_of
from maingate.errors import RecordError, UnknownEntityError
from maingate.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One move of a ref.

    Args:
        id: Its identifier, ``intent_…``.
        run_id: The run that lands, or that is rolled back.
        workstream_id: The workstream that lands; of several that are rolled back, the first.
        ref: Full name of the ref.
        old: The commit that it must be at; None when it must not exist.
        new: The commit that it goes to.
        commits: The commit that each patch has on the ref once it has moved, by patch id; of a rollback, the
            commit that takes it back, empty where it is gone already.
        kind: ``landing`` or ``rollback``.
        reason: The reason of a rollback; None for a landing.
        operator: The person who rolls it back; None for a landing.
        state: ``pending``, ``landed`` or ``abandoned``.
        created_at: The time it was written.
        completed_at: The time it was settled; None while it is pending.
    """

    id: str
    run_id: str
    workstream_id: str
    ref: str
    old: str | None
    new: str
    commits: Mapping[str, str] = field(default_factory=dict)
    kind: str = "landing"
    reason: Reason | None = None
    operator: str | None = None
    state: str = "pending"
    created_at: datetime
    completed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class MadeMove:
    """A move of a ref that was made.

    Args:
        intent: The intent's id.
        ref: Full name of the ref.
        old: The commit that it was at; None when it did not exist.
        new: The commit that it went to.
    """

    intent: str
    ref: str
    old: str | None
    new: str


_MOVES_MADE: Final = (
    "SELECT i.id, i.ref, i.old, i.new FROM intents i JOIN runs r ON r.id = i.run_id"
    " WHERE i.state = 'landed' AND r.repository_id = ? ORDER BY i.ref, i.completed_at, i.created_at, i.id"
)

_SHORTEST_COMMIT: Final = 7
"""Least digits of a commit's id that identify it."""

_ROWS: Final = EvidenceTable(tables.intents, Intent)


def record(connection: Connection, intent: Intent) -> None:
    """Insert the intent to move a ref.

    Raises:
        InvariantError: Its run or workstream does not exist.
    """
    _ROWS.insert(connection, [intent])


def landed(connection: Connection, intent_id: str, at: datetime) -> None:
    """Settle a pending intent: the ref has moved.

    Raises:
        UnknownEntityError: There is no such intent, or it is settled already.
    """
    _settle(connection, intent_id, "landed", at)


def abandon(connection: Connection, intent_id: str, at: datetime) -> None:
    """Settle a pending intent: the ref will not move, because another process moved it.

    Raises:
        UnknownEntityError: There is no such intent, or it is settled already.
    """
    _settle(connection, intent_id, "abandoned", at)


def require(connection: Connection, intent_id: str) -> None:
    """Check that an intent is on record and not settled, just before its ref moves.

    Raises:
        RecordError: It is not: the record is older than this process.
    """
    found = _ROWS.one(connection, "id", intent_id)
    if found is None or found.state != "pending":
        raise RecordError(
            f"the record no longer has the intent {intent_id}, which is about to land: it was restored to an "
            "older state or edited. No branch was moved; run `maingate resume` to continue from the record"
        )


def pending(connection: Connection, run_id: str | None = None) -> list[Intent]:
    """Read the intents that are not settled, oldest first; of one run or of all."""
    if run_id is None:
        return _ROWS.select(connection, "WHERE state = 'pending' ORDER BY created_at, id")
    return _ROWS.select(
        connection, "WHERE state = 'pending' AND run_id = ? ORDER BY created_at, id", (run_id,)
    )


def of_run(connection: Connection, run_id: str) -> list[Intent]:
    """Read the landings that a run intended, oldest first."""
    return _ROWS.select(
        connection, "WHERE run_id = ? AND kind = 'landing' ORDER BY created_at, id", (run_id,)
    )


def that_brought(connection: Connection, commit: str) -> list[Intent]:
    """Read the moves that are made and that name a commit: as the ref's new one, or as that of a patch."""
    return _ROWS.select(
        connection,
        "WHERE state = 'landed' AND (new = ? OR commits LIKE ?) ORDER BY completed_at, id",
        (commit, f'%"{commit}"%'),
    )


def of_one_move(connection: Connection, intent: Intent) -> list[Intent]:
    """Read all that the move of a ref has brought which an intent is part of, in the order of their commits.

    Workstreams that land by one move were intended at one moment, each on the commit of the one before it.
    """
    found = _ROWS.select(
        connection,
        "WHERE state = 'landed' AND ref = ? AND kind = ? AND created_at = ?",
        (intent.ref, intent.kind, to_micros(intent.created_at)),
    )
    onto = {each.old: each for each in found}
    before = {each.new: each for each in found}
    together = [intent]
    while (earlier := before.get(together[0].old or "")) is not None and earlier not in together:
        together.insert(0, earlier)
    while (later := onto.get(together[-1].new)) is not None and later not in together:
        together.append(later)
    return together


def moves_made(connection: Connection, repository_id: str) -> list[MadeMove]:
    """Read all moves of a repository's refs that are made, by ref and in their order."""
    rows = rows_of(connection, _MOVES_MADE, (repository_id,))
    return [MadeMove(intent=row[0], ref=row[1], old=row[2], new=row[3]) for row in rows]


def get(connection: Connection, intent_id: str) -> Intent:
    """Read an intent.

    Raises:
        UnknownEntityError: There is none.
    """
    found = _ROWS.one(connection, "id", intent_id)
    if found is None:
        raise UnknownEntityError(intent_id, f"no intent {intent_id!r} is on record")
    return found


def pending_rollbacks(connection: Connection) -> list[Intent]:
    """Read the rollbacks that are not settled, oldest first."""
    return _ROWS.select(connection, "WHERE state = 'pending' AND kind = 'rollback' ORDER BY created_at, id")


def rollbacks(connection: Connection, run_id: str) -> list[Intent]:
    """Read all rollbacks of a run, oldest first."""
    return _ROWS.select(
        connection, "WHERE run_id = ? AND kind = 'rollback' ORDER BY created_at, id", (run_id,)
    )


def rollback_named(connection: Connection, text: str) -> Intent | None:
    """Read the rollback with an id, or with the beginning of a commit of its own; None when there is none."""
    for each in _ROWS.select(
        connection, "WHERE kind = 'rollback' AND state = 'landed' ORDER BY created_at, id"
    ):
        made = (each.new, *each.commits.values())
        is_commit = len(text) >= _SHORTEST_COMMIT and any(it.startswith(text.lower()) for it in made)
        if each.id.casefold() == text.casefold() or is_commit:
            return each
    return None


def _settle(connection: Connection, intent_id: str, state: str, at: datetime) -> None:
    later = "max" if connection.dialect.name == "sqlite" else "greatest"
    sets = f"state = ?, completed_at = {later}(?, created_at)"
    sql = f"UPDATE intents SET {sets} WHERE id = ? AND state = 'pending'"
    if change(connection, sql, (state, to_micros(at), intent_id)) != 1:
        raise UnknownEntityError(intent_id, f"no intent {intent_id!r} is pending")
    _ROWS.bind_again(connection, intent_id)
