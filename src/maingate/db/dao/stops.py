"""Stops of runs before their end: an event of the run, valid until a process continues it.

A run that stopped has no state of its own for that; it is still running, without a process.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.dao import events
from maingate.db.new_event import new_event, the_run
from maingate.errors import InterruptedRunError, MaingateError
from maingate.events import Event, EventType, Severity, iso_millis

STOPPED: Final = "stopped"
RESUMED: Final = "resumed"


def record(conn: Connection, run_id: str, error: Exception, *, at: datetime) -> None:
    """Record why a run stopped: a warning if a person wanted it, else an error."""
    is_wanted = isinstance(error, InterruptedRunError)
    kind, severity = (EventType.WARNING, Severity.WARNING) if is_wanted else (EventType.ERROR, Severity.ERROR)
    message = str(error) if isinstance(error, MaingateError) else f"{type(error).__name__}: {error}"
    event = new_event(kind, the_run(run_id), at, severity=severity, trigger=STOPPED, reason=message)
    events.record(conn, event)


def resume(conn: Connection, run_id: str, *, at: datetime) -> None:
    """Record that a process continues a run that had stopped."""
    message = "a process went on with the run, which had stopped"
    events.record(conn, new_event(EventType.RESUMED, the_run(run_id), at, trigger=RESUMED, reason=message))


def last(conn: Connection, run_id: str) -> Mapping[str, Any] | None:
    """Read why and when a run stopped, in the public JSON form; None unless it is stopped."""
    stopped, resumed = _newest(conn, run_id, STOPPED), _newest(conn, run_id, RESUMED)
    if stopped is None or (resumed is not None and (resumed.seq or 0) > (stopped.seq or 0)):
        return None
    return {"message": (stopped.reason or {}).get("message", ""), "at": iso_millis(stopped.timestamp)}


def _newest(conn: Connection, run_id: str, trigger: str) -> Event | None:
    found = events.query(conn, entity=run_id, trigger=trigger, newest=True, limit=1)
    return found[0] if found else None
