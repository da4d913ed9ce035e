"""The `on_rollback` commands that are owed to workstreams that were rolled back.

See docs/SPECIFICATION.md §2.5 (saga). The ledger says which commands are owed, and events say which were run,
so that a process that is ended meanwhile loses nothing: the next one finds the commands that are not recorded
yet. One that was under way is run again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maingate.db.dao import intents, patches, workstreams
from maingate.db.dao.history import events
from maingate.db.dao.intents import Intent
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType
from maingate.plan.model import Plan
from maingate.state.patch_ledger import PatchState


@dataclass(frozen=True, kw_only=True)
class Owed:
    """The commands of a workstream that was rolled back and that are not on record yet.

    Args:
        row: The workstream.
        rollback: The rollback that took the last of it back.
        patches: Its landed patches, oldest first.
        commands: The commands, each with its number in the plan, from 1.
        failures: The recorded failures: a process that was ended could not report them.
    """

    row: WorkstreamRow
    rollback: Intent
    patches: tuple[str, ...]
    commands: tuple[tuple[int, str | tuple[str, ...]], ...]
    failures: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the commands see."""
        said = self.rollback.reason.message if self.rollback.reason is not None else ""
        return {
            "MAINGATE_ROLLBACK": self.rollback.id,
            "MAINGATE_REASON": said.replace("\0", ""),
            "MAINGATE_PATCHES": " ".join(self.patches),
            "MAINGATE_WORKSTREAM": self.row.name,
        }


def owed(conn: Connection, run: RunRow) -> list[Owed]:
    """Return what is owed to the workstreams of a run of which nothing is left, newest landed first."""
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
    kind = EventType.ON_ROLLBACK_FAILED
    return sum(len(events.query(conn, entity=each, type=kind)) for each in workstream_ids)


def _owed_to(
    conn: Connection, plan: Plan, row: WorkstreamRow, ledger: Sequence[PatchRow], done: Sequence[Intent]
) -> Owed | None:
    """Return what is owed to one workstream; None when something of it is on the target, or never was."""
    landed = [patch for patch in ledger if patch.workstream_id == row.id and patch.committed_at]
    ids = {patch.id for patch in landed}
    last = [each for each in done if ids & each.commits.keys()]
    if not last or any(patch.state is not PatchState.ROLLED_BACK for patch in landed):
        return None
    failed = events.query(conn, entity=row.id, type=EventType.ON_ROLLBACK_FAILED)
    told = [*events.query(conn, entity=row.id, type=EventType.ON_ROLLBACK), *failed]
    numbers = {event.metadata["number"] for event in told}
    commands = enumerate(plan.workstreams[row.name].on_rollback, start=1)
    return Owed(
        row=row,
        rollback=last[-1],
        patches=tuple(patch.id for patch in landed),
        commands=tuple((number, command) for number, command in commands if number not in numbers),
        failures=tuple(failure_sentence(event) for event in failed),
    )


def failure_sentence(event: Event) -> str:
    """Return that a command failed, with the last line that it printed, which says most."""
    lines = [line for line in str(event.metadata["output"]).splitlines() if line.strip()]
    said = str(event.reason["message"]) if event.reason else ""
    return f"{said}: {lines[-1].strip()}" if lines else said
