"""The evaluation of the alerts in a process that runs or serves, in a thread of its own."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from maingate.db.dao.overviews import open_work
from maingate.db.rollups.recent import recent_counts
from maingate.db.sql.connection import Connection
from maingate.monitoring.alerts import RULES, AlertFigures, Exceeded, due, exceeded, firing, record
from maingate.repository_context import RepositoryContext

ALERT_REST: Final = timedelta(seconds=15)
"""Time between two evaluations in a process."""


def figures_of(conn: Connection, contexts: Sequence[RepositoryContext]) -> AlertFigures:
    """Read the figures of a record.

    Args:
        conn: A reading transaction of the record.
        contexts: The repositories of this process that share the record.
    """
    from maingate.monitoring.ledger_metrics import Samples  # noqa: PLC0415 - a short run evaluates nothing
    from maingate.monitoring.record_metrics import add_gauges  # noqa: PLC0415 - as above

    samples, now = Samples(), contexts[0].clock.now()
    add_gauges(samples, conn, contexts)
    counted = open_work.counted(conn)
    windows = {rule.window for rule in RULES if rule.window is not None}
    return AlertFigures(
        gauges=samples.values,
        recent={window: recent_counts(conn, now - window) for window in windows},
        blocked=sum(each.count for each in counted if (each.machine, each.state) == ("task", "blocked")),
    )


class AlertFollower:
    """The follower that evaluates the alerts of a record.

    Several processes may: each writes what differs from the record, which it reads again under the lock.

    Args:
        context: A repository and its record.
    """

    name = "alerts"
    rest = ALERT_REST
    drain_time = timedelta(0)

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._seen: dict[str, Exceeded] = {}

    def step(self) -> bool:
        """Evaluate the rules, and record what changed; return False, as there is never more."""
        database, now = self._context.database, self._context.clock.now()
        with database.read() as conn:
            figures, fires = figures_of(conn, [self._context]), {one.rule.name for one in firing(conn)}
        self._seen = exceeded(figures, self._seen, now=now)
        still = {name: one.text for name, one in self._seen.items() if name in fires}  # also after a restart
        wanted = due(self._seen, now=now) | still
        if wanted.keys() != fires:
            with database.write() as conn:
                record(conn, wanted, at=now)
        return False

    def failed(self, failure: str) -> None:
        """Do nothing: the warning is enough."""

    def close(self) -> None:
        """Do nothing: any process may go on."""
