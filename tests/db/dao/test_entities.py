"""Reading entities, on both databases: order, pages, what belongs to what, and notes beside the state."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from maingate.db.dao import breakers, gates, patches, runs, tasks, uet_workers, workers, workstreams
from maingate.db.engine import Database
from maingate.db.transitions import Step, write
from maingate.errors import UnknownEntityError
from maingate.ids import new_id
from maingate.state.machines import MACHINES
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
    """Asking for an id that nobody has is a clear error; asking for many gives those that are there."""
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
        write(connection, {other.id: other}, [runs.cancel(other, REASON)], at=LATER)
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
    """What an entity needs is read by run; recording a pair twice is recording it once."""
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
            [patches.quarantine(newer, REASON, trigger="validation_failed")],
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
    """Heads, heartbeats, loads and failure counts are facts beside the state."""
    notes: list[Any] = [
        lambda connection: runs.record_head(connection, world.run.id, "c" * 40),
        lambda connection: workers.heartbeat(connection, {world.worker.id: LATER}),
        lambda connection: workers.set_load(connection, world.worker.id, 1),
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
    assert (worker.heartbeat_at, worker.current_load, breaker.failures) == (LATER, 1, 3)
    assert {run.version, workstream.version, worker.version, breaker.version} == {1}


def test_a_note_on_nothing_is_an_error(database: Database) -> None:
    """A note on an entity that does not exist is not lost silently."""
    with database.write() as connection, pytest.raises(UnknownEntityError):
        runs.record_head(connection, "nobody", "c" * 40)


def test_workers_slots_and_breakers_are_listed(database: Database, world: World) -> None:
    """The living workers, a worker's slots, and every breaker."""
    with database.write() as connection:
        gone = fresh(connection, world, "worker")
        steps = [workers.register(gone), workers.shut_down(gone)]
        write(connection, {gone.id: gone}, steps, at=LATER)
        assert [row.id for row in workers.alive(connection)] == [world.worker.id]
        assert uet_workers.of_worker(connection, world.worker.id) == [world.uet_worker]
        assert breakers.all_of(connection) == [world.breaker]
        assert breakers.of_tool(connection, "nothing") is None


def steps_of(world: World) -> dict[str, list[Step]]:
    """Give every verb's step, by machine."""
    run, stream, task, worker = world.run, world.workstream, world.task, world.worker
    slot, patch, gate, breaker = world.uet_worker, world.patch, world.gate, world.breaker
    return {
        "run": [runs.start(run), runs.succeed(run), runs.fail(run, REASON), runs.cancel(run, REASON)],
        "workstream": [
            workstreams.ready(stream),
            workstreams.block(stream, REASON),
            workstreams.start(stream, base_commit="a"),
            workstreams.validate(stream),
            workstreams.complete(stream, "b"),
            workstreams.fail(stream, REASON, trigger="critical_task_failed"),
            workstreams.fail(stream, REASON, trigger="validation_failed"),
            workstreams.skip(stream, REASON),
            workstreams.skip(stream, REASON, trigger="disabled"),
            workstreams.cancel(stream, REASON),
        ],
        "task": [
            tasks.queue(task),
            tasks.requeue(task),
            tasks.block(task),
            tasks.unblock(task),
            tasks.start(task, worker_id=worker.id),
            tasks.produced(task),
            tasks.retry(task, REASON, trigger="execution_failed", retry_count=1, after=timedelta(seconds=1)),
            tasks.retry(task, REASON, trigger="worker_lost", lost_count=1),
            tasks.retry(task, REASON, trigger="validation_failed"),
            tasks.fail(task, REASON, trigger="retries_exhausted"),
            tasks.fail(task, REASON, trigger="validation_failed"),
            tasks.complete(task),
            tasks.cancel(task, REASON),
        ],
        "worker": [
            workers.register(worker),
            workers.assign(worker),
            workers.finish(worker),
            workers.miss_heartbeat(worker),
            workers.recover(worker),
            workers.give_up(worker, REASON),
            workers.shut_down(worker),
            workers.reject_registration(worker, REASON),
            workers.vanish(worker, REASON),
        ],
        "uet_worker": [
            uet_workers.ready(slot),
            uet_workers.assign(slot),
            uet_workers.finish(slot),
            uet_workers.drain(slot),
            uet_workers.drained(slot),
            uet_workers.shut_down(slot),
            uet_workers.crash(slot, REASON),
            uet_workers.spawn_failed(slot, REASON),
        ],
        "patch_ledger": [
            patches.validate(patch),
            patches.enqueue(patch),
            patches.applied(patch, method="exact"),
            patches.apply_failed(patch, REASON),
            patches.apply_again(patch),
            patches.verify(patch),
            patches.commit(patch),
            patches.quarantine(patch, REASON, trigger="validation_failed"),
            patches.quarantine(patch, REASON, trigger="policy_violation"),
            patches.quarantine(patch, REASON, trigger="gates_failed"),
            patches.quarantine(patch, REASON, trigger="apply_attempts_exhausted"),
            patches.drop(patch, REASON),
            patches.roll_back(patch, REASON),
        ],
        "test_gate": [
            gates.start(gate),
            gates.pass_(gate, exit_code=0, output=""),
            gates.fail(gate, exit_code=1, output=""),
            gates.fail(gate, exit_code=-9, output="", trigger="timeout_exceeded"),
            gates.block(gate),
            gates.unblock(gate),
        ],
        "circuit_breaker": [
            breakers.trip_open(breaker, REASON),
            breakers.half_open(breaker),
            breakers.close(breaker),
            breakers.reopen(breaker, REASON),
            breakers.reset(breaker, REASON, operator="ada"),
            breakers.trip(breaker, REASON, operator="ada"),
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
