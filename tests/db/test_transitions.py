"""The one writer of states."""

import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from maingate.db.dao import breakers, gates, patches, runs, tasks
from maingate.db.engine import Database
from maingate.db.ledger.chain import COLUMNS
from maingate.db.transitions import FIXED, STARTING_STATE, write
from maingate.errors import InvalidTransitionError, InvariantError, StaleTransitionError
from maingate.ids import new_id
from maingate.state.machines import MACHINES
from maingate.state.run import RunState
from maingate.state.steps import breakers as breaker_steps
from maingate.state.steps import gates as gate_steps
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import runs as run_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.steps.step import Context, Head, Step
from support.database_factories import (
    DAO,
    NOW,
    REASON,
    World,
    bring_to,
    fresh,
    make_run,
    plain_step,
    stored_rows,
)

LATER = NOW + timedelta(seconds=1)


def audit_of(database: Database, entity_id: str) -> list[dict[str, object]]:
    """Read an entity's audit rows, oldest first."""
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM state_transitions ORDER BY seq")
        every = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return [row for row in every if row["entity_id"] == entity_id]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_allowed_pair_works_and_every_other_raises_and_changes_nothing(
    database: Database, world: World, machine: str
) -> None:
    """From each state exactly the table's pairs can be written; any other is refused and leaves no trace."""
    table = MACHINES[machine]
    triggers = sorted({trigger for _, _, trigger in table.transitions} | {"nonsense"})
    for state in table.states:
        with database.write() as connection:
            head = bring_to(connection, fresh(connection, world, machine), state)
        before = (stored_rows(database, "state_transitions"), audit_of(database, head.id))
        pairs = [(to, trigger) for to in table.states for trigger in triggers]
        allowed = [(to, trigger) for to, trigger in pairs if (to, trigger) in table.table[state]]
        with database.write() as connection:
            for to, trigger in pairs:
                if (to, trigger) not in allowed:
                    with pytest.raises(InvalidTransitionError):
                        write(connection, {head.id: head}, [plain_step(head, to, trigger)], at=LATER)
        assert (stored_rows(database, "state_transitions"), audit_of(database, head.id)) == before
        for to, trigger in allowed:
            with database.write() as connection:
                here = bring_to(connection, fresh(connection, world, machine), state)
                there = write(connection, {here.id: here}, [plain_step(here, to, trigger)], at=LATER)[here.id]
            with database.read() as connection:
                row = DAO[machine].get(connection, here.id)
            assert row.head == there
            assert (row.state, row.version) == (to, here.version + 1)


def test_lifecycle_columns_follow_from_the_state(database: Database, world: World) -> None:
    """Work begins in a machine's starting state, ends in its terminal states, and each change is dated."""
    for machine, table in MACHINES.items():
        for state in table.states:
            with database.write() as connection:
                head = bring_to(connection, fresh(connection, world, machine), state, at=LATER)
                row = DAO[machine].get(connection, head.id)
            assert row.created_at == NOW
            assert (row.completed_at is not None) == (state in table.terminal)
            assert row.changed_at == (LATER if row.version > 1 else NOW)
            if state == STARTING_STATE.get(machine):
                assert row.started_at == LATER


def test_a_transition_updates_the_row_and_adds_the_audit_row_that_continues_the_chain(
    database: Database, world: World
) -> None:
    """State, version, hash and audit row are written together; the hash covers the row and the one before."""
    step = task_steps.queue(world.task, metadata={"b": 1, "a": "ä"}, operator="ada", reason=REASON)
    with database.write() as connection:
        heads = write(connection, {world.task.id: world.task.head}, [step], at=LATER)
    with database.read() as connection:
        row = tasks.get(connection, world.task.id)
    first, second = audit_of(database, world.task.id)
    assert heads == {world.task.id: row.head}
    assert row == replace(world.task, state=row.state, version=2, chain_hash=row.chain_hash, changed_at=LATER)
    assert (first["from_state"], first["to_state"], first["trigger"]) == (None, "pending", "created")
    assert (second["from_state"], second["to_state"], second["trigger"]) == (
        "pending",
        "queued",
        "scheduler_assigned",
    )
    assert second["metadata"] == '{"a":"\\u00e4","b":1}'
    assert (second["operator"], second["run_id"], second["workstream_id"], second["task_id"]) == (
        "ada",
        world.run.id,
        world.workstream.id,
        world.task.id,
    )
    hashed = {name: value for name, value in second.items() if name not in {"prev_hash", "hash"}}
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = sha256(f"{first['hash']}\n{text}".encode("ascii")).hexdigest()
    assert second["prev_hash"] == first["hash"] == world.task.chain_hash
    assert second["hash"] == row.chain_hash == digest


