"""Asking for something to be cancelled or decided by hand, and waiting for what comes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from maingate.clock import SystemClock
from maingate.db.dao import requests, tasks
from maingate.db.engine import Database
from maingate.errors import UnknownEntityError, UsageError
from maingate.orchestrator import operator_requests
from maingate.orchestrator.core.events import CancelRequested, OverrideRequested
from maingate.reasons import Reason, ReasonCode
from maingate.state.operator_rules import RequestAnswer, TaskFacts, WorkstreamFacts
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from support.database_factories import World, bring_to, make_task, make_world

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class HastyClock(SystemClock):
    """A clock by which seconds pass whenever somebody looks at it."""

    seconds: float = 0.0

    def now(self) -> datetime:
        """Return always the same."""
        return NOW

    def monotonic(self) -> float:
        """Let four seconds pass."""
        self.seconds += 4
        return self.seconds


@pytest.fixture
def world(database: Database) -> World:
    """Give one of every entity."""
    with database.write() as conn:
        return make_world(conn)


def ask(database: Database, entity_id: str) -> requests.Request:
    """Ask for something to be cancelled."""
    return operator_requests.to_cancel(database, HastyClock(), entity_id, message="enough", operator="ada")


@pytest.mark.parametrize("machine", ["run", "workstream", "task"])
def test_a_wish_is_on_record_for_the_run_that_it_is_about(
    database: Database, world: World, machine: str
) -> None:
    """Whichever process controls the run finds it there, and knows who wants what and why."""
    request = ask(database, world.of(machine).id)
    with database.read() as conn:
        assert requests.waiting(conn, world.run.id) == [request]
    assert operator_requests.heard(request) == CancelRequested(
        reason=Reason(
            code=ReasonCode.CANCELLED, message="ada cancelled it: enough", detail={"operator": "ada"}
        ),
        entity=world.of(machine).id,
        request=request.id,
    )


def test_what_has_ended_or_does_not_exist_is_refused(database: Database, world: World) -> None:
    """Nothing is written down then."""
    with database.write() as conn:
        bring_to(conn, world.task.head, "completed")
    with pytest.raises(UsageError, match="is completed already; there is nothing to cancel"):
        ask(database, world.task.id)
    with pytest.raises(UnknownEntityError):
        ask(database, "task_nobody")
    with database.read() as conn:
        assert requests.waiting(conn, world.run.id) == []


def test_without_a_process_nobody_answers(database: Database, world: World) -> None:
    """It is not waited for."""
    request = ask(database, world.task.id)
    clock = HastyClock()
    assert operator_requests.await_answer(database, clock, request, is_alive=lambda: False) is None
    assert clock.seconds == 4


def test_an_answer_is_heard_though_its_process_has_ended_since(database: Database, world: World) -> None:
    """It answers, and ends: whoever looks only then still learns it."""
    request = ask(database, world.task.id)

    def answers_and_ends() -> bool:
        with database.write() as conn:
            requests.answer(conn, RequestAnswer(request=request.id, said="it is cancelled"), NOW)
        return False

    said = operator_requests.await_answer(database, HastyClock(), request, is_alive=answers_and_ends)
    assert said == "it is cancelled"


def test_a_process_that_does_not_answer_is_not_waited_for_endlessly(database: Database, world: World) -> None:
    """The wish stays on record."""
    request = ask(database, world.task.id)
    with pytest.raises(UsageError, match=r"did not respond within 10 s\. The request is queued"):
        operator_requests.await_answer(database, HastyClock(), request, is_alive=lambda: True)
    with database.read() as conn:
        assert requests.waiting(conn, world.run.id) == [request]


def test_what_is_decided_by_hand_is_on_record_with_who_and_why(database: Database, world: World) -> None:
    """And comes to the core as one event."""
    with database.write() as conn:
        bring_to(conn, world.workstream.head, "executing")
    request = operator_requests.to_override(
        database, HastyClock(), "force-fail", world.task.id, message="stuck", operator="ada"
    )
    with database.read() as conn:
        assert requests.waiting(conn, world.run.id) == [request]
    assert operator_requests.heard(request) == OverrideRequested(
        override="force-fail", entity=world.task.id, message="stuck", operator="ada", request=request.id
    )


def test_what_does_not_suit_is_refused_before_it_is_written_down(database: Database, world: World) -> None:
    """Nobody has to be asked for that."""
    with pytest.raises(UsageError, match="is planned; it has not begun"):
        operator_requests.to_override(
            database, HastyClock(), "fail", world.workstream.id, message="", operator="ada"
        )
    with database.read() as conn:
        assert requests.waiting(conn, world.run.id) == []


def test_a_refusal_is_an_error_for_whoever_waits_for_the_answer(database: Database, world: World) -> None:
    """What suited when it was asked may not suit any more when it is heard."""
    request = ask(database, world.task.id)
    with database.write() as conn:
        requests.answer(conn, RequestAnswer(request=request.id, said="it has ended", is_refused=True), NOW)
    with pytest.raises(UsageError, match="it has ended"):
        operator_requests.await_answer(database, HastyClock(), request, is_alive=lambda: True)


def add_task(database: Database, world: World, name: str, state: str, needs: str = "", **row: object) -> str:
    """Add a task to the workstream, in a state."""
    with database.write() as conn:
        task = make_task(world.workstream, name=name, **row)
        [made] = tasks.insert_many(conn, [task], at=NOW)
        if needs:
            tasks.add_needs(conn, [(made.id, needs)])
        bring_to(conn, made.head, state)
        return made.id


def test_what_suits_is_told_by_what_is_on_record(database: Database, world: World) -> None:
    """As the core tells it by its picture."""
    with database.write() as conn:
        bring_to(conn, world.workstream.head, "executing")
    done = add_task(database, world, "done", "completed", kind="noop")
    first = add_task(database, world, "first", "queued", kind="command")
    second = add_task(database, world, "second", "blocked", needs=first, is_critical=False)
    with database.write() as conn:
        tasks.add_needs(conn, [(second, done)])
    with database.read() as conn:
        assert operator_requests.facts_of(conn, "unblock", second) == (
            world.run.id,
            TaskFacts(
                name="second",
                kind="patch",
                state=TaskState.BLOCKED,
                workstream=WorkstreamState.EXECUTING,
                unmet=["first"],
            ),
        )
        run_id, stream = operator_requests.facts_of(conn, "validate", world.workstream.id)
        assert run_id == world.run.id
        assert isinstance(stream, WorkstreamFacts)
        assert set(stream.indispensable) == {world.task.name, "first"}
