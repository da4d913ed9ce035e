"""The messages that `notify` commands are owed, by the ledger: ends of runs in trouble, rollbacks, alerts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from maingate.db.dao import breakers, patches, runs, tasks, workstreams
from maingate.db.dao.history import events
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType
from maingate.plan.model import Plan
from maingate.repository_context import RepositoryContext
from maingate.services.notifications.notify_commands import Message
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.wording import listed

_OPENED: Final = frozenset({"failure_threshold_reached", "probe_failed"})
"""The triggers by which a breaker opens by itself."""
_SHOWN: Final = 5

_STATES: Final[Mapping[str, str]] = {
    EventType.ROLLBACK: "rolled_back",
    EventType.ROLLBACK_REFUSED: "refused",
}
_ALERTS: Final[Mapping[str, str]] = {EventType.ALERT_FIRED: "fired", EventType.ALERT_RESOLVED: "resolved"}
"""The states of messages by the types of their events."""

Commands = tuple[str | tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class OwedMessage:
    """A message that is not on record as delivered.

    Args:
        seq: The place of its event in the ledger.
        run: The run.
        message: The message; None where there is nothing to tell: all went well, or the plan has no commands.
        commands: The commands.
    """

    seq: int
    run: RunRow
    message: Message | None
    commands: Commands = ()


def owed_messages(
    conn: Connection, context: RepositoryContext, *, after: int, labels: Mapping[str, str]
) -> list[OwedMessage]:
    """Return the messages of a repository, in the order of their events.

    Args:
        conn: A transaction.
        context: The repository.
        after: The place of the last event that is done with.
        labels: Names for people of rollbacks, by their ids; others are named by their patches.
    """
    owed = []
    for seq, run_id in runs.ends_after(conn, after):
        run = runs.get(conn, run_id)
        message = trouble(conn, run) if run.plan.get("notify") else None
        owed.append(OwedMessage(seq=seq, run=run, message=message, commands=_commands([run])))
    for kind in _STATES:
        for event in events.query(conn, type=kind, after_seq=after):
            run = runs.get(conn, event.run_id or "")
            message = _of_rollback(conn, event, labels) if run.plan.get("notify") else None
            owed.append(OwedMessage(seq=event.seq or 0, run=run, message=message, commands=_commands([run])))
    mine = [each for each in owed if context.is_own(each.run)]
    return sorted([*mine, *_of_alerts(conn, context, after)], key=lambda each: each.seq)


def _of_alerts(conn: Connection, context: RepositoryContext, after: int) -> Iterator[OwedMessage]:
    """Yield the messages about alerts, for the plans of the runs under way, or else of the newest run."""
    found = [event for kind in _ALERTS for event in events.query(conn, type=kind, after_seq=after)]
    if not found:
        return
    told = [run for run in runs.unfinished(conn) if context.is_own(run)]
    told = told or [run for run in runs.recent(conn, limit=1) if context.is_own(run)]
    for event in found if told else ():
        state, text = _ALERTS[event.event_type], (event.reason or {}).get("message", "")
        said = text if state == "resolved" else f"{event.entity_id}: {text}"
        commands = _commands(told)
        message = Message(event="alert", run_id=told[0].id, state=state, message=said) if commands else None
        yield OwedMessage(seq=event.seq or 0, run=told[0], message=message, commands=commands)


def _commands(told: Sequence[RunRow]) -> Commands:
    """Return the commands of the plans of runs, each once."""
    plans = [Plan.from_json(run.plan) for run in told if run.plan.get("notify")]
    return tuple(dict.fromkeys(command for plan in plans for command in plan.notify))


def trouble(conn: Connection, run: RunRow) -> Message | None:
    """Return the message about a run that ended in trouble; None for any other run."""
    refused = [row for row in patches.of_run(conn, run.id) if row.state is PatchState.QUARANTINED]
    opened = _opened(conn, run)
    if run.state is not RunState.FAILED and not refused and not opened:
        return None
    said = [f"run {run.name} {run.state}"]
    said += [f"in quarantine: {listed(_names(conn, refused), _SHOWN)}"] if refused else []
    said += [f"tools paused (circuit breaker open): {listed(opened, _SHOWN)}"] if opened else []
    return Message(event="run_ended", run_id=run.id, state=str(run.state), message="; ".join(said))


def _of_rollback(conn: Connection, event: Event, labels: Mapping[str, str]) -> Message:
    """Return the message about a rollback that was carried out or refused."""
    label = labels.get(event.metadata["rollback"])
    if label is None:
        found = patches.get_many(conn, event.metadata["patches"]).values()
        label = f"rollback of {listed(_names(conn, list(found)), _SHOWN)}"
    why = (event.reason or {}).get("message", "")
    state = _STATES[event.event_type]
    return Message(event="rollback", run_id=event.run_id or "", state=state, message=f"{label}: {why}")


def _names(conn: Connection, rows: Sequence[PatchRow]) -> list[str]:
    """Return the full names of the patches' tasks."""
    owners = tasks.get_many(conn, [row.task_id for row in rows])
    streams = workstreams.get_many(conn, [row.workstream_id for row in rows])
    return [f"{streams[row.workstream_id].name}/{owners[row.task_id].name}" for row in rows]


def _opened(conn: Connection, run: RunRow) -> list[str]:
    """Name the plan's tools whose breakers opened by themselves since the run began."""
    known = {row.id: row.tool for row in breakers.all_of(conn)}
    moved = events.query(conn, type="circuit_breaker_state_transition", since=run.created_at)
    by_itself = {event.entity_id for event in moved if event.trigger in _OPENED}
    tools = Plan.from_json(run.plan).tools
    return sorted(known[each] for each in by_itself if each in known and known[each] in tools)
