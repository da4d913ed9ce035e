"""The inbox of a run: what is new in it is received once, and what nobody has answered again."""

import pytest

from maingate.clock import ManualClock
from maingate.db.dao import approvals
from maingate.db.dao.approvals import Approval
from maingate.db.engine import Database
from maingate.ids import PatchId, RunId
from maingate.landing.lease import key_of
from maingate.orchestrator import operator_requests
from maingate.orchestrator.core.events import ApprovalsRead, CancelRequested
from maingate.orchestrator.inbox import RunInbox
from maingate.orchestrator.queue_order_watch import QueueOrderWatch
from support.database_factories import NOW, World, make_world


@pytest.fixture(name="world")
def _world(database: Database) -> World:
    with database.write() as conn:
        return make_world(conn)


@pytest.fixture(name="inbox")
def _inbox(database: Database, world: World) -> RunInbox:
    return RunInbox(RunId(world.run.id), database, breakers=None, orders=watch(database, world))


def watch(database: Database, world: World) -> QueueOrderWatch:
    """Return the watch of the orders about the run's queue."""
    return QueueOrderWatch(key_of(world.run.repository_id, world.run.target_ref), database, ManualClock())


def asked(database: Database, entity_id: str) -> str:
    """Ask for something to be cancelled; return the request's id."""
    return operator_requests.to_cancel(
        database, ManualClock(), entity_id, message="enough", operator="ada"
    ).id


def test_a_request_is_received_once(database: Database, world: World, inbox: RunInbox) -> None:
    """The inbox is read again and again; the core handles each request once."""
    request = asked(database, world.task.id)
    [event] = inbox.events_of(inbox.read())
    assert isinstance(event, CancelRequested)
    assert (event.request, event.entity) == (request, world.task.id)
    assert inbox.events_of(inbox.read()) == []


def test_a_request_that_was_not_answered_is_received_again_at_the_end(
    database: Database, world: World, inbox: RunInbox
) -> None:
    """It was on its way to the loop when that ended."""
    first, second = asked(database, world.task.id), asked(database, world.workstream.id)
    assert [each.id for each in inbox.accept(inbox.read_requests())] == [first, second]
    inbox.answered([first])
    inbox.reopen()
    assert [each.id for each in inbox.accept(inbox.read_requests())] == [second]


def test_a_deferred_request_is_left_to_the_next_process(database: Database, world: World) -> None:
    """A process that only answers requests does not decide about what may have landed."""
    asked(database, world.workstream.id)
    deferring = RunInbox(
        RunId(world.run.id),
        database,
        breakers=None,
        orders=watch(database, world),
        is_deferred=lambda entity: entity == world.workstream.id,
    )
    assert deferring.accept(deferring.read_requests()) == []
    asked(database, world.task.id)
    [accepted] = deferring.accept(deferring.read_requests())
    assert accepted.entity_id == world.task.id


def test_only_patches_with_approvals_are_counted(database: Database, world: World, inbox: RunInbox) -> None:
    """Nothing is heard of a patch that nobody has approved."""
    patch = PatchId(world.patch.id)
    assert inbox.events_of(inbox.read([patch])) == []
    with database.write() as conn:
        approvals.add(conn, Approval(patch_id=patch, operator="ada", created_at=NOW))
    assert inbox.events_of(inbox.read([patch])) == [ApprovalsRead(counts={patch: 1})]
