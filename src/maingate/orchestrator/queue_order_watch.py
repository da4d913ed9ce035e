"""Watch of the orders that people give about the queue of a target, by whichever process."""

from maingate.clock import Clock
from maingate.db.dao import queue_controls
from maingate.db.engine import Database
from maingate.orchestrator.core.events import QueueOrdersRead
from maingate.state.queue_control import QueueOrder, in_force, leave_of


class QueueOrderWatch:
    """Reads the orders on record again and again; windows begin and end as time goes by.

    Args:
        key: The repository and the target's ref.
        database: The record.
        clock: The time.
    """

    def __init__(self, key: str, database: Database, clock: Clock) -> None:
        self._key, self._database, self._clock = key, database, clock
        self._last = QueueOrdersRead()

    def news(self) -> QueueOrdersRead | None:
        """Return the orders that are in force; None when nothing has changed since the last time."""
        with self._database.read() as conn:
            controls = queue_controls.of_target(conn, self._key)
            ranks = queue_controls.ranks(conn, self._key)
        drains = [each.on_board for each in controls if each.kind is QueueOrder.DRAIN]
        seen = QueueOrdersRead(
            leave=leave_of(in_force(controls, self._clock.now())),
            on_board=frozenset(drains[0]) if drains and drains[0] is not None else None,
            ranks=ranks,
        )
        if seen == self._last:
            return None
        self._last = seen
        return seen
