"""Events that are no change of state are made in one way."""

from maingate.db.dao import runs, tasks
from maingate.db.dao.history import events
from maingate.db.engine import Database
from maingate.db.ledger.new_event import new_event, the_run
from maingate.events import EventType, Severity
from maingate.reasons import Reason, ReasonCode
from support.database_factories import NOW, make_world


def test_an_event_has_the_context_of_its_entity(database: Database) -> None:
    """It is recorded for the run, workstream and task that its entity belongs to."""
    with database.write() as conn:
        task = tasks.get(conn, make_world(conn, at=NOW).task.id)
        made = new_event(EventType.WARNING, task.head, NOW, severity=Severity.WARNING, reason="too slow")
        events.record(conn, made)
        (found,) = events.query(conn, entity=task.id, type=EventType.WARNING)
    assert (found.entity_type, found.run_id, found.workstream_id, found.task_id) == (
        "task",
        task.run_id,
        task.workstream_id,
        task.id,
    )
    assert (found.severity, found.reason) == (Severity.WARNING, {"message": "too slow"})


def test_an_event_of_a_run_needs_no_row(database: Database) -> None:
    """By its id alone it gets the context that its row has; a reason keeps its code."""
    reason = Reason(code=ReasonCode.REJECTED, message="no")
    with database.write() as conn:
        run = runs.get(conn, make_world(conn, at=NOW).run.id)
        by_id = new_event(EventType.ROLLBACK, the_run(run.id), NOW, reason=reason, operator="ada")
        by_row = new_event(EventType.ROLLBACK, run.head, NOW, reason=reason, operator="ada")
    assert by_id.as_json() | {"event_id": ""} == by_row.as_json() | {"event_id": ""}
    assert by_id.reason == reason.as_json()
