"""Reading entities, on both databases: order, pages, relations, and columns beside the state."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from maingate.db.dao import breakers, gates, patches, runs, tasks, uet_workers, workers, workstreams
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.errors import UnknownEntityError
from maingate.ids import new_id
from maingate.state.machines import MACHINES
from maingate.state.steps import breakers as breaker_steps
from maingate.state.steps import gates as gate_steps
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import runs as run_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.steps import uet_workers as uet_worker_steps
from maingate.state.steps import workers as worker_steps
from maingate.state.steps import workstreams as workstream_steps
from maingate.state.steps.step import Step
from support.database_factories import (
    DAO,
    NOW,
    REASON,
    World,
    bring_to,
    fresh,
    make_gate,
    make_patch,
    make_run,
    make_task,
    make_workstream,
)

LATER = NOW + timedelta(seconds=1)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_does_not_exist_is_unknown(database: Database, machine: str) -> None:
    """An unknown id is a clear error; of many ids those that exist are returned."""
    with database.read() as connection:
        with pytest.raises(UnknownEntityError, match="nobody"):
            DAO[machine].get(connection, "nobody")
        assert DAO[machine].get_many(connection, ["nobody"]) == {}


def test_many_are_read_by_id(database: Database, world: World) -> None:
    """More ids than one statement takes are read all the same."""
    more = [make_task(world.workstream, name=str(number), position=number) for number in range(1200)]
    with database.write() as connection:
        made = tasks.insert_many(connection, more, at=NOW)
        assert tasks.get_many(connection, [row.id for row in made]) == {row.id: row for row in made}


def test_every_value_of_a_row_survives(database: Database, world: World) -> None:
    """Rows with every column filled, with odd text, paths and JSON, are read as they were written."""
    run = make_run(
        name="ünïcode ' \" ; --",
        repository="/odd/\udcff/repo",
        landing="squash",
        strict=False,
        plan={"a": [1, None, {"b": "\x00"}]},
        plan_file='"quoted".yaml',
        old_head="a" * 40,
        new_head="b" * 40,
        retry_of=world.run.id,
        reason=REASON,
    )
    patch = make_patch(
        world.task, paths=("a b", "\udcff"), repairs=("recounted",), origin={"tool": "x"}, summary="s" * 512
    )
    worker = workers.WorkerRow(
        id=new_id("wrk"),
        name="w",
        host="h",
        pid=1,
        capabilities=("python",),
        affinity={"gpu": True},
        heartbeat_at=LATER,
    )
    with database.write() as connection:
        made = [
            *runs.insert_many(connection, [run], at=NOW),
            *patches.insert_many(connection, [patch], at=NOW),
            *workers.insert_many(connection, [worker], at=NOW),
        ]
        found = [
            runs.get(connection, run.id),
            patches.get(connection, patch.id),
            workers.get(connection, worker.id),
        ]
    assert found == made


def test_runs_are_listed_newest_first_in_pages(database: Database) -> None:
    """A list of runs begins with the newest; a page goes on after the last of the one before."""
    ids = []
    with database.write() as connection:
        assert runs.newest(connection) is None
        for second in range(5):
            [row] = runs.insert_many(connection, [make_run()], at=NOW + timedelta(seconds=second))
            ids.append(row.id)
        first = runs.recent(connection, limit=2)
        second_page = runs.recent(connection, limit=2, before=first[-1].id)
        newest = runs.newest(connection)
    assert [row.id for row in first] == [ids[4], ids[3]]
    assert [row.id for row in second_page] == [ids[2], ids[1]]
    assert newest is not None
    assert newest.id == ids[4]


def test_unfinished_runs_are_those_that_have_not_ended(database: Database, world: World) -> None:
    """A run that ended is not taken up again."""
    with database.write() as connection:
        other = fresh(connection, world, "run")
        write(connection, {other.id: other}, [run_steps.cancel(other, REASON)], at=LATER)
        assert [row.id for row in runs.unfinished(connection)] == [world.run.id]


def test_workstreams_and_tasks_come_in_the_order_of_the_plan(database: Database, world: World) -> None:
    """Order is by place in the plan, never by name or id."""
    with database.write() as connection:
        second = make_workstream(world.run, name="a", position=1)
        workstreams.insert_many(connection, [second], at=NOW)
        rows = [
            make_task(second, name="z", position=0),
            make_task(world.workstream, name="a", position=2),
            make_task(world.workstream, name="b", position=1),
        ]
        tasks.insert_many(connection, rows, at=NOW)
        assert [row.name for row in workstreams.of_run(connection, world.run.id)] == ["parser", "a"]
        assert [row.name for row in tasks.of_run(connection, world.run.id)] == ["drop-regex", "b", "a", "z"]
        assert [row.name for row in tasks.of_workstream(connection, second.id)] == ["z"]


def test_needs_are_kept_per_run_in_the_order_of_the_plan(database: Database, world: World) -> None:
    """Needs are read by run; recording a pair twice is recording it once."""
    with database.write() as connection:
        rows = [make_task(world.workstream, name=str(number), position=number) for number in (3, 2, 1)]
        tasks.insert_many(connection, rows, at=NOW)
        three, two, one = rows
        tasks.add_needs(connection, [(three.id, two.id), (three.id, one.id), (two.id, one.id)])
        tasks.add_needs(connection, [(two.id, one.id)])
        streams = [make_workstream(world.run, name="other", position=5)]
        workstreams.insert_many(connection, streams, at=NOW)
        workstreams.add_needs(connection, [(streams[0].id, world.workstream.id)])
        assert tasks.needs(connection, world.run.id) == {three.id: (one.id, two.id), two.id: (one.id,)}
        assert workstreams.needs(connection, world.run.id) == {streams[0].id: (world.workstream.id,)}
        assert tasks.needs(connection, "another") == {}


def test_patches_are_listed_newest_first_by_state_and_run(database: Database, world: World) -> None:
    """The ledger can be narrowed to a run and a state."""
    with database.write() as connection:
        [newer] = patches.insert_many(connection, [make_patch(world.task)], at=LATER)
        write(
            connection,
            {newer.id: newer.head},
            [patch_steps.quarantine(newer, REASON, trigger="validation_failed")],
            at=LATER,
        )
        assert [row.id for row in patches.listed(connection)] == [newer.id, world.patch.id]
        assert [row.id for row in patches.listed(connection, limit=1)] == [newer.id]
        assert [row.id for row in patches.listed(connection, state="quarantined")] == [newer.id]
        assert patches.listed(connection, state="quarantined", run_id="another") == []
        assert [row.id for row in patches.of_task(connection, world.task.id)] == [world.patch.id, newer.id]
        assert [row.id for row in patches.of_run(connection, world.run.id)] == [world.patch.id, newer.id]


def test_gates_are_read_by_what_they_look_at(database: Database, world: World) -> None:
    """A patch's gates, a workstream's, a run's."""
    with database.write() as connection:
        [final] = gates.insert_many(
            connection, [make_gate(world.patch, patch_id=None, name="lint")], at=LATER
        )
        assert [row.id for row in gates.of_patch(connection, world.patch.id)] == [world.gate.id]
        assert [row.id for row in gates.of_workstream(connection, world.workstream.id)] == [
            world.gate.id,
            final.id,
        ]
        assert [row.id for row in gates.of_run(connection, world.run.id)] == [world.gate.id, final.id]


