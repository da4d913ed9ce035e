"""What a killed process left on record, and running, comes to its end; whose process lives is left alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from maingate.clock import ManualClock
from maingate.db.dao import gates, uet_workers, workers
from maingate.db.dao.uet_workers import UetWorkerRow
from maingate.db.dao.workers import WorkerRow
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.ids import new_id
from maingate.recovery.dead_processes import Rescued, rescue
from maingate.state.steps import gates as gate_steps
from maingate.state.uet_worker import UetWorkerState
from maingate.state.worker import WorkerState
from maingate.system.process_table import started
from support.database_factories import NOW, bring_to, make_gate, make_world

WINDOW = timedelta(seconds=300)
CLOCK = ManualClock(current=NOW)
MINE = {"pid": os.getpid(), "pid_started": started(os.getpid())}
GONE = {"pid": os.getpid(), "pid_started": "another boot:1"}


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that lives."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def add_worker(database: Database, state: str = "idle", **fields: object) -> WorkerRow:
    """Put a worker of this host on record, in a state."""
    with database.write() as conn:
        row = WorkerRow(**({"id": new_id("wrk"), "name": "w", "host": "here"} | fields))  # type: ignore[arg-type]
        [row] = workers.insert_many(conn, [row], at=NOW)
        bring_to(conn, row.head, state)
        return workers.get(conn, row.id)


def add_slot(database: Database, worker: WorkerRow, state: str) -> UetWorkerRow:
    """Put a slot of a worker on record, in a state."""
    with database.write() as conn:
        row = UetWorkerRow(id=new_id("uet"), worker_id=worker.id)
        [row] = uet_workers.insert_many(conn, [row], at=NOW)
        bring_to(conn, row.head, state)
        return uet_workers.get(conn, row.id)


def run_rescue(database: Database) -> Rescued:
    """Rescue, on the host that all workers here are on."""
    return rescue(
        database, clock=CLOCK, host="here", recovery_window=WINDOW, is_abandoned=lambda _conn, _run: False
    )


@pytest.mark.parametrize("slot_state", [each for each in UetWorkerState if each != "TERMINATED"])
@pytest.mark.parametrize("state", [each for each in WorkerState if each != "shutdown"])
def test_whatever_it_was_at_it_comes_to_its_end(database: Database, state: str, slot_state: str) -> None:
    """From every state of a worker and of its slot; doing it again changes nothing."""
    worker = add_worker(database, state, **GONE)
    slot = add_slot(database, worker, slot_state)

    assert run_rescue(database) == Rescued(workers=(worker.id,))
    assert run_rescue(database) == Rescued()

    with database.read() as conn:
        found = workers.get(conn, worker.id), uet_workers.get(conn, slot.id)
    assert [row.state for row in found] == ["shutdown", "TERMINATED"]
    assert found[0].reason is not None
    assert found[0].reason.code == "worker_lost"


def test_gates_that_ran_there_have_failed_for_want_of_a_worker(database: Database) -> None:
    """They blame nobody: the fault says why; gates of others are left alone."""
    worker = add_worker(database, "busy", **GONE)
    slots = [add_slot(database, owner, "BUSY") for owner in (worker, add_worker(database, "busy", **MINE))]
    with database.write() as conn:
        patch = make_world(conn).patch
        rows = gates.insert_many(conn, [make_gate(patch) for _ in slots], at=NOW)
        steps = [
            gate_steps.start(row.head, uet_worker_id=slot.id) for row, slot in zip(rows, slots, strict=True)
        ]
        write(conn, {row.id: row.head for row in rows}, steps, at=NOW)

    assert run_rescue(database).gates == (rows[0].id,)

    with database.read() as conn:
        lost, other = (gates.get(conn, row.id) for row in rows)
    assert (lost.state, lost.fault, lost.exit_code) == ("FAILED", "worker_lost", -1)
    assert "found dead" in str(lost.output)
    assert other.state == "RUNNING"


def test_a_living_control_process_keeps_its_workers(
    database: Database, child: "subprocess.Popen[bytes]"
) -> None:
    """Both it and its worker's process live: nothing is touched."""
    control = add_worker(database, "busy", **MINE)
    add_worker(database, "busy", parent_id=control.id, pid=child.pid, pid_started=started(child.pid))

    assert run_rescue(database) == Rescued()
    assert child.poll() is None


def test_a_living_control_process_records_the_death_of_its_worker_itself(database: Database) -> None:
    """Written by another process at that moment, it would be news to the one at work, which then gave up."""
    control = add_worker(database, "busy", **MINE)
    add_slot(database, add_worker(database, "busy", parent_id=control.id, **GONE), "BUSY")
    elsewhere = add_worker(database, "busy", host="there", heartbeat_at=NOW)
    silent = add_worker(database, "busy", parent_id=elsewhere.id, host="there", heartbeat_at=NOW - 2 * WINDOW)
    add_slot(database, silent, "BUSY")

    assert run_rescue(database) == Rescued()


@pytest.mark.parametrize("control_state", ["busy", "shutdown"])
def test_a_worker_that_outlived_its_control_process_is_ended(
    database: Database, child: "subprocess.Popen[bytes]", control_state: str
) -> None:
    """It works for nobody: it is killed, and put on record as lost."""
    control = add_worker(database, control_state, **GONE)
    orphan = add_worker(database, "busy", parent_id=control.id, pid=child.pid, pid_started=started(child.pid))

    rescued = run_rescue(database)

    assert rescued.killed == (child.pid,)
    assert orphan.id in rescued.workers
    assert child.wait(20) == -9


def test_a_number_that_is_used_again_is_not_taken_for_the_worker(
    database: Database, child: "subprocess.Popen[bytes]"
) -> None:
    """A process that merely has its number is not killed."""
    worker = add_worker(database, "busy", pid=child.pid, pid_started="another boot:1")

    assert run_rescue(database) == Rescued(workers=(worker.id,))
    assert child.poll() is None


@pytest.mark.parametrize(("silent", "is_dead"), [(timedelta(), False), (WINDOW, False), (2 * WINDOW, True)])
def test_on_another_machine_silence_decides(database: Database, silent: timedelta, is_dead: bool) -> None:
    """What its process is doing cannot be seen from here."""
    worker = add_worker(database, "busy", host="there", heartbeat_at=NOW - silent, **GONE)

    assert run_rescue(database) == Rescued(workers=(worker.id,) if is_dead else ())


def test_history_is_not_read(database: Database) -> None:
    """Only what has not ended is looked at, through indexes of its own."""
    plans = {
        "ix_workers_alive": 'SELECT * FROM "workers" WHERE completed_at IS NULL ORDER BY created_at, id',
        "ix_gates_running": "SELECT * FROM gates WHERE state = 'RUNNING' AND uet_worker_id = 'x'",
    }
    with database.read() as conn:
        for index, query in plans.items():
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").fetchall()
            assert index in str(plan)
