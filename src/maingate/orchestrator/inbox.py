"""The inbox of a run: messages of people and other processes, through the database.

Reading blocks, so it is done in a thread, which gets values and returns values; the loop decides which of
them are new.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from maingate.db.dao import approvals, requests
from maingate.db.dao.requests import Request
from maingate.db.engine import Database
from maingate.ids import PatchId, RunId
from maingate.orchestrator import operator_requests
from maingate.orchestrator.breaker_watch import BreakerWatch
from maingate.orchestrator.core.events import ApprovalsRead, BreakersRead, CoreEvent, QueueOrdersRead
from maingate.orchestrator.queue_order_watch import QueueOrderWatch


@dataclass(frozen=True, kw_only=True)
class Mail:
    """The content of the inbox at one moment.

    Args:
        requests: The unanswered requests of operators.
        breakers: The breakers of all tools; None when they are as they were the last time.
        approvals: The number of approvals of each unapproved patch that has some.
        orders: The orders about the queue; None when they are as they were the last time.
    """

    requests: Sequence[Request]
    breakers: BreakersRead | None = None
    approvals: Mapping[PatchId, int] = field(default_factory=dict)
    orders: QueueOrdersRead | None = None


class RunInbox:
    """Reads the messages of people and other processes for a run.

    Args:
        run_id: The run.
        database: The database.
        breakers: Reads the breakers; None for a run without tools.
        orders: Reads the orders about the queue of the target.
        is_deferred: Returns whether a request about an entity is left to a later process.
    """

    def __init__(
        self,
        run_id: RunId,
        database: Database,
        *,
        breakers: BreakerWatch | None,
        orders: QueueOrderWatch,
        is_deferred: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._run_id, self._database, self._breakers = run_id, database, breakers
        self._orders = orders
        self._is_deferred = is_deferred
        self._accepted: set[str] = set()
        self._answered: set[str] = set()

    def read(self, unapproved: Sequence[PatchId] = ()) -> Mail:
        """Read the inbox; blocks, and may be called from any thread.

        Args:
            unapproved: The patches that wait for approval.
        """
        return Mail(
            requests=self.read_requests(),
            breakers=self._breakers.news() if self._breakers is not None else None,
            approvals=self._approvals(unapproved),
            orders=self.read_orders(),
        )

    def read_orders(self) -> QueueOrdersRead | None:
        """Read the orders about the queue; blocks, and may be called from any thread."""
        return self._orders.news()

    def read_requests(self) -> Sequence[Request]:
        """Read the unanswered requests; blocks, and may be called from any thread."""
        with self._database.read() as conn:
            return requests.waiting(conn, self._run_id)

    def accept(self, asked: Sequence[Request]) -> Sequence[Request]:
        """Return the requests that were not accepted before, without those that are deferred."""
        fresh = [
            request
            for request in asked
            if request.id not in self._accepted and not self._is_deferred(request.entity_id)
        ]
        self._accepted.update(request.id for request in fresh)
        return fresh

    def events_of(self, mail: Mail) -> Sequence[CoreEvent]:
        """Return the events for the core: requests that are new, then breakers and approvals."""
        found: list[CoreEvent] = [operator_requests.heard(request) for request in self.accept(mail.requests)]
        if mail.breakers is not None:
            found.append(mail.breakers)
        if mail.approvals:
            found.append(ApprovalsRead(counts=mail.approvals))
        if mail.orders is not None:
            found.append(mail.orders)
        return found

    def answered(self, request_ids: Collection[str]) -> None:
        """Record that requests have been answered."""
        self._answered.update(request_ids)

    def reopen(self) -> None:
        """Reset the acceptance of requests that have not been answered."""
        self._accepted = set(self._answered)

    def _approvals(self, patch_ids: Sequence[PatchId]) -> Mapping[PatchId, int]:
        if not patch_ids:
            return {}
        with self._database.read() as conn:
            counts = approvals.counts(conn, patch_ids)
        return {patch_id: counts[patch_id] for patch_id in patch_ids if counts[patch_id]}