def test_several_steps_of_one_entity_follow_upon_each_other(database: Database, world: World) -> None:
    """One call may take an entity several states on: one update, one audit row per step."""
    steps = [
        task_steps.queue(world.task),
        task_steps.start(world.task, worker_id=world.worker.id, attempt=1),
        task_steps.produced(world.task),
        task_steps.complete(world.task),
    ]
    with database.write() as connection:
        write(connection, {world.task.id: world.task.head}, steps, at=LATER)
        row = tasks.get(connection, world.task.id)
    states = [(each["from_state"], each["to_state"]) for each in audit_of(database, world.task.id)]
    assert (row.state, row.version, row.attempt) == ("completed", 5, 1)
    assert (row.started_at, row.completed_at, row.worker_id) == (LATER, LATER, None)
    assert states == [
        (None, "pending"),
        ("pending", "queued"),
        ("queued", "running"),
        ("running", "validating"),
        ("validating", "completed"),
    ]


def test_steps_of_many_entities_are_one_whole(database: Database, world: World) -> None:
    """When one of many is stale nothing at all is written, and the error names the stale one only."""
    with database.write() as connection:
        others = [fresh(connection, world, "task") for _ in range(5)]
    stale = replace(others[2], version=7)
    heads = {head.id: head for head in others} | {stale.id: stale, world.run.id: world.run.head}
    before = (
        stored_rows(database, "tasks"),
        stored_rows(database, "runs"),
        stored_rows(database, "state_transitions"),
    )
    steps = [run_steps.start(world.run), *(task_steps.queue(head) for head in others)]
    with pytest.raises(StaleTransitionError) as caught, database.write() as connection:
        write(connection, heads, steps, at=LATER)
    assert caught.value.entity_ids == (stale.id,)
    after = (
        stored_rows(database, "tasks"),
        stored_rows(database, "runs"),
        stored_rows(database, "state_transitions"),
    )
    assert after == before


def test_the_same_transition_by_somebody_else_makes_a_head_stale(database: Database, world: World) -> None:
    """Two writers may want the very same: the second still loses, because it did not see the first."""
    with database.write() as connection:
        write(connection, {world.task.id: world.task.head}, [task_steps.queue(world.task)], at=LATER)
    with pytest.raises(StaleTransitionError), database.write() as connection:
        write(connection, {world.task.id: world.task.head}, [task_steps.queue(world.task)], at=LATER)


def test_an_entity_that_does_not_exist_is_stale(database: Database, world: World) -> None:
    """A head of a row that is not there cannot be moved."""
    ghost = replace(world.task.head, id=new_id("task"))
    with pytest.raises(StaleTransitionError), database.write() as connection:
        write(connection, {ghost.id: ghost}, [task_steps.queue(ghost)], at=LATER)


def test_no_steps_write_nothing(database: Database, world: World) -> None:
    """An empty call is no transition."""
    before = stored_rows(database, "counters")
    with database.write() as connection:
        assert write(connection, {world.run.id: world.run.head}, [], at=LATER) == {}
    assert stored_rows(database, "counters") == before


def test_a_step_cannot_set_what_never_changes(database: Database, world: World) -> None:
    """The lifecycle, what an entity belongs to, is_critical and affinity are refused before any SQL."""
    head = world.task.head
    for column in sorted(FIXED):
        step = Step(
            head_id=head.id, machine="task", to="queued", trigger="scheduler_assigned", sets={column: 1}
        )
        with database.write() as connection, pytest.raises(InvariantError, match=column):
            write(connection, {head.id: head}, [step], at=LATER)


def test_a_step_of_another_machine_is_refused(database: Database, world: World) -> None:
    """A step says which machine it means, and that must be the entity's own."""
    step = Step(head_id=world.task.id, machine="run", to="running", trigger="scheduling_started")
    with database.write() as connection, pytest.raises(InvariantError, match="is a task"):
        write(connection, {world.task.id: world.task.head}, [step], at=LATER)


