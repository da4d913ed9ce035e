"""The watch on a run that another process works on: its progress and news, read from the record."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from maingate.db.dao import gates, patches, queue_items, runs, tasks, workstreams
from maingate.db.dao.history import events, stops
from maingate.db.dao.leases import Lease
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType
from maingate.ids import RunId
from maingate.landing.lease import LEASE_TIME
from maingate.orchestrator.progress import (
    HANDED_OVER,
    GateProgress,
    News,
    Progress,
    Subject,
    WorkstreamProgress,
)
from maingate.plan.model import Plan
from maingate.queries.waits.server_line import server_line
from maingate.reasons import Reason
from maingate.repository_context import RepositoryContext
from maingate.services.handover.server_hold import living_server, server_named
from maingate.state.run import RUN
from maingate.state.task import TASK, TaskState
from maingate.state.workstream import WORKSTREAM, WorkstreamState

_SUBJECTS: Final[dict[str, Subject]] = {
    "run": "run",
    "workstream": "workstream",
    "task": "task",
    "patch_ledger": "patch",
}
_PAGE: Final = 1000


class StandingCode(StrEnum):
    """The ways in which a run can stand."""

    ENDED = "ended"
    """It has ended."""
    AT_WORK = "at_work"
    """A process is at work on it."""
    WAITING = "waiting"
    """A server is to take it up."""
    BLOCKED = "blocked"
    """A server is to take it up when other work on its target has ended, or one of the runs at work."""
    STOPPED = "stopped"
    """Its process has stopped because that was wanted."""
    FAULTED = "faulted"
    """Its process has stopped because something outside failed."""
    LEFT = "left"
    """No process is at work on it, and no server is there to take it up."""


@dataclass(frozen=True, kw_only=True)
class RunStanding:
    """The standing of a run.

    Args:
        code: The way.
        message: A sentence about it for people; may be empty.
    """

    code: StandingCode
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The result of a look at a run.

    Args:
        standing: How it stands.
        news: The changes since the look before.
        notices: Warnings about it since the look before.
    """

    standing: RunStanding
    news: Sequence[News]
    notices: Sequence[str]