def test_notes_that_are_no_transitions_leave_version_and_audit_alone(
    database: Database, world: World
) -> None:
    """Heads, heartbeats and failure counts are facts beside the state."""
    notes: list[Any] = [
        lambda connection: runs.record_head(connection, world.run.id, "c" * 40),
        lambda connection: workers.heartbeat(connection, {world.worker.id: LATER}),
        lambda connection: breakers.count_failures(connection, world.breaker.id, 3),
    ]
    with database.write() as connection:
        for note in notes:
            note(connection)
        run = runs.get(connection, world.run.id)
        workstream = workstreams.get(connection, world.workstream.id)
        worker = workers.get(connection, world.worker.id)
        breaker = breakers.of_tool(connection, world.breaker.tool)
    assert breaker is not None
    assert run.new_head == "c" * 40
    assert (worker.heartbeat_at, breaker.failures) == (LATER, 3)
    assert {run.version, workstream.version, worker.version, breaker.version} == {1}


def test_a_note_on_nothing_is_an_error(database: Database) -> None:
    """A note on an entity that does not exist is not lost silently."""
    with database.write() as connection, pytest.raises(UnknownEntityError):
        runs.record_head(connection, "nobody", "c" * 40)


def test_workers_slots_and_breakers_are_listed(database: Database, world: World) -> None:
    """The living workers, the slots of workers that have some, and every breaker."""
    with database.write() as connection:
        gone = fresh(connection, world, "worker")
        steps = [worker_steps.register(gone), worker_steps.shut_down(gone)]
        write(connection, {gone.id: gone}, steps, at=LATER)
        assert [row.id for row in workers.alive(connection)] == [world.worker.id]
        slots = uet_workers.of_workers(connection, [gone.id, world.worker.id])
        assert slots == {world.worker.id: [world.uet_worker]}
        assert breakers.all_of(connection) == [world.breaker]
        assert breakers.of_tool(connection, "nothing") is None


