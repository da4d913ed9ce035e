"""What an operator decides is on record, obeys the tables, and goes as far as the program's own decision."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from database_factories import (
    NOW,
    World,
    bring_to,
    make_patch,
    make_task,
    make_workstream,
    make_world,
)
from headgate.db.audit import verify
from headgate.db.dao import approvals, events, patches, tasks, workstreams
from headgate.db.dao.tasks import TaskRow
from headgate.db.engine import Database, open_database
from headgate.errors import UsageError
from headgate.recovery import overrides
from headgate.state.patch_ledger import PatchState
from headgate.state.task import TaskState
from headgate.state.workstream import WorkstreamState

SAID = {"message": "it is time", "operator": "ada"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give an empty database."""
    opened = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    opened.upgrade()
    yield opened
    opened.close()


@pytest.fixture
def world(database: Database) -> World:
    """Give one of every entity; the workstream is executing."""
    with database.write() as conn:
        made = make_world(conn)
        bring_to(conn, made.workstream.head, "executing")
        return made


def add_task(database: Database, world: World, name: str, state: str, needs: str = "", **row: object) -> str:
    """Add a task to the workstream, in a state."""
    with database.write() as conn:
        task = make_task(world.workstream, name=name, **row)
        [made] = tasks.insert_many(conn, [task], at=NOW)
        if needs:
            tasks.add_needs(conn, [(made.id, needs)])
        bring_to(conn, made.head, state)
        return made.id


def read(database: Database, task_id: str) -> TaskRow:
    """Read a task."""
    with database.read() as conn:
        return tasks.get(conn, task_id)


def test_what_needs_a_step_may_begin_when_it_is_taken_as_done(database: Database, world: World) -> None:
    """Only those whose needs are all completed; the others wait on."""
    step = add_task(database, world, "step", "retrying", kind="command")
    next_one = add_task(database, world, "next", "blocked", needs=step)
    later = add_task(database, world, "later", "blocked", needs=next_one)
    with database.write() as conn:
        overrides.force_complete(conn, tasks.get(conn, step), **SAID, at=NOW)
    found = [read(database, each).state for each in (step, next_one, later)]
    assert found == [TaskState.COMPLETED, TaskState.QUEUED, TaskState.BLOCKED]
    with database.read() as conn:
        [event] = events.query(conn, type="manual_override")
    assert (event.trigger, event.operator, event.metadata["state_before"]) == (
        "force-complete",
        "ada",
        "retrying",
    )
    assert verify(database).is_intact


def test_a_failure_that_is_not_critical_ends_only_what_needs_it(database: Database, world: World) -> None:
    """All the way down; the workstream goes on with the rest."""
    step = add_task(database, world, "step", "running", kind="command", is_critical=False)
    next_one = add_task(database, world, "next", "blocked", needs=step)
    later = add_task(database, world, "later", "blocked", needs=next_one)
    with database.write() as conn:
        overrides.force_fail(conn, tasks.get(conn, step), **SAID, at=NOW)
        assert workstreams.get(conn, world.workstream.id).state is WorkstreamState.EXECUTING
    found = [read(database, each).state for each in (step, next_one, later)]
    assert found == [TaskState.FAILED, TaskState.CANCELLED, TaskState.CANCELLED]
    assert read(database, step).worker_id is None


def test_a_workstream_that_fails_takes_its_patches_and_its_dependents_along(
    database: Database, world: World
) -> None:
    """Nothing of it lands, and what needs it is skipped with the reason."""
    with database.write() as conn:
        bring_to(conn, world.patch.head, "verified")
        bring_to(conn, world.task.head, "completed")
        open_task = tasks.insert_many(conn, [make_task(world.workstream, name="open")], at=NOW)[0]
        after = workstreams.insert_many(conn, [make_workstream(world.run, name="after")], at=NOW)[0]
        workstreams.add_needs(conn, [(after.id, world.workstream.id)])
    with database.write() as conn:
        row = workstreams.get(conn, world.workstream.id)
        overrides.fail_workstream(conn, row, **SAID, at=NOW)
    with database.read() as conn:
        assert workstreams.get(conn, world.workstream.id).state is WorkstreamState.FAILED
        assert workstreams.get(conn, after.id).state is WorkstreamState.SKIPPED
        assert patches.get(conn, world.patch.id).state is PatchState.DROPPED
        assert tasks.get(conn, open_task.id).state is TaskState.CANCELLED
    assert verify(database).is_intact


