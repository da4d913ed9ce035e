"""Hooks get every event after its commit, in order, and neither slow nor stop anything else."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from maingate.clock import ManualClock, SystemClock
from maingate.db.dao.history import events
from maingate.db.engine import Database, open_database
from maingate.db.ledger import follower_positions
from maingate.db.ledger.new_event import new_event, the_run
from maingate.db.rollups import store
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType
from maingate.monitoring import hooks, ledger_followers
from maingate.monitoring.hooks import HookHealth, Hooks
from maingate.monitoring.ledger_followers import HookFollower, RollupFollower, process_holder
from support.database_factories import NOW, make_world

PATIENCE = 30
REST = HookFollower.rest
YEAR = timedelta(days=365)
PROCESS = str(Path(__file__).with_name("hook_process.py"))


class Collecting:
    """A hook that collects what it is given, and does something at each batch."""

    def __init__(self, name: str = "collecting", at_batch: Callable[[int], None] = lambda _: None) -> None:
        self.name, self.batch, self._at_batch = name, 1_000, at_batch
        self.batches: list[list[int]] = []
        self.taken: list[int] = []

    def take(self, batch: Sequence[Event]) -> None:
        """Collect a batch."""
        self.batches.append([event.seq or 0 for event in batch])
        self._at_batch(len(self.batches))
        self.taken += self.batches[-1]


class Warnings:
    """Warnings, and a signal when there is one."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.came = threading.Event()

    def __call__(self, text: str) -> None:
        """Keep a warning."""
        self.texts.append(text)
        self.came.set()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return a database with a few events."""
    opened = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    opened.upgrade()
    with opened.write() as conn:
        make_world(conn)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make failed hooks be tried again at once, and busy ones not rest."""
    for name in ("FIRST_DELAY", "LAST_DELAY"):
        monkeypatch.setattr(hooks, name, timedelta(milliseconds=1))
    monkeypatch.setattr(HookFollower, "rest", timedelta(0))


def follower_of(
    hook: ledger_followers.Hook, database: Database, holder: str = "me", since: int = 0
) -> HookFollower:
    """Return the follower of a hook."""
    return HookFollower(hook, database=database, clock=SystemClock(), holder=holder, since=since)


def warn_of(database: Database, count: int = 1) -> list[int]:
    """Record events, each in a transaction; return their numbers."""
    found = []
    for _ in range(count):
        with database.write() as conn:
            found.append(events.record(conn, new_event(EventType.WARNING, the_run("run_1"), NOW)))
    return found


def all_events(database: Database) -> list[int]:
    """Return the numbers of all events."""
    with database.read() as conn:
        return [event.seq or 0 for event in events.query(conn, limit=100_000)]


def test_each_event_comes_once_in_order(database: Database) -> None:
    """Events from before, those that come meanwhile and the last ones, whatever the size of batches."""
    hook, seen = Collecting(), threading.Event()
    hook.batch = 3
    hook._at_batch = lambda _: seen.set()
    with Hooks([follower_of(hook, database)], warn=Warnings()) as running:
        assert seen.wait(PATIENCE)
        for _ in range(20):
            warn_of(database)
            running.wake()
    assert hook.taken == all_events(database)
    assert max(map(len, hook.batches)) == 3