def steps_of(world: World) -> dict[str, list[Step]]:
    """Return every verb's step, by machine."""
    run, stream, task, worker = world.run, world.workstream, world.task, world.worker
    slot, patch, gate, breaker = world.uet_worker, world.patch, world.gate, world.breaker
    return {
        "run": [
            run_steps.start(run),
            run_steps.succeed(run),
            run_steps.fail(run, REASON),
            run_steps.cancel(run, REASON),
        ],
        "workstream": [
            workstream_steps.ready(stream),
            workstream_steps.block(stream, REASON),
            workstream_steps.start(stream, base_commit="a"),
            workstream_steps.validate(stream),
            workstream_steps.complete(stream, "b"),
            workstream_steps.fail(stream, REASON, trigger="critical_task_failed"),
            workstream_steps.fail(stream, REASON, trigger="validation_failed"),
            workstream_steps.skip(stream, REASON),
            workstream_steps.skip(stream, REASON, trigger="disabled"),
            workstream_steps.cancel(stream, REASON),
        ],
        "task": [
            task_steps.queue(task),
            task_steps.requeue(task),
            task_steps.block(task),
            task_steps.unblock(task),
            task_steps.start(task, worker_id=worker.id),
            task_steps.produced(task),
            task_steps.retry(
                task, REASON, trigger="execution_failed", retry_count=1, after=timedelta(seconds=1)
            ),
            task_steps.retry(task, REASON, trigger="worker_lost", lost_count=1),
            task_steps.retry(task, REASON, trigger="validation_failed"),
            task_steps.fail(task, REASON, trigger="retries_exhausted"),
            task_steps.fail(task, REASON, trigger="validation_failed"),
            task_steps.complete(task),
            task_steps.cancel(task, REASON),
        ],
        "worker": [
            worker_steps.register(worker),
            worker_steps.assign(worker),
            worker_steps.finish(worker),
            worker_steps.miss_heartbeat(worker),
            worker_steps.recover(worker),
            worker_steps.give_up(worker, REASON),
            worker_steps.shut_down(worker),
            worker_steps.reject_registration(worker, REASON),
            worker_steps.vanish(worker, REASON),
        ],
        "uet_worker": [
            uet_worker_steps.ready(slot),
            uet_worker_steps.assign(slot),
            uet_worker_steps.finish(slot),
            uet_worker_steps.drain(slot),
            uet_worker_steps.drained(slot),
            uet_worker_steps.shut_down(slot),
            uet_worker_steps.crash(slot, REASON),
            uet_worker_steps.spawn_failed(slot, REASON),
        ],
        "patch_ledger": [
            patch_steps.validate(patch),
            patch_steps.enqueue(patch),
            patch_steps.applied(patch, method="exact"),
            patch_steps.apply_failed(patch, REASON),
            patch_steps.apply_again(patch),
            patch_steps.verify(patch),
            patch_steps.commit(patch),
            patch_steps.quarantine(patch, REASON, trigger="validation_failed"),
            patch_steps.quarantine(patch, REASON, trigger="policy_violation"),
            patch_steps.quarantine(patch, REASON, trigger="gates_failed"),
            patch_steps.quarantine(patch, REASON, trigger="apply_attempts_exhausted"),
            patch_steps.drop(patch, REASON),
            patch_steps.roll_back(patch, REASON),
        ],
        "test_gate": [
            gate_steps.start(gate),
            gate_steps.pass_(gate, exit_code=0, output=""),
            gate_steps.fail(gate, exit_code=1, output=""),
            gate_steps.fail(gate, exit_code=-9, output="", trigger="timeout_exceeded"),
            gate_steps.block(gate),
            gate_steps.unblock(gate),
        ],
        "circuit_breaker": [
            breaker_steps.trip_open(breaker, REASON),
            breaker_steps.half_open(breaker),
            breaker_steps.close(breaker),
            breaker_steps.reopen(breaker, REASON),
            breaker_steps.reset(breaker, REASON, operator="ada"),
            breaker_steps.trip(breaker, REASON, operator="ada"),
        ],
    }


def test_the_verbs_are_exactly_the_transitions(database: Database, world: World) -> None:
    """Every (state reached, trigger) of a machine has a verb, no verb names another, all can be written."""
    for machine, steps in steps_of(world).items():
        table = MACHINES[machine]
        assert {(step.to, step.trigger) for step in steps} == {
            (str(to), trigger) for _, to, trigger in table.transitions
        }
        for step in steps:
            assert step.machine == machine
    for machine, steps in steps_of(world).items():
        for step in steps:
            for state in MACHINES[machine].states:
                if MACHINES[machine].allows(state, step.to, step.trigger):
                    write_from(database, world, machine, state, step)


def write_from(database: Database, world: World, machine: str, state: str, step: Step) -> None:
    """Write a verb's step on an entity that is in a state; the database accepts what the verb sets."""
    with database.write() as connection:
        head = bring_to(connection, fresh(connection, world, machine), state)
        write(connection, {head.id: head}, [replace(step, head_id=head.id)], at=LATER)
        assert DAO[machine].get(connection, head.id).state == step.to
