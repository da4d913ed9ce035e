"""What a plan wants done once a workstream is rolled back: its `on_rollback` commands.

See docs/SPECIFICATION.md §2.5.

The ledger says what is owed, and events say what was done, so that a process that is ended meanwhile loses
nothing: whoever asks next finds the commands that are not on record yet. One that was under way is run again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from maingate.db.connection import Connection
from maingate.db.dao import events, intents, patches, workstreams
from maingate.db.dao.intents import Intent
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.events import Event, Severity
from maingate.faultpoints import reach
from maingate.ids import EventId, new_id
from maingate.orchestrator.core.commits import Tip
from maingate.orchestrator.dependencies import Dependencies
from maingate.orchestrator.run_services import RunServices
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.services.examination import Examination
from maingate.state.patch_ledger import PatchState
from maingate.workers.backend import JobEnd, WorkerLost

DONE: Final = "on_rollback"
FAILED: Final = "on_rollback_failed"


@dataclass(frozen=True, kw_only=True)
class Owed:
    """The commands of a workstream that was rolled back and that are not on record yet.

    Args:
        row: The workstream.
        rollback: The rollback that took the last of it back.
        patches: All that had landed of it, oldest first.
        commands: The commands, each with its number in the plan, from 1.
        failures: What is on record of those that failed: a process that was ended has told nobody.
    """

    row: WorkstreamRow
    rollback: Intent
    patches: tuple[str, ...]
    commands: tuple[tuple[int, str | tuple[str, ...]], ...]
    failures: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What the commands are told."""
        said = self.rollback.reason.message if self.rollback.reason is not None else ""
        return {
            "MAINGATE_ROLLBACK": self.rollback.id,
            "MAINGATE_REASON": said.replace("\0", ""),
            "MAINGATE_PATCHES": " ".join(self.patches),
            "MAINGATE_WORKSTREAM": self.row.name,
        }


def owed(conn: Connection, run: RunRow) -> list[Owed]:
    """List what is owed to the workstreams of a run of which nothing is left, newest landed first."""
    plan = Plan.from_json(run.plan)
    if not any(workstream.on_rollback for workstream in plan.workstreams.values()):
        return []
    landings = [each.workstream_id for each in intents.of_run(conn, run.id) if each.state == "landed"]
    places = {workstream_id: place for place, workstream_id in enumerate(landings)}
    done = [each for each in intents.rollbacks(conn, run.id) if each.state == "landed"]
    ledger = patches.of_run(conn, run.id)
    rows = sorted(
        workstreams.of_run(conn, run.id), key=lambda row: (places.get(row.id, -1), row.position), reverse=True
    )
    found = [_owed_to(conn, plan, row, ledger, done) for row in rows]
    return [each for each in found if each is not None and each.commands]


def failed(conn: Connection, workstream_ids: Iterable[str]) -> int:
    """Count the commands on record that failed after these workstreams were rolled back."""
    return sum(len(events.query(conn, entity=each, type=FAILED)) for each in workstream_ids)


def _owed_to(
    conn: Connection, plan: Plan, row: WorkstreamRow, ledger: Sequence[PatchRow], done: Sequence[Intent]
) -> Owed | None:
    """See what is owed to one workstream; None when something of it is on the target, or never was."""
    landed = [patch for patch in ledger if patch.workstream_id == row.id and patch.committed_at]
    ids = {patch.id for patch in landed}
    last = [each for each in done if ids & each.commits.keys()]
    if not last or any(patch.state is not PatchState.ROLLED_BACK for patch in landed):
        return None
    failed = events.query(conn, entity=row.id, type=FAILED)
    told = [*events.query(conn, entity=row.id, type=DONE), *failed]
    numbers = {event.metadata["number"] for event in told}
    commands = enumerate(plan.workstreams[row.name].on_rollback, start=1)
    return Owed(
        row=row,
        rollback=last[-1],
        patches=tuple(patch.id for patch in landed),
        commands=tuple((number, command) for number, command in commands if number not in numbers),
        failures=tuple(_sentence(event) for event in failed),
    )


async def compensate(
    wanted: Sequence[Owed], *, examination: Examination, deps: Dependencies, tip: Tip
) -> list[str]:
    """Run what is owed, one command after the other, each whatever came of those before it.

    Args:
        wanted: What is owed.
        examination: Starts the services that commands run with.
        deps: What it works with.
        tip: The target's head.

    Returns:
        What failed, a sentence each, also of what had been run of these before.

    Raises:
        InterruptedRunError: A person or the system asked this process to end.
        OutsideFaultError: Something outside failed.
    """
    failures = [said for each in wanted for said in each.failures]

    async def work(services: RunServices) -> None:
        for each in wanted:
            for number, command in each.commands:
                reach("compensation.before")
                label = f"on_rollback {number} of {each.row.name}"
                job_id = f"{each.row.id}.rollback{number}"
                job = services.jobs.compensation(job_id, label, command, tip, env=each.environment)
                end = await services.pool.run(job)
                event = _event(deps, each, number, end, command=command, log=str(job.log_path))
                await services.recorder.record(writes=[partial(_record, event=event)])
                if event.event_type == FAILED:
                    failures.append(_sentence(event))
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
    return Event(
        event_id=EventId(new_id("evt")),
        timestamp=deps.clock.now(),
        event_type=DONE if passed else FAILED,
        severity=Severity.INFO if passed else Severity.ERROR,
        entity_type="workstream",
        entity_id=each.row.id,
        reason=None if passed else Reason(code=code, message=end.message).as_json(),
        metadata=facts,
        operator=each.rollback.operator,
        run_id=each.row.run_id,
        workstream_id=each.row.id,
    )


def _sentence(event: Event) -> str:
    """Tell people that a command failed: the last line that it printed says most."""
    lines = [line for line in str(event.metadata["output"]).splitlines() if line.strip()]
    said = str(event.reason["message"]) if event.reason else ""
    return f"{said}: {lines[-1].strip()}" if lines else said
