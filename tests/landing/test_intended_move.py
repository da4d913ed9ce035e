"""The protocol by which a branch moves: who holds it, what was recorded first, and what is booked after."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from maingate.db.dao import intents
from maingate.db.dao.intents import Intent
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.errors import LeaseLostError, RecordError
from maingate.git.repository import RefMoved
from maingate.landing.checkouts import index_hold
from maingate.landing.intended_move import HeldTarget
from maingate.landing.ledger_trailers import seal_of, trailers
from maingate.landing.move import Obstruction
from maingate.landing.move_values import Move
from support.factories import GitRepo

MAIN = "refs/heads/main"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def move_of(intent: Intent) -> Move:
    """Return what an intent means to git."""
    return Move(ref=MAIN, old=str(intent.old), new=intent.new, what="w")


def state_of(database: Database, intent: Intent) -> str:
    """Read how an intent stands."""
    with database.read() as conn:
        [found] = [each for each in intents.of_run(conn, intent.run_id) if each.id == intent.id]
    return found.state


def lost(_: Connection) -> None:
    """Refuse, as the fence does whose lease another process has taken over."""
    raise LeaseLostError("lost")


def test_a_move_needs_its_intent_on_record(target: HeldTarget, intent: Intent, repo: GitRepo) -> None:
    """A branch is never moved without a record that says so first: after a crash nobody would know why."""
    with pytest.raises(RecordError):
        target.move(move_of(intent), [intent.id])
    assert repo.head() == intent.old


def test_a_settled_intent_moves_nothing(target: HeldTarget, intent: Intent, repo: GitRepo) -> None:
    """An intent stands for one move: once it is abandoned, the branch stays where it is."""
    with target.fenced() as conn:
        intents.record(conn, intent)
        intents.abandon(conn, intent.id, NOW)
    with pytest.raises(RecordError):
        target.move(move_of(intent), [intent.id])
    assert repo.head() == intent.old


def test_a_process_that_lost_its_lease_moves_nothing(
    target: HeldTarget, intent: Intent, repo: GitRepo
) -> None:
    """The fence is checked after everything is prepared, at the last moment before the branch moves."""
    with target.fenced() as conn:
        intents.record(conn, intent)
    with pytest.raises(LeaseLostError):
        replace(target, fence=lost).move(move_of(intent), [intent.id])
    assert repo.head() == intent.old
    assert state_of(target.database, intent) == "pending", "whoever holds the target settles it"


def test_what_is_carried_out_is_recorded_moved_and_booked(
    target: HeldTarget, intent: Intent, repo: GitRepo
) -> None:
    """The intent is on record before the branch moves, and the books are written after."""
    seen: list[tuple[str, str]] = []

    def book(conn: Connection) -> None:
        seen.append((repo.head(), state_of(target.database, intent)))
        intents.landed(conn, intent.id, NOW)

    assert target.carry_out(intent, move_of(intent), book=book) == ()
    assert seen == [(intent.new, "pending")]
    assert state_of(target.database, intent) == "landed"


@pytest.mark.parametrize("is_moved", [True, False])
def test_what_cannot_be_carried_out_is_abandoned(
    target: HeldTarget, intent: Intent, repo: GitRepo, monkeypatch: pytest.MonkeyPatch, *, is_moved: bool
) -> None:
    """Nothing is booked where somebody else moved the branch, or a checkout of it cannot follow."""
    monkeypatch.setattr(index_hold.take, "__kwdefaults__", {"patience": intent.created_at - NOW})
    if is_moved:
        repo.commit({"b.txt": "theirs\n"}, "theirs")
    else:
        repo.write({"a.txt": "mine\n"})
    came = target.carry_out(intent, move_of(intent), book=lambda _: pytest.fail("nothing has landed"))
    assert isinstance(came, RefMoved if is_moved else Obstruction)
    assert state_of(target.database, intent) == "abandoned"


def test_a_seal_names_the_head_of_the_ledger(
    target: HeldTarget, intent: Intent, commits: tuple[str, str]
) -> None:
    """What lands carries how far the record had got, in the last line of its message."""
    with target.fenced() as conn:
        intents.record(conn, intent)
    sealed = target.seal(commits[1])
    made = target.repository.read_commit(sealed)
    assert made.tree == target.repository.read_commit(commits[1]).tree
    assert seal_of(made.message) is not None
    assert trailers(made.message, "Maingate-Record") == [target.database.record_id]
