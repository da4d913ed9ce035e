"""The protocol by which a branch moves: who holds it, what was recorded first, and what is booked after."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from maingate.clock import ManualClock
from maingate.db.dao import intents
from maingate.db.dao.intents import Intent
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.errors import CheckoutError, LeaseLostError, RecordError, RepositoryError
from maingate.git.repository import RefMoved, Repository
from maingate.ids import new_id
from maingate.landing.checkouts import index_hold
from maingate.landing.ledger_trailers import seal_of, trailers
from maingate.landing.move import Obstruction
from maingate.landing.move_values import Move
from maingate.landing.target import HeldTarget, LandingTarget
from support.database_factories import World, make_world
from support.factories import GitRepo

MAIN = "refs/heads/main"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(name="world")
def _world(database: Database) -> World:
    with database.write() as conn:
        return make_world(conn)


@pytest.fixture(name="commits")
def _commits(repo: GitRepo) -> tuple[str, str]:
    old = repo.commit({"a.txt": "1\n"}, "first")
    new = repo.commit({"a.txt": "2\n"}, "second")
    repo.git("reset", "-q", "--hard", old)
    return old, new


@pytest.fixture(name="target")
def _target(repo: GitRepo, commits: tuple[str, str], database: Database) -> Iterator[HeldTarget]:
    assert commits
    with Repository.open(repo.path) as repository:
        yield HeldTarget(
            repository=repository,
            ref=MAIN,
            database=database,
            fence=lambda _: None,
            clock=ManualClock(current=NOW),
        )


@pytest.fixture(name="intent")
def _intent(world: World, commits: tuple[str, str]) -> Intent:
    return Intent(
        id=new_id("intent"),
        run_id=world.run.id,
        workstream_id=world.workstream.id,
        ref=MAIN,
        old=commits[0],
        new=commits[1],
        created_at=NOW,
    )


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
        target.move(move_of(intent), intent.id)
    assert repo.head() == intent.old


def test_a_settled_intent_moves_nothing(target: HeldTarget, intent: Intent, repo: GitRepo) -> None:
    """An intent stands for one move: once it is abandoned, the branch stays where it is."""
    with target.fenced() as conn:
        intents.record(conn, intent)
        intents.abandon(conn, intent.id, NOW)
    with pytest.raises(RecordError):
        target.move(move_of(intent), intent.id)
    assert repo.head() == intent.old


def test_a_process_that_lost_its_lease_moves_nothing(
    target: HeldTarget, intent: Intent, repo: GitRepo
) -> None:
    """The fence is checked after everything is prepared, at the last moment before the branch moves."""
    with target.fenced() as conn:
        intents.record(conn, intent)
    with pytest.raises(LeaseLostError):
        replace(target, fence=lost).move(move_of(intent), intent.id)
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


def test_the_newest_intent_in_the_history_has_landed(
    target: HeldTarget, intent: Intent, repo: GitRepo, commits: tuple[str, str]
) -> None:
    """After a crash the branch is the witness, whoever moved it on since, and whatever git has collected."""
    unknown = replace(intent, new="0" * 40)
    assert target.newest_landed([intent, unknown], head=commits[0]) is None
    repo.git("reset", "-q", "--hard", commits[1])
    later = repo.commit({"b.txt": "theirs\n"}, "theirs")
    assert target.newest_landed([intent, unknown], head=later) is intent


def test_a_target_with_uncommitted_changes_is_not_ready(target: LandingTarget, repo: GitRepo) -> None:
    """A plan, and a rollback, are refused before anything starts when a checkout could not follow."""
    target.require_ready()
    repo.write({"a.txt": "mine\n"})
    with pytest.raises(RepositoryError, match=r"a\.txt has uncommitted changes.*commit or stash them first"):
        target.require_ready()


def test_a_target_whose_checkout_is_behind_is_not_ready(
    target: HeldTarget, intent: Intent, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier landing owes comes first; where it cannot be made good, its command is named."""
    monkeypatch.setattr(index_hold.take, "__kwdefaults__", {"patience": intent.created_at - NOW})

    with monkeypatch.context() as killed:
        killed.setattr(
            "maingate.landing.checkouts.follower.CheckoutFollower.place",
            lambda follower: follower.following(),
        )
        target.carry_out(intent, move_of(intent), book=lambda conn: intents.landed(conn, intent.id, NOW))
        with pytest.raises(CheckoutError, match="maingate checkout repair"):
            target.require_ready(is_trial=True)
    target.require_ready()
    assert (repo.path / "a.txt").read_text() == "2\n"


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
