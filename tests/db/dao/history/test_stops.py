"""Stops of runs, and the pauses before they went on, on both databases."""

from datetime import timedelta

from maingate.db.dao.history import events, stops
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.errors import InterruptedRunError
from maingate.state.steps import tasks as task_steps
from support.database_factories import NOW, World


def test_the_pauses_of_a_run_are_counted(database: Database, world: World) -> None:
    """From its stop, or the last event of a process that was killed, until a process goes on."""
    run = world.run.id

    def after(minutes: float) -> timedelta:
        return timedelta(minutes=minutes)

    with database.write() as conn:
        assert stops.paused_seconds(conn, run) == 0.0
        stops.record(conn, run, InterruptedRunError("Ctrl-C"), at=NOW + after(1))
        assert stops.last(conn, run) is not None
        stops.resume(conn, run, at=NOW + after(11))
        assert stops.last(conn, run) is None
        write(conn, {world.task.id: world.task.head}, [task_steps.queue(world.task)], at=NOW + after(12))
        stops.resume(conn, run, at=NOW + after(15))  # the process before it was killed
        stops.record(conn, run, InterruptedRunError("Ctrl-C"), at=NOW + after(16))
        stops.hand_over(conn, run, "to a server", {}, operator=None, at=NOW + after(17))
        stops.resume(conn, run, at=NOW + after(18))
        assert stops.paused_seconds(conn, run) == 60 * (10 + 3 + 2)
        resumed = events.query(conn, entity=run, trigger=stops.RESUMED)
    assert [event.metadata for event in resumed] == [{"paused_seconds": 60 * each} for each in (10, 3, 2)]
