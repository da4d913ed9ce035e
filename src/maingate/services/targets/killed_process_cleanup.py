"""Clearing up after killed processes: their leftovers are ended, recorded and finished."""

import socket
from collections.abc import Sequence
from contextlib import suppress

from maingate.db.dao import intents, leases, runs
from maingate.db.dao.intents import Intent
from maingate.db.sql.connection import Connection
from maingate.errors import TargetBusyError
from maingate.git.private_git import remove_abandoned
from maingate.git.refs import PRIVATE_REFS
from maingate.ids import RunId
from maingate.landing.checkouts.behind import behind
from maingate.landing.checkouts.late_checkouts import catch_up
from maingate.landing.lease import is_examined, left_by_ended_runs
from maingate.landing.target import LandingTarget
from maingate.orchestrator.shell import evidence
from maingate.recovery import rollback_record
from maingate.recovery.dead_processes import rescue
from maingate.repository_context import RepositoryContext
from maingate.services.targets.lease_renewal import TargetHolds


class RescueService:
    """Clears up after killed processes.

    Args:
        context: The repository and its record.
        holds: The holds of this process.
    """

    def __init__(self, context: RepositoryContext, holds: TargetHolds) -> None:
        self._context, self._holds = context, holds

    def clear_up(self, run_id: RunId | None = None) -> None:
        """End the leftovers of killed processes, and record their ends; a second call changes nothing.

        Args:
            run_id: A run that this process has just taken hold of: nothing of it can be under way.
        """
        context = self._context
        self._end_leftovers(run_id)
        if run_id is not None:
            context.repository.unlock(f"{PRIVATE_REFS}{run_id}/")
        self._settle_rollbacks()
        self._catch_up()
        remove_abandoned()
        context.write_log()
        evidence.keep_missing(context.database, context.paths.quarantine, repository_id=context.identity.id)

    def end_those_of_ended_runs(self) -> None:
        """End what processes have left that were killed since this one has cleared up.

        A process whose own run is over may still land the work of others. If it is killed then, its run is
        not resumed, and the others, which take its place, have cleared up already.
        """
        self._end_leftovers(None)

    def _end_leftovers(self, taken: RunId | None) -> None:
        """End the workers, gates and leases of killed processes on record, and their survivors."""
        context = self._context
        rescue(
            context.database,
            clock=context.clock,
            host=socket.gethostname(),
            recovery_window=context.settings.recovery_window,
            is_abandoned=lambda conn, run: self._is_abandoned(conn, run, taken=taken),
        )
        self._remove_left_leases()

    def _is_abandoned(self, conn: Connection, run_id: str, *, taken: RunId | None) -> bool:
        row = runs.get(conn, run_id)
        if self._context.is_copied(row):
            return False
        by_examination = is_examined(conn, row, self._context.clock.now())
        return run_id == taken or not (self._context.is_at_work(conn, row) or by_examination)

    def _remove_left_leases(self) -> None:
        """Remove the leases on runs whose processes were killed between the run's end and the release."""
        context = self._context
        with context.database.read() as conn:
            left = left_by_ended_runs(conn, context.clock.now())
        if left:
            with context.database.write() as conn:
                for lease in left:
                    leases.remove(conn, lease)

    def _settle_rollbacks(self) -> None:
        """Finish, or give up, the rollbacks of killed processes, where no living process holds the target."""
        context = self._context
        with context.database.read() as conn:
            waiting = self._own(conn, intents.pending_rollbacks(conn))
        for intent in waiting:
            with context.database.write() as conn:
                if not self._holds.may_settle(conn, intent.ref):
                    continue
                if any(each.id == intent.id for each in intents.pending_rollbacks(conn)):
                    target = LandingTarget(repository=context.repository, ref=intent.ref)
                    rollback_record.settle(conn, target, intent, context.clock)

    def _own(self, conn: Connection, waiting: Sequence[Intent]) -> list[Intent]:
        found = runs.get_many(conn, [each.run_id for each in waiting])
        return [each for each in waiting if self._context.is_own(found[each.run_id])]

    def _catch_up(self) -> None:
        """Update the checkouts that killed processes have left behind; the others stay on record."""
        for left in behind(self._context.repository):
            with suppress(TargetBusyError):  # another process is at it
                timeout = self._context.settings.checkout_timeout
                catch_up(self._context.repository, left.ref, timeout=timeout)
