"""Orders about the queue of a target: pause, drain, freeze, resume, and the places of workstreams in it.

An order is written with an event that records it, and holds whichever process is at work: the one that
controls the target reads it within a moment, and without one the next.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from maingate.clock import moment_in_utc
from maingate.db.dao import leases, queue_controls, queue_views, runs, workstreams
from maingate.db.dao.answers import Note, unnoted
from maingate.db.dao.history import events
from maingate.db.dao.queue_controls import QueueRank
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.ledger.new_event import new_event
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.events import EventType, Severity, iso_millis
from maingate.git.targets import short_name
from maingate.ids import HolderKind
from maingate.landing.lease import is_held, key_of
from maingate.queries.waits.run_rows import has_ended
from maingate.repository_context import RepositoryContext
from maingate.state.cron_schedule import cron_fields
from maingate.state.operator_rules import require_reason
from maingate.state.queue_control import SENTENCES, QueueControl, QueueOrder, in_force, leave_of

if TYPE_CHECKING:
    from maingate.services.operator import OperatorService

QueueMove = Literal["promote", "demote"]

_PATIENCE: Final = timedelta(seconds=5)
"""Maximum time that a process at work may take to hear of an order."""

_LOOK_SECONDS: Final = 0.05

MOST_FREEZE: Final = timedelta(days=31)
"""Longest window of a scheduled freeze."""


class QueueService:
    """Gives orders about queues.

    Args:
        context: The repository and its record.
        operator: Cancels workstreams.
    """

    def __init__(self, context: RepositoryContext, operator: "OperatorService") -> None:
        self._context, self._operator = context, operator

    def order(
        self, kind: QueueOrder, ref: str, *, reason: str, operator: str, note: Note = unnoted
    ) -> QueueControl:
        """Pause or drain the queue of a target.

        Args:
            kind: ``pause`` or ``drain``.
            ref: The target's full name.
            reason: Why; may be empty.
            operator: The person.
            note: Notes the order in its transaction.

        Raises:
            UsageError: It is paused or drained already.
        """
        return self._put(self._control(kind, ref, reason, operator), note, is_once=True)

    def freeze(
        self,
        ref: str,
        *,
        until: datetime,
        reason: str,
        operator: str,
        note: Note = unnoted,
    ) -> QueueControl:
        """Freeze the queue of a target until a moment, in place of an earlier such freeze.

        Raises:
            UsageError: The moment has passed.
        """
        control = self._control(QueueOrder.FREEZE, ref, reason, operator)
        if until <= control.since:
            raise UsageError(f"the freeze would end at {until:%Y-%m-%d %H:%M:%S} UTC, which has passed")
        return self._put(replace(control, until=until), note)

    def schedule(
        self,
        ref: str,
        *,
        cron: str,
        length: timedelta,
        zone: str,
        reason: str,
        operator: str,
        note: Note = unnoted,
    ) -> QueueControl:
        """Freeze the queue of a target at each time of a line of cron, in place of the line before.

        Raises:
            UsageError: The line, the zone or the length cannot be used.
        """
        try:
            cron_fields(cron)
        except ValueError as error:
            raise UsageError(f"--cron: {error}") from None
        if not timedelta(minutes=1) <= length <= MOST_FREEZE:
            raise UsageError(f"--for must be from one minute to {MOST_FREEZE.days} days")
        known_zone(zone)
        control = self._control(QueueOrder.SCHEDULE, ref, reason, operator)
        seconds = int(length.total_seconds())
        return self._put(replace(control, cron=cron, zone=zone, seconds=seconds), note)

    def resume(self, ref: str, *, reason: str, operator: str, note: Note = unnoted) -> list[QueueControl]:
        """Take all orders about the queue of a target back; return them.

        Raises:
            UsageError: There are none.
        """
        key = self._key(ref)
        with self._context.database.write() as conn:
            ended = queue_controls.of_target(conn, key)
            if not ended:
                raise UsageError(f"the queue of {short_name(ref)} is not paused, drained or frozen")
            queue_controls.remove(conn, key, *QueueOrder)
            kinds = [str(each.kind) for each in ended]
            self._record(conn, "resume", ref, reason=reason, operator=operator, about={"ended": kinds})
            note(conn, ref)
        self._context.write_log()
        return ended

    def move(
        self, move: QueueMove, workstream_id: str, *, reason: str, operator: str, note: Note = unnoted
    ) -> WorkstreamRow:
        """Send a workstream to the front or to the end of the queue of its target.

        The last one that is sent there is the first, or the last. One that needs others lands after them.

        Raises:
            UsageError: It has ended, or the reason is empty.
            UnknownEntityError: There is no such workstream.
        """
        require_reason(reason)
        with self._context.database.write() as conn:
            row, ref = self._open_workstream(conn, workstream_id)
            key = self._key(ref)
            ranks = queue_controls.ranks(conn, key).values()
            rank = min(0, *ranks, 0) - 1 if move == "promote" else max(0, *ranks, 0) + 1
            queue_controls.set_rank(conn, QueueRank(workstream_id=row.id, key=key, rank=rank))
            self._record(conn, move, ref, reason=reason, operator=operator, about={"rank": rank}, row=row)
            note(conn, row.id)
        self._context.write_log()
        return row

    def ask_to_remove(self, workstream_id: str, *, reason: str, operator: str, note: Note = unnoted) -> str:
        """Record the request that a workstream leaves the queue and is cancelled; return the request's id.

        Raises:
            UsageError: It has ended, or the reason is empty.
            UnknownEntityError: There is no such workstream.
        """
        require_reason(reason)

        def noted(conn: Connection, request_id: str) -> None:
            row, ref = self._open_workstream(conn, workstream_id)
            self._record(conn, "remove", ref, reason=reason, operator=operator, about={}, row=row)
            note(conn, request_id)

        message = f"removed from the queue: {reason}"
        return self._operator.ask_to_cancel(workstream_id, message=message, operator=operator, note=noted)

    def remove(self, workstream_id: str, *, reason: str, operator: str) -> str:
        """Remove a workstream from the queue and cancel it; return the result, as a sentence.

        Raises:
            UsageError: It has ended, the reason is empty, or the process at work does not answer.
        """
        return self._operator.answer(self.ask_to_remove(workstream_id, reason=reason, operator=operator))

    def await_obedience(self, ref: str) -> bool:
        """Wait until the process at work has heard of the orders; return whether it has, or there is none."""
        database, clock = self._context.database, self._context.clock
        deadline = clock.monotonic() + _PATIENCE.total_seconds()
        while True:
            with database.read() as conn:
                wanted = leave_of(in_force(queue_controls.of_target(conn, self._key(ref)), clock.now()))
                heard = self._heard(conn, ref)
            if heard is None or heard == asdict(wanted):
                return True
            if clock.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)

    def _heard(self, conn: Connection, ref: str) -> Mapping[str, Any] | None:
        """Return the leave that the process at work has heard of; None where none lands workstreams."""
        lease = leases.of_key(conn, self._key(ref))
        if lease is None or lease.holder.kind is not HolderKind.RUN:
            return None
        if not is_held(lease, self._context.clock.now()):
            return None
        view = queue_views.of_target(conn, self._key(ref))
        is_its = view is not None and view.run_id == lease.holder.id
        return view.view["leave"] if view is not None and is_its else {}

    # -- parts -----------------------------------------------------------------------------------------------

    def _key(self, ref: str) -> str:
        return key_of(self._context.identity.id, ref)

    def _control(self, kind: QueueOrder, ref: str, reason: str, operator: str) -> QueueControl:
        now = self._context.clock.now()
        return QueueControl(key=self._key(ref), kind=kind, operator=operator, reason=reason, since=now)

    def _put(self, control: QueueControl, note: Note, *, is_once: bool = False) -> QueueControl:
        ref = control.key.rpartition("#")[2]
        with self._context.database.write() as conn:
            if is_once:
                _require_new(control, queue_controls.of_target(conn, control.key), short_name(ref))
            queue_controls.put(conn, control)
            end = None if control.until is None else iso_millis(control.until)
            about = {"until": end, "cron": control.cron, "zone": control.zone, "seconds": control.seconds}
            given = {name: value for name, value in about.items() if value is not None}
            by, why = control.operator, control.reason
            self._record(conn, str(control.kind), ref, reason=why, operator=by, about=given)
            note(conn, ref)
        self._context.write_log()
        return control

    def _open_workstream(self, conn: Connection, workstream_id: str) -> tuple[WorkstreamRow, str]:
        row = workstreams.get(conn, workstream_id)
        if has_ended(row):
            raise UsageError(f"workstream {row.name} is {row.state} already; it is in no queue")
        return row, runs.get(conn, row.run_id).target_ref

    def _record(
        self,
        conn: Connection,
        trigger: str,
        ref: str,
        *,
        reason: str,
        operator: str,
        about: Mapping[str, Any],
        row: WorkstreamRow | None = None,
    ) -> None:
        """Record an order as an event, about a workstream or about the target alone."""
        metadata = {"target": ref, "repository_id": self._context.identity.id, **about}
        event = new_event(
            EventType.QUEUE_ORDER,
            None if row is None else row.head,
            self._context.clock.now(),
            severity=Severity.WARNING,
            trigger=trigger,
            reason=reason or None,
            metadata=metadata,
            operator=operator,
        )
        events.record(conn, event)


def _require_new(control: QueueControl, known: list[QueueControl], branch: str) -> None:
    """Refuse an order that is in force already, so that the first one's person and reason stay.

    Raises:
        UsageError: It is.
    """
    for each in known:
        if each.kind is control.kind:
            why = f": {each.reason}" if each.reason else ""
            raise UsageError(
                f"the queue of {branch} is {SENTENCES[each.kind]} already, by {each.operator} since "
                f"{each.since:%Y-%m-%d %H:%M:%S} UTC{why}; `maingate queue resume {branch}` ends that"
            )


def known_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name.

    Raises:
        UsageError: There is none of that name here.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"there is no time zone {name!r} on this machine: write a name such as UTC or Europe/Berlin, and "
            "have the system's zone files (package tzdata) installed"
        ) from None


def moment_of(text: str, *, zone: str) -> datetime:
    """Parse a date and time; one without an offset is of the zone.

    Raises:
        UsageError: It is none.
    """
    try:
        return moment_in_utc(datetime.fromisoformat(text), known_zone(zone))
    except ValueError:
        raise UsageError(
            f"{text!r} is not a date and time: write 2026-01-31 18:00, or 2026-01-31T18:00+01:00"
        ) from None
