"""The hold of a run's process on the run's target, which it takes and lets go while the run goes on."""

from contextlib import suppress

from maingate.db.dao import leases, queue_items
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import TargetBusyError
from maingate.ids import HolderKind, LeaseHolder
from maingate.landing.lease import is_held, is_ref_held
from maingate.repository_context import RepositoryContext
from maingate.services.targets.lease_renewal import TargetHolds
from maingate.state.queue_item import QueueItemState


class RunHold:
    """The hold of one run on its target.

    Args:
        context: The repository and its record.
        holds: The holds of this process.
        holder: The run.
        ref: Full name of its target.
    """

    def __init__(self, context: RepositoryContext, holds: TargetHolds, holder: LeaseHolder, ref: str) -> None:
        self._context, self._holds, self._holder, self._ref = context, holds, holder, ref

    @property
    def key(self) -> str:
        """The key of the target, the same for all runs on it."""
        return self._holds.key_of(self._ref)

    def is_held(self) -> bool:
        """Return whether this process has it."""
        return self._holds.has_target(self._holder)

    def is_free(self) -> bool:
        """Return whether no living process has it."""
        context = self._context
        with context.database.read() as conn:
            return not is_ref_held(conn, context.identity.id, self._ref, context.clock.now())

    def try_to_take(self) -> bool:
        """Take it unless a living process has it; return whether this process has it now."""
        return self._holds.try_target(self._holder, self._ref)

    def let_go(self) -> None:
        """Release it for other processes."""
        self._holds.let_target_go(self._holder)


def take(conn: Connection, holds: TargetHolds, run_id: str, ref: str) -> None:
    """Take hold of a run in the caller's transaction, and of its target if no living process has that.

    Raises:
        RunBusyError: A living process is at work on the run, or other work holds it.
    """
    holder = LeaseHolder(run_id)
    holds.take_run(conn, run_id, holder)
    with suppress(TargetBusyError):  # then it hands its workstreams to the process that has it
        holds.take(conn, ref, holder)


def ask_back(conn: Connection, context: RepositoryContext, holds: TargetHolds, run: RunRow) -> bool:
    """Take back what a process of the run that is gone had handed over, as far as that can be done at once.

    Args:
        conn: The transaction that takes hold of the run.
        context: The repository and its record.
        holds: The holds of this process.
        run: The run.

    Returns:
        Whether another run's living process has to answer first.
    """
    rows = queue_items.of_run(conn, run.id)
    lease = leases.of_key(conn, holds.key_of(run.target_ref)) if rows else None
    is_with_other = (
        lease is not None
        and lease.holder.kind is HolderKind.RUN
        and lease.holder.id != run.id
        and is_held(lease, context.clock.now())
    )
    over = {QueueItemState.REFUSED, QueueItemState.RETURNED}
    over |= set() if is_with_other else {QueueItemState.WAITING}
    queue_items.remove(conn, [row.workstream_id for row in rows if row.state in over])
    asked = [row.workstream_id for row in rows if row.state is QueueItemState.WAITING and is_with_other]
    queue_items.want_back(conn, asked)
    return bool(asked)
