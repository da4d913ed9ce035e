"""Watch of breakers: other runs use the same tools, and people reset and trip them."""

from maingate.clock import Clock
from maingate.db.dao import breakers, runs, tasks
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.landing.lease import lease_at_work
from maingate.orchestrator.core.events import BreakersRead
from maingate.recovery.breaker_store import guard_of
from maingate.recovery.circuit_breaker import Probe
from maingate.state.task import TaskState


class BreakerWatch:
    """Reads the breakers on record again and again.

    Args:
        database: The record.
        clock: The time.
        own: The entities of the run that it watches for.
    """

    def __init__(self, database: Database, clock: Clock, *, own: frozenset[str]) -> None:
        self._database, self._clock, self._own = database, clock, own
        self._last: BreakersRead | None = None

    def news(self) -> BreakersRead | None:
        """Return the breakers; None when nothing has changed since the last time."""
        with self._database.read() as conn:
            guards = tuple(guard_of(row) for row in breakers.all_of(conn))
            probes = [each.probe for each in guards if each.probe and each.probe.task not in self._own]
            given_up = frozenset(probe for probe in probes if not self._is_worked_on(conn, probe))
            seen = BreakersRead(guards=guards, given_up=given_up)
        if seen == self._last:
            return None
        self._last = seen
        return seen

    def _is_worked_on(self, conn: Connection, probe: Probe) -> bool:
        """Return whether a living process works on the probe, a task of another run."""
        task = tasks.get(conn, probe.task)
        if task.state is not TaskState.RUNNING or task.attempt != probe.attempt:
            return False
        run = runs.get(conn, task.run_id)
        return lease_at_work(conn, run, self._clock.now()) is not None
