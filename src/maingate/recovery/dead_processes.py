"""Recovery of dead processes: their workers, slots and gates are ended on record.

A control process is dead when its process is gone, on another machine when its heartbeat is too old; all its
workers are lost with it, and those that survive it are killed first. Workers of a living control process are
not touched, also those that have died: it is about to record that itself.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from maingate.clock import Clock
from maingate.db.dao import gates, uet_workers, workers
from maingate.db.dao.gates import GateRow
from maingate.db.dao.workers import WorkerRow
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.db.transitions import write
from maingate.reasons import Reason, ReasonCode
from maingate.state.steps import gates as gate_steps
from maingate.state.steps import uet_workers as uet_worker_steps
from maingate.state.steps import workers as worker_steps
from maingate.state.steps.step import HasHead, Step
from maingate.state.uet_worker import UetWorkerState
from maingate.system.process_tree import end_tree
from maingate.workers.liveness import has_process, left_behind

WORKER_LOST_EXIT_CODE = -1
"""Recorded exit code of a gate whose end was not observed."""


@dataclass(frozen=True, kw_only=True)
class Rescued:
    """Result of a recovery.

    Args:
        workers: The dead control processes, and their workers.
        gates: The gates that ran on them.
        killed: Their surviving processes, which were killed.
    """

    workers: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    killed: tuple[int, ...] = ()


def rescue(
    database: Database,
    *,
    clock: Clock,
    host: str,
    recovery_window: timedelta,
    is_abandoned: Callable[[Connection, str], bool],
) -> Rescued:
    """End the leftovers of dead control processes, in the system and on record. Idempotent.

    Args:
        database: The record.
        clock: The clock.
        host: This machine's name on record.
        recovery_window: Maximum age of the heartbeat of a worker on another machine.
        is_abandoned: Returns whether no process works on a run.
    """
    with database.read() as conn:
        dead = _dead(conn, clock.now(), host, recovery_window)
        killed = _end_survivors(dead, host)
        is_anything_left = bool(dead) or any(_abandoned_gates(conn, is_abandoned))
    if not is_anything_left:
        return Rescued()
    with database.write() as conn:
        dead = _dead(conn, clock.now(), host, recovery_window)
        ended = _end_on_record(conn, dead, _abandoned_gates(conn, is_abandoned), at=clock.now())
    return Rescued(workers=tuple(row.id for row in dead), gates=ended, killed=killed)


def _abandoned_gates(conn: Connection, is_abandoned: Callable[[Connection, str], bool]) -> list[GateRow]:
    """Read the gates on record as running in runs without a process."""
    running = gates.running(conn)
    abandoned = {run_id for run_id in {row.run_id for row in running} if is_abandoned(conn, run_id)}
    return [row for row in running if row.run_id in abandoned]


def _dead(conn: Connection, now: datetime, host: str, recovery_window: timedelta) -> list[WorkerRow]:
    """Read the dead control processes that are on record as alive, and the workers of dead ones."""
    return left_behind(workers.alive(conn), now, host, recovery_window)


def _end_survivors(dead: Iterable[WorkerRow], host: str) -> tuple[int, ...]:
    """Kill surviving pool workers of dead control processes on this machine, with their children."""
    killed = []
    for row in dead:
        if row.host == host and row.pid is not None and has_process(row):
            end_tree(row.pid)
            killed.append(row.pid)
    return tuple(killed)


def _end_on_record(
    conn: Connection, dead: Sequence[WorkerRow], abandoned: Iterable[GateRow], *, at: datetime
) -> tuple[str, ...]:
    """End dead workers, their slots and their gates on record; return the gates."""
    heads: list[HasHead] = []
    steps: list[Step] = []
    why = {gate.id: _lost("the process that ran it died before the gate ended") for gate in abandoned}
    running = gates.running(conn)
    slots = uet_workers.of_workers(conn, [row.id for row in dead])
    for row in dead:
        reason = _lost(f"worker {row.name} (process {row.pid}) was found dead")
        for slot in slots.get(row.id, []):
            if slot.state is UetWorkerState.TERMINATED:
                continue
            why |= {gate.id: reason for gate in running if gate.uet_worker_id == slot.id}
            steps.append(uet_worker_steps.lose(slot, reason))
            heads.append(slot)
        steps += worker_steps.lose(row, reason)
        heads.append(row)
    lost = [gate for gate in running if gate.id in why]
    steps = [*(_fail(gate, why[gate.id]) for gate in lost), *steps]
    write(conn, {each.head.id: each.head for each in [*lost, *heads]}, steps, at=at)
    return tuple(gate.id for gate in lost)


def _lost(message: str) -> Reason:
    return Reason(code=ReasonCode.WORKER_LOST, message=message)


def _fail(gate: HasHead, reason: Reason) -> Step:
    return gate_steps.fail(
        gate, exit_code=WORKER_LOST_EXIT_CODE, output=reason.message, fault="worker_lost", reason=reason
    )