def test_a_step_hands_out_batches_and_records_once_where_it_has_come_to(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer of a busy run waits for a hook once a step, which comes at a slower beat in a flood."""
    hook, moves, move = Collecting(), list[int](), follower_positions.move

    def moved(conn: Connection, name: str, before: int, after: int, *, at: datetime) -> bool:
        moves.append(after)
        return move(conn, name, before, after, at=at)

    monkeypatch.setattr(follower_positions, "move", moved)
    monkeypatch.setattr(HookFollower, "rest", REST)
    monkeypatch.setattr(ledger_followers, "FLOOD", 7)
    hook.batch, follower = 3, follower_of(hook, database)
    written = warn_of(database, 6)
    assert not follower.step()
    assert hook.taken == all_events(database)
    assert moves == [written[-1]]
    assert follower.rest == ledger_followers.FLOOD_REST
    warn_of(database, 6)
    assert not follower.step()
    assert follower.rest == ledger_followers.HOOK_REST


def test_an_event_that_was_rolled_back_never_comes(database: Database) -> None:
    """A hook hears of what is committed only."""
    hook = Collecting()

    def break_off() -> None:
        with database.write() as conn:
            events.record(conn, new_event(EventType.WARNING, the_run("run_1"), NOW))
            running.wake()
            raise RuntimeError("the power went")

    with Hooks([follower_of(hook, database)], warn=Warnings()) as running, pytest.raises(RuntimeError):
        break_off()
    assert hook.taken == all_events(database)


def test_the_next_process_delivers_what_was_written_while_none_lived(database: Database) -> None:
    """The position is on record: nothing comes twice, nothing is left out."""
    first, second = Collecting(), Collecting()
    with Hooks([follower_of(first, database)], warn=Warnings()):
        pass
    written = warn_of(database, 3)
    with Hooks([follower_of(second, database, holder="another")], warn=Warnings()):
        pass
    assert second.taken == written


def test_a_new_hook_begins_where_it_is_told(database: Database) -> None:
    """History from before it is not repeated to it."""
    last, hook = all_events(database)[-1], Collecting()
    written = warn_of(database)
    with Hooks([follower_of(hook, database, since=last)], warn=Warnings()):
        pass
    assert hook.taken == written


def test_a_failed_batch_comes_again_and_is_told_once(database: Database) -> None:
    """The failure is shown until it is over; a later one is told again."""
    fails = {1, 2, 3, 6}

    def act(number: int) -> None:
        if number in fails:
            raise ValueError(f"no  {number}")

    warn, hook, other = Warnings(), Collecting(at_batch=act), Collecting("other")
    followed = [follower_of(hook, database), follower_of(other, database)]
    running = Hooks(followed, warn=warn)
    runner = running._runners[0]
    assert [runner._try() for _ in range(3)] == [False] * 3
    assert running.health()[0] == HookHealth(name="collecting", failures=3, failure="no 3")
    with database.read() as conn:
        [failing] = follower_positions.all_of(conn)
    assert (failing.failures, failing.failure) == (3, "failed and is tried again: no 3")
    assert not runner._try()
    assert running.health() == [HookHealth(name="collecting"), HookHealth(name="other")]
    with database.read() as conn:
        [well] = follower_positions.all_of(conn)
    assert (well.failures, well.failure) == (0, None)
    assert len(warn.texts) == 1
    assert "no 1" in warn.texts[0]
    for _ in range(2):
        warn_of(database)
        runner._try()
    assert len(warn.texts) == 2
    assert hook.taken == all_events(database)[:-1]
    assert not other.taken


def test_a_hook_that_hangs_is_cut_off_and_told(database: Database) -> None:
    """It holds up neither another hook nor the end of the process, and its failure is on record."""
    release, warn = threading.Event(), Warnings()

    def hang(_number: int) -> None:
        release.wait(PATIENCE)

    hanging, other = Collecting("hanging", hang), Collecting("other")
    followed = [follower_of(hanging, database), follower_of(other, database)]
    try:
        with Hooks(followed, warn=warn, limit=timedelta(seconds=1)) as running:
            assert warn.came.wait(PATIENCE)
            assert [one.is_hanging for one in running.health()] == [True, False]
        assert other.taken == all_events(database)
        assert not hanging.taken
        assert len(warn.texts) == 1
        assert "hanging took longer" in warn.texts[0]
        with database.read() as conn:
            assert {one.name: one.failures for one in follower_positions.all_of(conn)} == {
                "hanging": 1,
                "other": 0,
            }
    finally:
        release.set()
    running._runners[0]._thread.join(PATIENCE)
    assert hanging.taken == other.taken


@pytest.mark.parametrize("killed_at", [1, 5])
def test_a_killed_process_gives_nothing_up(database: Database, tmp_path: Path, killed_at: int) -> None:
    """After kill -9 amid a batch the batch comes again: at least once, and still in order."""
    noted, url = tmp_path / "noted", f"sqlite:///{tmp_path / 'm.db'}"
    for arguments in ([str(killed_at)], []):
        subprocess.run([sys.executable, PROCESS, url, str(noted), *arguments], check=False)
    found = [int(line) for line in noted.read_text().splitlines()]
    assert found == [*range(1, killed_at + 1), *all_events(database)]


def test_one_process_at_a_time_delivers(database: Database) -> None:
    """A second process with the same hook waits, and takes over when the first is gone or silent."""
    clock = ManualClock()
    first, second, third = (Collecting() for _ in range(3))

    def follower(hook: Collecting, holder: str) -> HookFollower:
        return HookFollower(hook, database=database, clock=clock, holder=holder)

    one, two = follower(first, "one"), follower(second, "two")
    one.step()
    before = all_events(database)
    written = warn_of(database)
    two.step()
    assert (first.taken, second.taken) == (before, [])
    one.close()
    two.step()
    assert second.taken == written
    later = warn_of(database)
    clock.advance(timedelta(minutes=2))
    follower(third, "three").step()
    assert third.taken == later


def test_a_hook_of_a_process_that_has_ended_is_taken_over_at_once(database: Database) -> None:
    """It is looked up on this machine; one that lives, and one of another machine, keep the hook."""
    first, second = Collecting(), Collecting()
    mine = process_holder()
    host, pid, began, own = mine.split("|")
    gone = f"{host}|{pid}|{began}0|{own}"
    for holder, is_taken_over in (
        (mine, False),
        (f"elsewhere|{pid}||{own}", False),
        (gone, True),
    ):
        one = follower_of(first, database, holder)
        one.step()
        written = warn_of(database)
        before = list(second.taken)
        two = follower_of(second, database, process_holder())
        two.step()
        assert second.taken == [*before, *(written if is_taken_over else [])]
        two.close()
        one.close()


def test_the_writer_only_sets_a_flag(database: Database) -> None:
    """Waking calls no follower in the thread of the caller, and works before and after they run."""
    calls: list[str] = []

    class Telling(RollupFollower):
        def step(self) -> bool:
            calls.append(threading.current_thread().name)
            return super().step()

    running = Hooks([Telling(database, SystemClock(), YEAR)], warn=Warnings())
    running.wake()
    assert not calls
    with running:
        running.wake()
    running.wake()
    assert threading.current_thread().name not in calls


def test_roll_ups_follow(database: Database) -> None:
    """The follower of the roll-ups counts what is there."""
    follower = RollupFollower(database, SystemClock(), YEAR)
    while follower.step():
        pass
    assert store.behind(database) == 0
