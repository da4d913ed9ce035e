"""Factories of entities, and the ways that lead an entity into each of its states."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from maingate.db.dao import breakers, gates, patches, runs, tasks, uet_workers, workers, workstreams
from maingate.db.dao.entity import EntityRow
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.ids import ENTITY_OF_PREFIX, Prefix, new_id
from maingate.reasons import Reason, ReasonCode
from maingate.state.machines import MACHINES
from maingate.state.steps.step import WRITTEN_AT, Head, Step

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REASON = Reason(code=ReasonCode.GATE_FAILED, message="the gate failed", detail={"gate": "unit"})

DAO: Mapping[str, Any] = {
    "run": runs,
    "workstream": workstreams,
    "task": tasks,
    "worker": workers,
    "uet_worker": uet_workers,
    "patch_ledger": patches,
    "test_gate": gates,
    "circuit_breaker": breakers,
}
"""The data access module of each machine."""

PREFIX_OF: Mapping[str, Any] = {machine: prefix for prefix, machine in ENTITY_OF_PREFIX.items()}

SETS_ON: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("patch_ledger", "quarantined"): {"quarantine_reason": REASON},
    ("patch_ledger", "committed"): {"committed_at": WRITTEN_AT},
    ("test_gate", "PASSED"): {"exit_code": 0, "output": "ok"},
    ("test_gate", "FAILED"): {"exit_code": 1, "output": "no"},
    ("circuit_breaker", "OPEN"): {"opened_at": WRITTEN_AT},
    ("circuit_breaker", "CLOSED"): {"opened_at": None},
}
"""What the invariants want to be set when an entity gets to a state."""


@dataclass(frozen=True, kw_only=True)
class World:
    """One of every entity, each in its initial state."""

    run: runs.RunRow
    workstream: workstreams.WorkstreamRow
    task: tasks.TaskRow
    worker: workers.WorkerRow
    uet_worker: uet_workers.UetWorkerRow
    patch: patches.PatchRow
    gate: gates.GateRow
    breaker: breakers.BreakerRow

    def of(self, machine: str) -> EntityRow:
        """Give the entity of a machine."""
        name = {"patch_ledger": "patch", "test_gate": "gate", "circuit_breaker": "breaker"}.get(
            machine, machine
        )
        row: EntityRow = getattr(self, name)
        return row


def make_world(connection: Connection, *, at: datetime = NOW, name: str = "plan") -> World:
    """Create one of every entity."""
    [run] = runs.insert_many(connection, [make_run(name=name)], at=at)
    [worker] = workers.insert_many(connection, [workers.WorkerRow(id=new_id("wrk"), name="local")], at=at)
    slot = uet_workers.UetWorkerRow(id=new_id("uet"), worker_id=worker.id)
    [uet_worker] = uet_workers.insert_many(connection, [slot], at=at)
    [workstream] = workstreams.insert_many(connection, [make_workstream(run)], at=at)
    [task] = tasks.insert_many(connection, [make_task(workstream)], at=at)
    [patch] = patches.insert_many(connection, [make_patch(task)], at=at)
    [gate] = gates.insert_many(connection, [make_gate(patch)], at=at)
    breaker = breakers.BreakerRow(id=new_id("brk"), tool=f"tool-{new_id('brk')}")
    [breaker] = breakers.insert_many(connection, [breaker], at=at)
    return World(
        run=run,
        workstream=workstream,
        task=task,
        worker=worker,
        uet_worker=uet_worker,
        patch=patch,
        gate=gate,
        breaker=breaker,
    )


def make_run(**fields: Any) -> runs.RunRow:
    """Make a run that is not stored yet."""
    plain = {
        "id": new_id("run"),
        "name": "plan",
        "repository": "/repo/.git",
        "repository_id": "repo_1",
        "target_ref": "refs/heads/main",
    }
    return runs.RunRow(**(plain | fields))


def make_workstream(run: runs.RunRow, **fields: Any) -> workstreams.WorkstreamRow:
    """Make a workstream that is not stored yet."""
    return workstreams.WorkstreamRow(**({"id": new_id("ws"), "run_id": run.id, "name": "parser"} | fields))


def make_task(workstream: workstreams.WorkstreamRow, **fields: Any) -> tasks.TaskRow:
    """Make a task that is not stored yet."""
    plain = {"run_id": workstream.run_id, "workstream_id": workstream.id, "name": "drop-regex"}
    return tasks.TaskRow(**({"id": new_id("task")} | plain | fields))


def make_patch(task: tasks.TaskRow, **fields: Any) -> patches.PatchRow:
    """Make a patch that is not stored yet."""
    plain = {"run_id": task.run_id, "workstream_id": task.workstream_id, "task_id": task.id}
    return patches.PatchRow(**({"id": new_id("patch")} | plain | fields))


def make_gate(patch: patches.PatchRow, **fields: Any) -> gates.GateRow:
    """Make a gate that is not stored yet."""
    plain = {"run_id": patch.run_id, "workstream_id": patch.workstream_id, "patch_id": patch.id}
    return gates.GateRow(**({"id": new_id("gate"), "name": "unit", "tree": "a" * 40} | plain | fields))


def fresh(connection: Connection, world: World, machine: str, *, at: datetime = NOW) -> Head:
    """Create another entity of a machine beside those of the world."""
    prefix: Prefix = PREFIX_OF[machine]
    entity_id = new_id(prefix)
    made: dict[str, EntityRow] = {
        "run": make_run(id=entity_id),
        "workstream": make_workstream(world.run, id=entity_id, name=entity_id),
        "task": make_task(world.workstream, id=entity_id, name=entity_id),
        "worker": workers.WorkerRow(id=entity_id, name="other"),
        "uet_worker": uet_workers.UetWorkerRow(id=entity_id, worker_id=world.worker.id),
        "patch_ledger": make_patch(world.task, id=entity_id),
        "test_gate": make_gate(world.patch, id=entity_id),
        "circuit_breaker": breakers.BreakerRow(id=entity_id, tool=entity_id),
    }
    [row] = DAO[machine].insert_many(connection, [made[machine]], at=at)
    head: Head = row.head
    return head


def plain_step(head: Head, to: str, trigger: str, **sets: Any) -> Step:
    """Make a step with what the invariants want to be set."""
    wanted = dict(SETS_ON.get((head.machine, str(to)), {})) | sets
    return Step(head_id=head.id, machine=head.machine, to=str(to), trigger=trigger, sets=wanted)


def way_to(machine: str, state: str) -> list[tuple[str, str]]:
    """Give the shortest way from the initial state to a state: pairs of the next state and its trigger."""
    table = MACHINES[machine].table
    waiting: deque[tuple[Any, list[tuple[str, str]]]] = deque([(MACHINES[machine].initial, [])])
    seen = set()
    while waiting:
        here, way = waiting.popleft()
        if here == state:
            return way
        if here in seen:
            continue
        seen.add(here)
        waiting.extend((to, [*way, (str(to), trigger)]) for to, trigger in table[here])
    raise AssertionError(f"{machine} never gets to {state}")


def bring_to(connection: Connection, head: Head, state: str, *, at: datetime = NOW) -> Head:
    """Lead an entity from its initial state to a state, all in one write."""
    steps = [plain_step(head, to, trigger) for to, trigger in way_to(head.machine, state)]
    return write(connection, {head.id: head}, steps, at=at).get(head.id, head)


def stored_rows(database: Database, table: str) -> list[tuple[Any, ...]]:
    """Read a table as it is stored."""
    with database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1")]
