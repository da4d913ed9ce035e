"""Stops of runs before their end, and their hand-over to a server: events of the run.

A run that stopped has no state of its own for that; it is still running, without a process. The stop is valid
until a process continues the run, or until the run is handed to a server.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.dao.history import events
from maingate.db.ledger.new_event import new_event, the_run
from maingate.errors import InterruptedRunError, MaingateError
from maingate.events import Event, EventType, Severity, iso_millis

STOPPED: Final = "stopped"
RESUMED: Final = "resumed"
PAUSED: Final = "paused_seconds"
"""The seconds that a run was without a process, in the event of its continuation."""
HANDED_OVER: Final = "handed_over"
_NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})


def record(conn: Connection, run_id: str, error: Exception, *, at: datetime) -> None:
    """Record why a run stopped: a warning if a person wanted it, else an error."""
    is_wanted = isinstance(error, InterruptedRunError)
    kind, severity = (EventType.WARNING, Severity.WARNING) if is_wanted else (EventType.ERROR, Severity.ERROR)
    message = str(error) if isinstance(error, MaingateError) else f"{type(error).__name__}: {error}"
    event = new_event(kind, the_run(run_id), at, severity=severity, trigger=STOPPED, reason=message)
    events.record(conn, event)


def resume(conn: Connection, run_id: str, *, at: datetime) -> None:
    """Record that a process continues a run that had stopped, or whose process had exited, and the pause."""
    message = "a process went on with the run, which had stopped"
    pause = {} if (idle := _idle_since(conn, run_id)) is None else {PAUSED: _seconds(idle, at)}
    event = new_event(EventType.RESUMED, the_run(run_id), at, trigger=RESUMED, reason=message, metadata=pause)
    events.record(conn, event)


def paused_seconds(conn: Connection, run_id: str) -> float:
    """Read how long a run had no process, in all, each time before one continued it."""
    resumed = events.query(conn, entity=run_id, type=EventType.RESUMED, trigger=RESUMED)
    return sum(float(event.metadata.get(PAUSED, 0.0)) for event in resumed)


def _idle_since(conn: Connection, run_id: str) -> datetime | None:
    """Read when a run stopped; of one whose process was killed, the time of its last event."""
    stopped, resumed = _newest(conn, run_id, STOPPED), _newest(conn, run_id, RESUMED)
    if stopped is not None and (resumed is None or _seq(resumed) < _seq(stopped)):
        return stopped.timestamp
    last_event = events.query(conn, run_id=run_id, newest=True, limit=1)
    return last_event[0].timestamp if last_event else None


def _seconds(start: datetime, end: datetime) -> float:
    return round(max(0.0, (end - start).total_seconds()), 3)


def last(conn: Connection, run_id: str) -> Mapping[str, Any] | None:
    """Read why and when a run stopped, in the public JSON form; None unless it is stopped."""
    stopped = newest(conn, run_id)
    if stopped is None:
        return None
    return {"message": message_of(stopped), "at": iso_millis(stopped.timestamp)}


def newest(conn: Connection, run_id: str) -> Event | None:
    """Read the event of a run's stop; None unless the run is stopped."""
    stopped = _newest(conn, run_id, STOPPED)
    if stopped is None:
        return None
    later = (_newest(conn, run_id, RESUMED), _newest(conn, run_id, HANDED_OVER))
    return None if any(each is not None and _seq(each) > _seq(stopped) for each in later) else stopped


def message_of(stopped: Event) -> str:
    """Return why a run stopped, as a sentence."""
    return str((stopped.reason or {}).get("message", ""))


def is_wanted(stopped: Event) -> bool:
    """Return whether a person wanted the stop."""
    return stopped.event_type == EventType.WARNING


def hand_over(
    conn: Connection,
    run_id: str,
    message: str,
    options: Mapping[str, Any],
    *,
    operator: str | None,
    at: datetime,
) -> None:
    """Record that a run is handed to a server, with the options that the server is to run it with."""
    event = new_event(
        EventType.HANDED_OVER,
        the_run(run_id),
        at,
        trigger=HANDED_OVER,
        reason=message,
        metadata=options,
        operator=operator,
    )
    events.record(conn, event)


def handed_over_at(conn: Connection, run_id: str) -> int:
    """Read the place on record of a run's last hand-over to a server; 0 if there was none."""
    found = _newest(conn, run_id, HANDED_OVER)
    return 0 if found is None else _seq(found)


def options_of(conn: Connection, run_id: str) -> Mapping[str, Any]:
    """Read the options with which a run was last handed to a server; none if it never was."""
    found = _newest(conn, run_id, HANDED_OVER)
    return _NO_OPTIONS if found is None else found.metadata


def _seq(event: Event) -> int:
    return event.seq or 0


def _newest(conn: Connection, run_id: str, trigger: str) -> Event | None:
    found = events.query(conn, entity=run_id, trigger=trigger, newest=True, limit=1)
    return found[0] if found else None
