"""A ledger with something of everything that roll-ups count, over some hours."""

from datetime import timedelta
from typing import Any

from maingate.db.dao import tool_runs, verdicts
from maingate.db.dao.history import events
from maingate.db.engine import Database
from maingate.db.ledger.new_event import new_event, the_run
from maingate.db.transitions import write
from maingate.events import EventType, Severity
from maingate.state.tool_run import ToolRun
from support.database_factories import NOW, World, bring_to, fresh, plain_step

LATER = NOW + timedelta(hours=3)


def seconds(number: float) -> timedelta:
    """Return a duration."""
    return timedelta(seconds=number)


def tell_a_story(database: Database, world: World) -> None:
    """Write transitions of machines over some hours, other events, an attempt of a tool and evidence."""
    with database.write() as connection:
        for hour, machine in enumerate(("run", "workstream", "patch_ledger", "test_gate", "worker")):
            head = fresh(connection, world, machine, at=NOW + timedelta(hours=hour))
            end = {
                "run": "failed",
                "workstream": "failed",
                "patch_ledger": "quarantined",
                "test_gate": "PASSED",
                "worker": "shutdown",
            }[machine]
            bring_to(connection, head, end, at=NOW + timedelta(hours=hour, seconds=70))
        bring_to(connection, fresh(connection, world, "patch_ledger"), "committed", at=NOW + seconds(45))
        bring_to(connection, world.breaker.head, "OPEN", at=LATER)
        warning = new_event(
            EventType.WARNING, the_run(world.run.id), LATER, severity=Severity.WARNING, operator="ada"
        )
        events.record(connection, warning)
        _run_tool(connection, world)
        evidence = {"subject_kind": "patch", "subject_id": world.patch.id, "gate_name": "unit"}
        for tree, is_reused in (("a" * 40, False), ("b" * 40, True), ("c" * 40, True)):
            one = verdicts.Evidence(
                **evidence, tree=tree, gate_id=world.gate.id, reused=is_reused, created_at=LATER
            )
            verdicts.attach(connection, one)


def _run_tool(connection: Any, world: World) -> None:
    head = bring_to(connection, world.task.head, "running", at=NOW + seconds(5))
    ended = ToolRun(
        task_id=world.task.id,
        attempt=1,
        run_id=world.run.id,
        tool="aider",
        outcome="failed",
        cost_micros=250,
        tokens_in=10,
        tokens_out=5,
        duration_ms=1500,
        message="",
        ended_at=NOW + seconds(8),
    )
    tool_runs.record(connection, [ended])
    step = plain_step(head, "retrying", "execution_failed")
    write(connection, {head.id: head}, [step], at=NOW + seconds(8))