def test_a_task_that_waits_for_a_retry_begins_at_once(database: Database, world: World) -> None:
    """With all its retries before it again; no other state can be reset."""
    waiting = add_task(database, world, "w", "retrying", retry_count=2)
    with database.write() as conn:
        overrides.reset_task(conn, tasks.get(conn, waiting), **SAID, at=NOW)
    assert (read(database, waiting).state, read(database, waiting).retry_count) == (TaskState.QUEUED, 0)
    done = add_task(database, world, "d", "completed")
    with pytest.raises(UsageError, match="stays ended"), database.write() as conn:
        overrides.reset_task(conn, tasks.get(conn, done), **SAID, at=NOW)


def test_what_waits_is_not_forced_and_what_is_open_keeps_others_waiting(
    database: Database, world: World
) -> None:
    """SSOT §1, rule 6: a task may begin only when every task it needs is completed."""
    first = add_task(database, world, "first", "queued", kind="command")
    blocked = add_task(database, world, "b", "blocked", needs=first, kind="noop")
    for verb in (overrides.force_complete, overrides.force_fail, overrides.unblock):
        with pytest.raises(UsageError, match="first"), database.write() as conn:
            verb(conn, tasks.get(conn, blocked), **SAID, at=NOW)
    assert read(database, blocked).state is TaskState.BLOCKED


def test_the_last_task_sends_its_workstream_to_the_lane(database: Database) -> None:
    """With the newest commit that was settled on its ref."""
    with database.write() as conn:
        made = make_world(conn, name="other")
        bring_to(conn, made.workstream.head, "executing")
        bring_to(conn, made.patch.head, "verified")
        bring_to(conn, made.task.head, "completed")
        [last] = tasks.insert_many(conn, [make_task(made.workstream, name="z", kind="noop")], at=NOW)
    with database.write() as conn:
        overrides.force_complete(conn, last, **SAID, at=NOW)
        assert workstreams.get(conn, made.workstream.id).state is WorkstreamState.VALIDATING


def test_who_approves_twice_counts_once(database: Database, world: World) -> None:
    """Approvals are counted by person; of a patch that is decided none is taken."""
    with database.write() as conn:
        row = patches.get(conn, world.patch.id)
        given = [
            overrides.approve_patch(conn, row, message="good", operator=name, at=NOW)
            for name in ("ada", "grace", "ada")
        ]
        assert given == [True, True, False]
        assert approvals.count(conn, row.id) == 2
        assert [each.operator for each in approvals.of_patch(conn, row.id)] == ["ada", "grace"]
        gone = make_patch(world.task)
        patches.insert_many(conn, [gone], at=NOW)
        bring_to(conn, gone.head, "dropped")
    with pytest.raises(UsageError, match="nothing any more"), database.write() as conn:
        overrides.approve_patch(conn, patches.get(conn, gone.id), message="", operator="a", at=NOW)


def test_only_what_is_quarantined_can_be_dropped(database: Database, world: World) -> None:
    """What landed is for `headgate rollback`, and the refusal says so."""
    with database.write() as conn:
        bring_to(conn, world.patch.head, "committed")
    with pytest.raises(UsageError, match="rollback"), database.write() as conn:
        overrides.drop_patch(conn, patches.get(conn, world.patch.id), **SAID, at=NOW)