class RunWatch:
    """Watches a run from its hand-over on; it is a ``ProgressView``, of the moment of the last look.

    Args:
        context: The repository and its record.
        run_id: A run; usually one that was handed to a server.
        is_from_now: Whether only changes from now on are news, not those since its hand-over.
    """

    def __init__(self, context: RepositoryContext, run_id: RunId, *, is_from_now: bool = False) -> None:
        self._context, self._run_id = context, run_id
        with context.database.read() as conn:
            self._run = runs.get(conn, run_id)
            self._seq = _newest_seq(conn, run_id) if is_from_now else stops.handed_over_at(conn, run_id)
            streams = workstreams.of_run(conn, run_id)
            rows = tasks.of_run(conn, run_id)
            ledger = patches.of_run(conn, run_id)
        names = {each.id: each.name for each in streams}
        labels = {each.id: f"{names[each.workstream_id]}/{each.name}" for each in rows}
        self._names = {run_id: self._run.name, **names, **labels}
        self._names |= {each.id: labels[each.task_id] for each in ledger}
        self._stream_of = {each.id: each.workstream_id for each in rows}
        self._streams = {each.id: each.state for each in streams}
        self._tasks = {each.id: each.state for each in rows}
        plan = Plan.from_json(self._run.plan)
        self._order = plan.workstream_order()
        self._needs = {name: described.needs for name, described in plan.workstreams.items()}
        self._gates: Sequence[GateProgress] = ()
        self._handed_over: Collection[str] = ()

    def look(self) -> Look:
        """Read what has happened since the last look, and how the run stands: one consistent moment.

        Raises:
            RecordError: The record is not in its place any more, and the open one will never change.
        """
        self._context.database.check()
        news: list[News] = []
        notices: list[str] = []
        with self._context.database.read() as conn:
            for event in self._events(conn):
                if event.is_transition:
                    news += self._news_of(event)
                elif event.event_type == EventType.WARNING and event.trigger != stops.STOPPED:
                    notices.append(stops.message_of(event))
            self._run = runs.get(conn, self._run_id)
            self._gates = self._running(conn)
            self._handed_over = {item.workstream_id for item in queue_items.of_run(conn, self._run_id)}
            standing = self._standing(conn, self._run)
        return Look(standing=standing, news=news, notices=notices)

    def progress(self) -> Progress:
        """Return the progress of the run at the last look."""
        ended = Counter(
            self._stream_of[task] for task, state in self._tasks.items() if TASK.is_terminal(state)
        )
        total = Counter(self._stream_of.values())
        began = self._run.started_at
        now = self._run.completed_at or self._context.clock.now()
        return Progress(
            run_id=self._run_id,
            name=self._run.name,
            state=self._run.state,
            tasks_ended=ended.total(),
            tasks_total=len(self._tasks),
            seconds=0.0 if began is None else (now - began).total_seconds(),
            workstreams=tuple(
                WorkstreamProgress(
                    name=self._names[each],
                    state=state,
                    tasks_ended=ended[each],
                    tasks_total=total[each],
                    note=self._note(each, state),
                )
                for each, state in self._streams.items()
            ),
            gates=tuple(sorted(self._gates, key=lambda gate: -gate.seconds)),
        )

    # -- news ------------------------------------------------------------------------------------------------

    def _events(self, conn: Connection) -> Iterator[Event]:
        is_more = True
        while is_more:
            page = events.query(conn, run_id=self._run_id, after_seq=self._seq, limit=_PAGE)
            for event in page:
                self._seq = event.seq or self._seq
                yield event
            is_more = len(page) == _PAGE

    def _news_of(self, event: Event) -> Iterator[News]:
        """Note a transition, and return the news in it."""
        subject, entity, reached = _SUBJECTS.get(event.entity_type or ""), event.entity_id, event.to_state
        if subject is None or entity is None or reached is None:
            return
        if subject == "workstream":
            self._streams[entity] = WorkstreamState(reached)
        elif subject == "task":
            self._tasks[entity] = TaskState(reached)
        elif subject == "patch" and event.task_id is not None:
            self._names[entity] = self._names[event.task_id]
        if event.from_state is not None:
            yield News(
                entity=subject,
                name=self._names.get(entity, entity),
                state_from=event.from_state,
                state_to=reached,
                trigger=event.trigger or "",
                reason=None if event.reason is None else Reason.from_json(event.reason),
            )

    def _running(self, conn: Connection) -> list[GateProgress]:
        now = self._context.clock.now()
        return [
            GateProgress(
                name=gate.name,
                subject=self._names.get(gate.patch_id or gate.workstream_id or "", ""),
                seconds=(now - (gate.started_at or now)).total_seconds(),
            )
            for gate in gates.running(conn)
            if gate.run_id == self._run_id
        ]

    def _note(self, stream: str, state: WorkstreamState) -> str:
        name = self._names[stream]
        if stream in self._handed_over:
            return HANDED_OVER
        if state is WorkstreamState.BLOCKED:
            return f"needs {', '.join(self._needs[name])}"
        if state is not WorkstreamState.VALIDATING:
            return ""
        states = {self._names[each]: state for each, state in self._streams.items()}
        ahead = next((each for each in self._order if not WORKSTREAM.is_terminal(states[each])), name)
        return "landing" if ahead == name else f"lands after {ahead}"

    # -- standing --------------------------------------------------------------------------------------------

    def _standing(self, conn: Connection, run: RunRow) -> RunStanding:
        if RUN.is_terminal(run.state):
            return RunStanding(code=StandingCode.ENDED)
        if self._context.is_at_work(conn, run):
            return RunStanding(code=StandingCode.AT_WORK)
        if (stopped := stops.newest(conn, run.id)) is not None:
            code = StandingCode.STOPPED if stops.is_wanted(stopped) else StandingCode.FAULTED
            return RunStanding(code=code, message=stops.message_of(stopped))
        if (server := living_server(conn, self._context)) is not None:
            return self._waiting(conn, run, server)
        message = (
            f"the server ended; run {run.id} is on record, and `maingate resume {run.id}` goes on with it"
        )
        return RunStanding(code=StandingCode.LEFT, message=message)

    def _waiting(self, conn: Connection, run: RunRow, server: Lease) -> RunStanding:
        line = server_line(self._context, conn, run)
        if line is not None and line.is_blocked:
            return RunStanding(code=StandingCode.BLOCKED, message=f"waiting for {line.waits_for}")
        return RunStanding(code=StandingCode.WAITING, message=self._wait_for(server))

    def _wait_for(self, server: Lease) -> str:
        """Return the sentence about a server that is to take a run up."""
        named = server_named(server)
        if server.expires_at > self._context.clock.now():
            return f"waiting for {named}"
        since = server.expires_at - LEASE_TIME
        return (
            f"{named} has given no sign since {since:%H:%M:%S} UTC: it is stopped or hangs; "
            f"`kill -CONT {server.pid}` continues a stopped one, else end it and start it again"
        )


def _newest_seq(conn: Connection, run_id: str) -> int:
    """Return the place on record of a run's newest event; 0 if there is none."""
    newest = events.query(conn, run_id=run_id, newest=True, limit=1)
    return (newest[0].seq or 0) if newest else 0
