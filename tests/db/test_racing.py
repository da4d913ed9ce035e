"""Of writers that race for an entity exactly one wins, the others get a clean conflict.

See docs/SPECIFICATION.md §1, rule 2.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

from maingate.db.audit.record_check import verify
from maingate.db.dao import leases, tasks
from maingate.db.engine import Database, open_database
from maingate.db.transitions import write
from maingate.errors import StaleTransitionError
from maingate.ids import LeaseHolder
from maingate.state.steps import tasks as task_steps
from maingate.state.steps.step import Head
from support.database_factories import NOW, World, fresh, stored_rows
from support.forking import fork
from support.racer import race_for, upgrade

RACERS = 6
ROUNDS = 5
LATER = NOW + timedelta(seconds=1)


def new_tasks(database: Database, world: World, count: int) -> list[Head]:
    """Create tasks to race for."""
    with database.write() as connection:
        return [fresh(connection, world, "task") for _ in range(count)]


def race(act: Callable[[int], str]) -> Counter[str]:
    """Run all racers at the same moment, and count their outcomes."""
    barrier = Barrier(RACERS)

    def run(number: int) -> str:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(RACERS) as pool:
        return Counter(pool.map(run, range(RACERS)))


def raced(act: Callable[..., None], *args: Any) -> list[Any]:
    """Run three processes that act when all of them are ready, and return what each sends."""
    racers = [fork(act, *args) for _ in range(3)]
    assert [line.recv() for _, line in racers] == ["ready"] * 3
    for _, line in racers:
        line.send("go")
    sent = [line.recv() for _, line in racers]
    for racer, line in racers:
        racer.join(60)
        line.close()
    assert [racer.exitcode for racer, _ in racers] == [0, 0, 0]
    return sent


def test_of_racing_threads_exactly_one_wins(database: Database, world: World) -> None:
    """Threads that read the same version and write at once: one wins, every other learns that it is stale."""
    for head in new_tasks(database, world, ROUNDS):

        def act(_number: int, head: Head = head) -> str:
            try:
                with database.write() as connection:
                    write(connection, {head.id: head}, [task_steps.queue(head)], at=LATER)
            except StaleTransitionError:
                return "stale"
            return "won"

        assert race(act) == {"won": 1, "stale": RACERS - 1}
    assert verify(database).is_intact


def test_the_guard_holds_without_the_writers_lock(world: World, database: Database) -> None:
    """Writers that go past Database.write() cannot both win: the guarded update decides, not the lock."""
    for head in new_tasks(database, world, ROUNDS):

        def act(_number: int, head: Head = head) -> str:
            try:
                with database.engine.begin() as connection:
                    if (
                        database.dialect == "sqlite"
                    ):  # a deferred transaction may not become a writer in a race
                        connection.exec_driver_sql("COMMIT")
                        connection.exec_driver_sql("BEGIN IMMEDIATE")
                    write(connection, {head.id: head}, [task_steps.queue(head)], at=LATER)
            except StaleTransitionError:
                return "stale"
            return "won"

        assert race(act) == {"won": 1, "stale": RACERS - 1}
    assert verify(database).is_intact


def test_racing_batches_in_opposite_orders_neither_lose_updates_nor_lock_each_other_out(
    database: Database, world: World
) -> None:
    """Writers of the same entities in different orders: one batch wins whole, the others change nothing."""
    heads = {head.id: head for head in new_tasks(database, world, 20)}

    def act(number: int) -> str:
        order = sorted(heads.values(), key=lambda head: head.id, reverse=number % 2 == 0)
        try:
            with database.write() as connection:
                write(connection, heads, [task_steps.queue(head) for head in order], at=LATER)
        except StaleTransitionError as error:
            return f"stale {len(error.entity_ids)}"
        return "won"

    assert race(act) == {"won": 1, "stale 20": RACERS - 1}
    assert verify(database).is_intact


def test_of_racing_processes_exactly_one_wins_each_entity(database: Database, url: str, world: World) -> None:
    """Processes that read the same versions and write at once: each entity is won exactly once."""
    ids = [head.id for head in new_tasks(database, world, 25)]
    won = [task_id for each in raced(race_for, url, ids) for task_id in each]
    assert Counter(won) == Counter(ids)
    assert verify(database).is_intact
    with database.read() as connection:
        assert {row.version for row in tasks.get_many(connection, ids).values()} == {2}


def test_of_racing_claims_of_a_lease_exactly_one_gets_it(database: Database) -> None:
    """A lease is held by one at a time."""

    def act(number: int) -> str:
        with database.write() as connection:
            got = leases.acquire(
                connection,
                "repo main",
                holder=LeaseHolder(f"run_{number}"),
                host="here",
                pid=number,
                pid_started="1",
                now=NOW,
                ttl=timedelta(minutes=1),
            )
        return "held" if isinstance(got, leases.Lease) else "refused"

    assert race(act) == {"held": 1, "refused": RACERS - 1}


def test_processes_that_open_an_empty_database_at_once_make_one_schema(
    dialect: str, new_url: Callable[..., str]
) -> None:
    """Several programs may start on a database that is not there yet."""
    url = new_url(dialect, is_empty=True)
    assert raced(upgrade, url) == ["done"] * 3
    database = open_database(url)
    assert len(stored_rows(database, "alembic_version")) == 1
    database.close()
