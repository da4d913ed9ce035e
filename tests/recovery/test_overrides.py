"""What an operator may decide: only what the tables, the needs and the gates leave to decide."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from maingate.db.dao import approvals, patches, tasks
from maingate.db.dao.requests import Override
from maingate.db.engine import Database, open_database
from maingate.errors import UsageError
from maingate.recovery import overrides
from maingate.recovery.overrides import Facts, TaskFacts, WorkstreamFacts
from maingate.state.task import TASK as TASK_MACHINE
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from support.database_factories import (
    NOW,
    World,
    bring_to,
    make_patch,
    make_task,
    make_world,
)

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


TASK = TaskFacts(
    name="t", kind="command", state=TaskState.QUEUED, workstream=WorkstreamState.EXECUTING, unmet=()
)
STREAM = WorkstreamFacts(name="w", state=WorkstreamState.EXECUTING)


@pytest.mark.parametrize("state", TaskState)
def test_a_task_is_forced_to_its_end_from_wherever_it_has_begun_or_may_begin(state: TaskState) -> None:
    """What has ended stays ended, and what is blocked waits for others."""
    facts = replace(TASK, state=state)
    is_refused = TASK_MACHINE.is_terminal(state) or state is TaskState.BLOCKED
    assert (overrides.refusal("force-complete", facts) is not None) is is_refused
    assert (overrides.refusal("force-fail", facts) is not None) is is_refused
    assert (overrides.refusal("reset", facts) is None) is (state is TaskState.RETRYING)
    assert (overrides.refusal("unblock", facts) is None) is (state is TaskState.BLOCKED)


@pytest.mark.parametrize("state", WorkstreamState)
def test_a_workstream_is_decided_about_while_it_is_under_way(state: WorkstreamState) -> None:
    """It fails as long as it has not landed; it is sent to land only once."""
    facts = replace(STREAM, state=state)
    under_way = {WorkstreamState.EXECUTING, WorkstreamState.VALIDATING}
    assert (overrides.refusal("fail", facts) is None) is (state in under_way)
    assert (overrides.refusal("validate", facts) is None) is (state is WorkstreamState.EXECUTING)


@pytest.mark.parametrize(
    ("override", "facts", "said"),
    [
        ("force-complete", replace(TASK, kind="patch", state=TaskState.COMPLETED), "makes a patch"),
        ("force-complete", replace(TASK, kind="tool"), "makes a patch"),
        ("force-complete", replace(TASK, workstream=WorkstreamState.READY), "has not begun"),
        (
            "force-fail",
            replace(TASK, state=TaskState.BLOCKED, unmet=("a", "b")),
            "waits for a, b and has",
        ),
        ("unblock", replace(TASK, state=TaskState.BLOCKED, unmet=("a",)), "waits for a; complete or cancel"),
        ("reset", replace(TASK, state=TaskState.FAILED), "patch recover"),
        ("fail", replace(STREAM, state=WorkstreamState.BLOCKED), "is blocked; it has not begun"),
        ("fail", replace(STREAM, state=WorkstreamState.SKIPPED), "is skipped; what has ended stays ended"),
        ("validate", replace(STREAM, indispensable=("a", "b")), "cannot land without a, b"),
        ("validate", replace(STREAM, state=WorkstreamState.VALIDATING), "its gates decide"),
        ("fail", TASK, "nothing that can be decided about t"),
        ("reset", STREAM, "nothing that can be decided about w"),
    ],
)
def test_a_refusal_says_what_to_do(override: Override, facts: Facts, said: str) -> None:
    """Ends, needs and gates cannot be overridden (docs/SPECIFICATION.md §1, rules 1, 6 and 8)."""
    assert said in str(overrides.refusal(override, facts))


def test_what_suits_is_told_by_what_is_on_record(database: Database, world: World) -> None:
    """As the core tells it by its picture."""
    done = add_task(database, world, "done", "completed", kind="noop")
    first = add_task(database, world, "first", "queued", kind="command")
    second = add_task(database, world, "second", "blocked", needs=first, is_critical=False)
    with database.write() as conn:
        tasks.add_needs(conn, [(second, done)])
    with database.read() as conn:
        assert overrides.facts_of(conn, "unblock", second) == (
            world.run.id,
            replace(TASK, name="second", kind="patch", state=TaskState.BLOCKED, unmet=["first"]),
        )
        run_id, stream = overrides.facts_of(conn, "validate", world.workstream.id)
        assert run_id == world.run.id
        assert isinstance(stream, WorkstreamFacts)
        assert set(stream.indispensable) == {world.task.name, "first"}


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
    """What landed is for `maingate rollback`, and the refusal says so."""
    with database.write() as conn:
        bring_to(conn, world.patch.head, "committed")
    with pytest.raises(UsageError, match="rollback"), database.write() as conn:
        overrides.drop_patch(conn, patches.get(conn, world.patch.id), **SAID, at=NOW)
