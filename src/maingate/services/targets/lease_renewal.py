"""The holds that this process has on targets: taken, renewed while work goes on, checked, and released."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from maingate.db.dao import leases, runs
from maingate.db.dao.leases import Lease
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import DatabaseError, LeaseLostError, OutsideFaultError, TargetBusyError
from maingate.ids import LeaseHolder
from maingate.landing.lease import LEASE_TIME, hold, is_held, key_of, require_lease
from maingate.repository_context import RepositoryContext
from maingate.state_folder import make_state

Result = TypeVar("Result")

Wait = Callable[[TargetBusyError], None]
"""Called again and again while a living process holds the target; it sleeps, or gives up by raising."""

_OR_WAIT: Final = "give `--wait` to wait for it to end, or end it and try again"


class Stoppable(Protocol):
    """Work under way that can be stopped when something outside makes it wrong to go on."""

    def give_up(self, error: OutsideFaultError) -> None:
        """Stop at once."""
        ...


class TargetHolds:
    """The holds of this process, by who holds.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._leases: dict[LeaseHolder, Lease] = {}

    def __contains__(self, holder: LeaseHolder) -> bool:
        """Return whether this process holds something for it."""
        return holder in self._leases

    def take(self, conn: Connection, ref: str, holder: LeaseHolder) -> None:
        """Take hold of a target, in the caller's transaction.

        Raises:
            TargetBusyError: A living process holds it.
        """
        context = self._context
        make_state(context.paths, context.identity)
        key = self.key_of(ref)
        self._leases[holder] = hold(conn, key, holder=holder, now=context.clock.now())

    def release(self, holder: LeaseHolder) -> None:
        """Release a hold, if there is one."""
        lease = self._leases.pop(holder, None)
        if lease is not None:
            with self._context.database.write() as conn:
                leases.release(conn, lease)

    def release_all(self) -> None:
        """Release all holds."""
        for holder in tuple(self._leases):
            self.release(holder)

    @contextmanager
    def on(self, run: RunRow, holder: LeaseHolder) -> Iterator[None]:
        """Hold a run's target for other work than the run.

        Raises:
            UsageError: The run is one of another repository.
            TargetBusyError: A living process holds the target.
        """
        with self._context.database.write() as conn:
            self._context.require_own(run)
            self.take(conn, run.target_ref, holder)
        try:
            yield
        finally:
            self.release(holder)

    @contextmanager
    def on_unfinished(self) -> Iterator[None]:
        """Hold the targets of all runs of this repository that have not ended, so that none is at work.

        Raises:
            TargetBusyError: A living process holds one.
        """
        context, taken = self._context, list[LeaseHolder]()
        try:
            with context.database.write() as conn:
                unfinished = [run for run in runs.unfinished(conn) if context.is_own(run)]
                for ref in sorted({run.target_ref for run in unfinished}):
                    taken.append(LeaseHolder.new("clean"))
                    self.take(conn, ref, taken[-1])
            yield
        finally:
            for holder in taken:
                self.release(holder)

    def key_of(self, ref: str) -> str:
        """Return the key of a target of this repository."""
        return key_of(self._context.identity.id, ref)

    def may_settle(self, conn: Connection, ref: str) -> bool:
        """Return whether this process holds a target, or no living process does."""
        key = self.key_of(ref)
        present = leases.of_key(conn, key)
        is_own = any(lease.key == key for lease in self._leases.values())
        return is_own or present is None or not is_held(present, self._context.clock.now())

    def fence(self, holder: LeaseHolder, conn: Connection) -> None:
        """Keep this process out of a record that was replaced, and of a target that it has lost.

        Raises:
            RecordError: The record is not the one that this process began with.
            LeaseLostError: The hold on the target is lost.
        """
        self._context.identity.check(self._context.paths.root)
        self._context.database.require_record(conn)
        require_lease(conn, self._leases[holder])

    async def while_renewing(self, holder: LeaseHolder, worker: Stoppable, work: Awaitable[Result]) -> Result:
        """Do some work while renewing the hold that it needs.

        Args:
            holder: The holder of the target.
            worker: Stopped when the hold is lost.
            work: The work.
        """
        renewing = asyncio.create_task(self._renew(holder, worker))
        try:
            return await work
        finally:
            renewing.cancel()

    async def _renew(self, holder: LeaseHolder, worker: Stoppable) -> None:
        """Renew a lease again and again; a database that is busy is given as long as the lease lasts."""
        clock, lasts = self._context.clock, LEASE_TIME.total_seconds()
        renewed_at = clock.monotonic()
        while (lease := self._leases.get(holder)) is not None:
            await asyncio.sleep(lasts / 4)
            try:
                renewed = await asyncio.to_thread(self._renewed, lease)
            except DatabaseError as error:
                if clock.monotonic() - renewed_at > lasts:
                    worker.give_up(error)
                    return
                continue
            if renewed is None:
                lost = f"the hold on the target was lost to another process: {lease.key}"
                worker.give_up(LeaseLostError(lost))
                return
            self._leases[holder], renewed_at = renewed, clock.monotonic()

    def _renewed(self, lease: Lease) -> Lease | None:
        with self._context.database.write() as conn:
            return leases.renew(conn, lease, now=self._context.clock.now(), ttl=LEASE_TIME)


def when_free(take: Callable[[], Result], wait: Wait | None) -> Result:
    """Take something that needs a target, as soon as no living process holds it any more.

    Args:
        take: Takes it.
        wait: Called while a living process holds the target; None gives up at once.

    Raises:
        TargetBusyError: A living process holds the target, and nothing waits.
    """
    while True:
        try:
            return take()
        except TargetBusyError as error:
            if wait is None:
                raise TargetBusyError(error.what, _OR_WAIT) from error
            wait(error)
