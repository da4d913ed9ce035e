"""Who works and on what, read from the record."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from maingate.db.dao import gates, uet_workers, workers
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.ids import LeaseHolder
from maingate.landing.lease import hold, key_of, run_key
from maingate.monitoring.stuck_watch import StuckLimits
from maingate.queries.workforce.workers import Viewpoint, workforce
from maingate.reasons import Reason, ReasonCode
from maingate.settings import Settings
from maingate.state.steps import uet_workers as uet_worker_steps
from maingate.state.steps import workers as worker_steps
from maingate.state.steps.step import Step
from maingate.system.process_table import started
from support.database_factories import DAO, World, make_world
from support.statements import statements_sent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HERE = socket.gethostname()
SEEN = Viewpoint.of(Settings(), host=HERE, now=NOW + timedelta(seconds=90))


@pytest.fixture
def conn(database: Database) -> Iterator[Connection]:
    """Give a writing connection."""
    with database.write() as connection:
        yield connection


def take(conn: Connection, *steps: Step, at: datetime = NOW) -> None:
    """Make transitions of entities as they are now."""
    for step in steps:
        write(conn, {step.head_id: DAO[step.machine].get(conn, step.head_id).head}, [step], at=at)


def a_busy_worker(conn: Connection, world: World, job: str) -> None:
    """Let the world's worker be this very process, and its slot have a job."""
    process = (HERE, os.getpid(), started(os.getpid()), world.worker.id)
    conn.exec_driver_sql("UPDATE workers SET host = ?, pid = ?, pid_started = ? WHERE id = ?", process)
    take(conn, worker_steps.register(world.worker), worker_steps.assign(workers.get(conn, world.worker.id)))
    take(conn, uet_worker_steps.ready(world.uet_worker))
    step = uet_worker_steps.assign(uet_workers.get(conn, world.uet_worker.id), metadata={"job": job})
    take(conn, step, at=NOW + timedelta(seconds=30))


def job(conn: Connection, seen: Viewpoint = SEEN) -> Any:
    """Say what the one worker does."""
    (one,) = workforce(conn, seen)
    return one["job"]


def test_a_gate_is_named_with_its_task_its_beginning_and_its_attempt(conn: Connection) -> None:
    """The attempt is that of the job in hand, which the gate's own row does not have yet."""
    world = make_world(conn, at=NOW)
    a_busy_worker(conn, world, f"{world.gate.id}.2")
    assert job(conn) == {
        "kind": "gate",
        "id": world.gate.id,
        "name": "unit",
        "of": "parser/drop-regex",
        "run_id": world.run.id,
        "since": "2026-01-01T12:00:30.000Z",
        "seconds": 60.0,
        "attempt": 2,
    }


def test_a_gate_on_a_merged_result_is_named_with_the_workstream(conn: Connection) -> None:
    """It belongs to no patch."""
    world = make_world(conn, at=NOW)
    whole = replace(world.gate, id="gate_whole", patch_id=None)
    gates.insert_many(conn, [whole], at=NOW)
    a_busy_worker(conn, world, "gate_whole.1")
    assert (job(conn)["kind"], job(conn)["of"]) == ("gate", "parser")


def test_a_command_is_named_by_its_task(conn: Connection) -> None:
    """A task's job has the task's id."""
    world = make_world(conn, at=NOW)
    a_busy_worker(conn, world, f"{world.task.id}.3")
    found = job(conn)
    assert (found["kind"], found["name"], found["attempt"]) == ("command", "parser/drop-regex", 3)


def test_a_job_that_is_not_on_record_yet_is_not_made_up(conn: Connection) -> None:
    """A gate is written a moment after its worker took it."""
    world = make_world(conn, at=NOW)
    a_busy_worker(conn, world, "gate_unknown.1")
    assert job(conn) is None