def test_times_never_run_backwards_even_if_the_clock_does(database: Database, world: World) -> None:
    """A clock that was set back cannot break created <= started <= completed."""
    early = NOW - timedelta(hours=1)
    with database.write() as connection:
        heads = write(connection, {world.run.id: world.run.head}, [run_steps.start(world.run)], at=LATER)
        write(connection, heads, [run_steps.succeed(world.run, new_head="b" * 40)], at=early)
        row = runs.get(connection, world.run.id)
    assert (row.created_at, row.started_at, row.completed_at, row.changed_at) == (NOW, LATER, LATER, LATER)


def test_a_naive_time_is_refused(database: Database, world: World) -> None:
    """A time without a zone is refused at the edge."""
    naive = NOW.replace(tzinfo=None)
    with database.write() as connection, pytest.raises(ValueError, match="without a zone"):
        write(connection, {world.run.id: world.run.head}, [run_steps.start(world.run)], at=naive)


def test_a_task_that_leaves_running_has_no_worker(database: Database, world: World) -> None:
    """Only running tasks have a worker, however they leave that state."""
    for leave in (
        task_steps.produced,
        lambda task: task_steps.retry(task, REASON, trigger="worker_lost", lost_count=1),
        lambda task: task_steps.fail(task, REASON, trigger="retries_exhausted"),
        lambda task: task_steps.cancel(task, REASON),
    ):
        with database.write() as connection:
            head = fresh(connection, world, "task")
            steps = [task_steps.queue(head), task_steps.start(head, worker_id=world.worker.id)]
            heads = write(connection, {head.id: head}, steps, at=LATER)
            assert tasks.get(connection, head.id).worker_id == world.worker.id
            write(connection, heads, [leave(head)], at=LATER)
            assert tasks.get(connection, head.id).worker_id is None


def test_values_come_back_as_they_were_set(database: Database, world: World) -> None:
    """Reasons, times and counts are read as they were set; what no text can hold becomes U+FFFD."""
    heads: dict[str, Head] = {}
    with database.write() as connection:
        for row in (world.patch, world.gate, world.breaker):
            heads[row.id] = row.head
        steps = [
            patch_steps.quarantine(world.patch, REASON, trigger="validation_failed"),
            gate_steps.start(world.gate, uet_worker_id=world.uet_worker.id),
            gate_steps.fail(world.gate, exit_code=-9, output="\x00\udcffü", is_flaky=True, attempts=2),
            breaker_steps.trip(world.breaker, REASON, operator="ada"),
        ]
        write(connection, heads, steps, at=LATER)
        patch, gate = patches.get(connection, world.patch.id), gates.get(connection, world.gate.id)
        breaker = breakers.get(connection, world.breaker.id)
    assert (patch.quarantine_reason, patch.reason) == (REASON, REASON)
    assert (gate.exit_code, gate.output, gate.is_flaky, gate.attempts) == (-9, "\ufffd\ufffdü", True, 2)
    assert (breaker.opened_at, breaker.reason) == (LATER, REASON)


def test_creation_returns_the_rows_as_they_are_stored(database: Database, world: World) -> None:
    """The rows that insert_many returns are those of a later read."""
    for machine in MACHINES:
        made = world.of(machine)
        with database.read() as connection:
            assert DAO[machine].get(connection, made.id) == made
        assert made.head == replace(made.head, state=str(MACHINES[machine].initial), version=1)


def test_an_entity_is_created_in_its_initial_state_only(database: Database) -> None:
    """No row skips its machine."""
    run = make_run(state=RunState.SUCCEEDED)
    with database.write() as connection, pytest.raises(InvariantError, match="succeeded"):
        runs.insert_many(connection, [run], at=NOW)


def test_numbers_have_no_gap_after_a_rollback(database: Database, world: World) -> None:
    """A transaction that is rolled back gives its numbers back."""
    before = stored_rows(database, "counters")

    def stop() -> None:
        with database.write() as connection:
            write(connection, {world.run.id: world.run.head}, [run_steps.start(world.run)], at=LATER)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert stored_rows(database, "counters") == before


def test_heads_carry_what_the_entity_belongs_to(world: World) -> None:
    """A head knows its run, workstream and task, so that its events do."""
    assert world.patch.head.context == Context(
        run_id=world.run.id, workstream_id=world.workstream.id, task_id=world.task.id
    )
    assert world.gate.head.context == Context(run_id=world.run.id, workstream_id=world.workstream.id)
    assert world.worker.head.context == Context()
