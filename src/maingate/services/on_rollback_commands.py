"""Compensation: the `on_rollback` commands of workstreams that were rolled back are run and recorded."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from maingate.commits import Tip
from maingate.db.dao.history import events
from maingate.db.ledger.new_event import new_event
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType, Severity
from maingate.faultpoints import reach
from maingate.orchestrator.injected_parts import Dependencies
from maingate.orchestrator.run_services import RunServices
from maingate.queries.rollbacks.owed_commands import Owed, failure_sentence
from maingate.reasons import Reason, ReasonCode
from maingate.services.gates_on_commits import Examination
from maingate.workers.artifacts import Artifacts
from maingate.workers.backend import JobEnd, WorkerLost


async def compensate(
    wanted: Sequence[Owed], *, examination: Examination, deps: Dependencies, tip: Tip
) -> list[str]:
    """Run the owed commands, one after the other; a failure stops none of the others.

    Args:
        wanted: The owed commands.
        examination: Starts the services that commands run with.
        deps: The dependencies of their jobs.
        tip: The target's head.

    Returns:
        The failures, a sentence each, also those of commands that ran before.

    Raises:
        InterruptedRunError: A person or the system asked this process to end.
        OutsideFaultError: Something outside failed.
    """
    failures = [said for each in wanted for said in each.failures]
    artifacts = Artifacts(deps.logs)

    async def work(services: RunServices) -> None:
        for each in wanted:
            for number, command in each.commands:
                reach("compensation.before")
                label = f"on_rollback {number} of {each.row.name}"
                job_id = f"{each.row.id}.rollback{number}"
                job = services.jobs.compensation(job_id, label, command, tip, env=each.environment)
                end = await services.pool.run(job)
                event = _event(deps, each, number, end, command=command, log=str(artifacts.path_of(job.log)))
                await services.recorder.record(writes=[partial(_record, event=event)])
                if event.event_type == EventType.ON_ROLLBACK_FAILED:
                    failures.append(failure_sentence(event))
                reach("compensation.recorded")

    await examination.work_in(work)
    return failures


def _record(conn: Connection, event: Event) -> tuple[()]:
    events.record(conn, event)
    return ()


def _event(
    deps: Dependencies,
    each: Owed,
    number: int,
    end: JobEnd,
    *,
    command: str | tuple[str, ...],
    log: str,
) -> Event:
    """Describe how a command ended."""
    passed = not isinstance(end, WorkerLost) and end.passed
    facts: dict[str, Any] = {
        "rollback": each.rollback.id,
        "number": number,
        "command": command if isinstance(command, str) else list(command),
        "exit_code": None if isinstance(end, WorkerLost) else end.exit_code,
        "output": "" if isinstance(end, WorkerLost) else end.excerpt,
        "log": log,
    }
    code = end.code if isinstance(end, WorkerLost) else ReasonCode.TOOL_FAILED
    return new_event(
        EventType.ON_ROLLBACK if passed else EventType.ON_ROLLBACK_FAILED,
        each.row.head,
        deps.clock.now(),
        severity=Severity.INFO if passed else Severity.ERROR,
        reason=None if passed else Reason(code=code, message=end.message),
        metadata=facts,
        operator=each.rollback.operator,
    )