def test_a_slot_that_has_finished_does_nothing(conn: Connection) -> None:
    """What it did before is not what it does."""
    world = make_world(conn, at=NOW)
    a_busy_worker(conn, world, f"{world.gate.id}.1")
    take(conn, uet_worker_steps.finish(uet_workers.get(conn, world.uet_worker.id)))
    assert job(conn) is None


@pytest.mark.parametrize("is_older", [False, True])
def test_a_control_process_controls_the_run_that_it_holds(conn: Connection, *, is_older: bool) -> None:
    """Since it took hold of it; a process of an older version holds the run's target alone."""
    world = make_world(conn, at=NOW)
    key = key_of(world.run.repository_id, world.run.target_ref) if is_older else run_key(world.run.id)
    lease = hold(conn, key, holder=LeaseHolder(world.run.id), now=NOW)
    own = (lease.host, lease.pid, lease.pid_started, world.worker.id)
    conn.exec_driver_sql("UPDATE workers SET host = ?, pid = ?, pid_started = ? WHERE id = ?", own)
    found = job(conn)
    assert (found["kind"], found["id"], found["since"]) == ("run", world.run.id, "2026-01-01T12:00:00.000Z")


def test_a_worker_whose_process_is_gone_does_nothing_whatever_is_on_record(conn: Connection) -> None:
    """Its process id is somebody else's by now."""
    world = make_world(conn, at=NOW)
    a_busy_worker(conn, world, f"{world.gate.id}.1")
    conn.exec_driver_sql("UPDATE workers SET pid_started = 'long ago'")
    (one,) = workforce(conn, SEEN)
    assert (one["state"], one["alive"], one["job"]) == ("busy", False, None)


def test_a_worker_that_is_silent_for_too_long_is_stuck(conn: Connection) -> None:
    """Past the threshold of the settings, since it was last heard of."""
    world = make_world(conn, at=NOW)
    workers.heartbeat(conn, {world.worker.id: NOW})
    limit = StuckLimits.of(Settings()).worker
    (quiet,) = workforce(conn, replace(SEEN, now=NOW + limit))
    assert quiet["stuck"] is None
    (stuck,) = workforce(conn, replace(SEEN, now=NOW + limit + timedelta(seconds=1)))
    assert stuck["stuck"] == {
        "since": "2026-01-01T12:00:00.000Z",
        "seconds": limit.total_seconds() + 1,
        "threshold": limit.total_seconds(),
    }


def test_those_that_have_ended_are_added_when_they_are_asked_for_the_last_first(conn: Connection) -> None:
    """At most as many as wanted; those that live come first."""
    reason = Reason(code=ReasonCode.WORKER_LOST, message="it was killed")
    first, last, living = (make_world(conn, at=NOW, name=name).worker for name in ("a", "b", "c"))
    take(conn, worker_steps.reject_registration(first, reason), at=NOW + timedelta(seconds=1))
    take(conn, worker_steps.reject_registration(last, reason), at=NOW + timedelta(seconds=2))
    assert [one["id"] for one in workforce(conn, SEEN)] == [living.id]
    assert [one["id"] for one in workforce(conn, SEEN, ended=1)] == [living.id, last.id]
    everyone = workforce(conn, SEEN, ended=9)
    assert [one["id"] for one in everyone] == [living.id, last.id, first.id]
    assert everyone[1]["reason"]["message"] == "it was killed"


def test_the_slots_of_all_workers_are_read_at_once(conn: Connection) -> None:
    """Not once for each; those that have ended and are not shown are only counted."""
    for name in "abc":
        make_world(conn, at=NOW, name=name)
    with statements_sent(conn) as sent:
        shown = workforce(conn, SEEN)
    assert [len(one["slots"]) for one in shown] == [1, 1, 1]
    assert sum('FROM "uet_workers"' in each for each in sent) == 1
    reason = Reason(code=ReasonCode.WORKER_LOST, message="it was killed")
    for row in workers.alive(conn):
        take(conn, worker_steps.reject_registration(row, reason), at=NOW + timedelta(seconds=1))
    assert workers.count_ended(conn) == 3
