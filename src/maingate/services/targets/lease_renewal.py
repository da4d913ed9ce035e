"""The holds that this process has on runs and targets: taken, renewed during work, checked, and released."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, TypeVar

from maingate.clock import RunningTime
from maingate.db.dao import leases, runs
from maingate.db.dao.leases import Lease
from maingate.db.dao.runs import RunRow
from maingate.db.engine import on_rollback
from maingate.db.sql.connection import Connection
from maingate.errors import DatabaseError, LeaseLostError, OutsideFaultError, TargetBusyError
from maingate.ids import LeaseHolder
from maingate.landing.lease import (
    LEASE_TIME,
    give_back,
    hold,
    hold_run,
    is_held,
    is_of_run,
    key_of,
    require_leases,
    subject_of,
)
from maingate.repository_context import RepositoryContext
from maingate.services.targets.held_leases import HeldLeases
from maingate.state_folder import make_state

Result = TypeVar("Result")

Wait = Callable[[TargetBusyError], None]
"""Called again and again while a living process holds what is wanted; it sleeps, or gives up by raising."""

_OR_WAIT: Final = "give `--wait` to wait for it to end, or end it and try again"


class Stoppable(Protocol):
    """Work under way that can be stopped when something outside makes it wrong to go on."""

    def give_up(self, error: OutsideFaultError) -> None:
        """Stop at once."""
        ...


class TargetHolds:
    """The holds of this process on targets and runs, by who holds.

    A run holds itself as long as this process is at work on it, and its target while it may move that; other
    work holds a target alone. The fences may be asked in other threads than those that take and let go.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._held = HeldLeases()
        self._one_change = threading.Lock()

    def __contains__(self, holder: LeaseHolder) -> bool:
        """Return whether this process holds something for it."""
        return bool(self._held.of(holder))

    def take(self, conn: Connection, ref: str, holder: LeaseHolder) -> None:
        """Take hold of a target, in the caller's transaction.

        Raises:
            TargetBusyError: A living process holds it.
        """
        self._take(conn, partial(hold, conn, self.key_of(ref)), holder)

    def take_run(self, conn: Connection, run_id: str, holder: LeaseHolder) -> None:
        """Take hold of a run, in the caller's transaction.

        Raises:
            RunBusyError: A living process is at work on it, or other work holds it.
            UnknownEntityError: There is no such run.
        """
        self._take(conn, partial(hold_run, conn, run_id), holder)

    def _take(self, conn: Connection, acquire: Callable[..., Lease], holder: LeaseHolder) -> None:
        make_state(self._context.paths, self._context.identity)
        lease = acquire(holder=holder, now=self._context.clock.now())
        self._held.add(lease)
        on_rollback(conn, partial(self._held.take_out, lease))

    def try_target(self, holder: LeaseHolder, ref: str) -> bool:
        """Take hold of a target for a holder that has no other; False while a living process holds it.

        Raises:
            LeaseLostError: The holder has lost what it held before, or holds nothing.
            RecordError: The record is not the one that this process began with.
        """
        key, now = self.key_of(ref), self._context.clock.now()
        with self._one_change:
            if (own := self._held.target_of(holder)) is not None:
                return own.key == key
            with self._context.database.read() as conn:
                present = leases.of_key(conn, key)
                if present is not None and is_held(present, now):
                    return False
            with self._context.database.write() as conn:
                self.fence(holder, conn)
                try:
                    lease = hold(conn, key, holder=holder, now=now)
                except TargetBusyError:
                    return False
            self._held.add(lease)
        return True

    def let_target_go(self, holder: LeaseHolder) -> None:
        """Release a holder's hold on a target and keep what else it holds; do nothing without one.

        Raises:
            DatabaseError: It could not be released; the holder still has it.
        """
        with self._one_change:
            lease = self._held.target_of(holder)
            if lease is None:
                return
            self._held.take_out(lease)  # first: what is not held any more is not asked for by a fence
            try:
                with self._context.database.write() as conn:
                    give_back(conn, lease)
            except DatabaseError:
                self._held.add(lease)
                raise

    def has_target(self, holder: LeaseHolder) -> bool:
        """Return whether this process holds a target for it."""
        return self._held.target_of(holder) is not None

    def release(self, holder: LeaseHolder) -> None:
        """Release all that a holder has."""
        with self._one_change:  # another that tries for a target then finds that the holder has nothing
            held = self._held.of(holder)
            for lease in held:
                self._held.take_out(lease)
            if held:
                with self._context.database.write() as conn:
                    for lease in held:
                        give_back(conn, lease)

    def release_all(self) -> None:
        """Release all holds."""
        for holder in self._held.holders():
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
        """Hold all runs of this repository that have not ended, and their targets, so that none is at work.

        Raises:
            TargetBusyError: A living process holds one.
        """
        context, holder = self._context, LeaseHolder.new("clean")
        with context.database.write() as conn:
            unfinished = [run for run in runs.unfinished(conn) if context.is_own(run)]
            for ref in sorted({run.target_ref for run in unfinished}):
                self.take(conn, ref, holder)
            for run in unfinished:
                self.take_run(conn, run.id, holder)
        try:
            yield
        finally:
            self.release(holder)

    def key_of(self, ref: str) -> str:
        """Return the key of a target of this repository."""
        return key_of(self._context.identity.id, ref)

    def may_settle(self, conn: Connection, ref: str) -> bool:
        """Return whether this process holds a target, or no living process does."""
        key = self.key_of(ref)
        present = leases.of_key(conn, key)
        return self._held.has_key(key) or present is None or not is_held(present, self._context.clock.now())

    def fence(self, holder: LeaseHolder, conn: Connection) -> None:
        """Keep this process out of a record that was replaced, and of what it has lost.

        All that the holder has at this moment must be its own on record. A reading transaction asks before it
        reads anything else, so that it sees what was taken until now.

        Raises:
            RecordError: The record is not the one that this process began with.
            LeaseLostError: A hold is lost, or the holder has none.
        """
        self._require(holder, conn)

    def target_fence(self, holder: LeaseHolder, conn: Connection) -> None:
        """Do what `fence` does, and require that the holder has a target: asked before a branch moves.

        Raises:
            RecordError: The record is not the one that this process began with.
            LeaseLostError: A hold is lost, or the holder has no target.
        """
        if all(is_of_run(lease) for lease in self._require(holder, conn)):
            raise LeaseLostError(f"{holder} has let its target go, and moves no branch")

    def _require(self, holder: LeaseHolder, conn: Connection) -> list[Lease]:
        """Return the leases of a holder, which are its own on record."""
        held = self._held.of(holder)  # before the record is read, which then has them all
        self._context.identity.check(self._context.paths.root)
        self._context.database.require_record(conn)
        if not leases.hold_all(conn, held):
            held = [lease for lease in held if self._held.has(lease)]  # one was let go in another thread
            require_leases(conn, held)
        if not held:
            raise LeaseLostError(f"{holder} has been released by this process, and writes nothing more")
        return held

    async def while_renewing(self, holder: LeaseHolder, worker: Stoppable, work: Awaitable[Result]) -> Result:
        """Do some work while renewing the holds that it needs, also those that it takes meanwhile.

        Args:
            holder: The holder of the run and the target.
            worker: Stopped when a hold is lost.
            work: The work.
        """
        renewing = asyncio.create_task(self._renew(holder, worker))
        try:
            return await work
        finally:
            renewing.cancel()

    async def _renew(self, holder: LeaseHolder, worker: Stoppable) -> None:
        """Renew leases again and again; a database that is busy is given as long as a lease lasts."""
        lasts = LEASE_TIME.total_seconds()
        time = RunningTime(self._context.clock.monotonic, look=lasts / 4)
        renewed_at = time.now()
        while holder in self:
            await asyncio.sleep(lasts / 4)
            try:
                lost = await asyncio.to_thread(self._renew_once, holder)
            except DatabaseError as error:
                if time.now() - renewed_at > lasts:
                    worker.give_up(error)
                    return
                continue
            if lost is not None:
                said = f"the hold on {subject_of(lost)} was lost to another process: {lost.key}"
                worker.give_up(LeaseLostError(said))
                return
            renewed_at = time.now()

    def _renew_once(self, holder: LeaseHolder) -> Lease | None:
        """Renew all that a holder has; return a lease that is lost."""
        now, lost = self._context.clock.now(), []
        with self._context.database.write() as conn:
            for lease in self._held.of(holder):
                renewed = leases.renew(conn, lease, now=now, ttl=LEASE_TIME)
                if renewed is not None:
                    self._held.renew(renewed)
                else:
                    lost.append(lease)
        return next((lease for lease in lost if self._held.has(lease)), None)


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
                raise type(error)(error.what, _OR_WAIT) from error
            wait(error)
