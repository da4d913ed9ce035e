"""The runs of a repository that wait for a process, and the hand-over of a run to a server."""

from dataclasses import asdict, dataclass
from typing import Final, Self

from maingate.db.dao import requests, runs
from maingate.db.dao.answers import Note, unnoted
from maingate.db.dao.history import stops
from maingate.db.dao.leases import Lease
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.ids import RunId
from maingate.landing.lease import other_work_on
from maingate.repository_context import RepositoryContext
from maingate.services.handover.server_hold import living_server, server_named
from maingate.state.run import RUN


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run that are not in its plan.

    Args:
        workers: How many gates run at once. None stands for the setting.
        budget_usd: Budget of its tools together, instead of the plan's.
    """

    workers: int | None = None
    budget_usd: float | None = None

    @classmethod
    def of_run(cls, context: RepositoryContext, run_id: RunId) -> Self:
        """Read the options with which a run was last handed to a server."""
        with context.database.read() as conn:
            return cls(**stops.options_of(conn, run_id))


NO_OPTIONS: Final = RunOptions()
"""The settings and the plan decide."""


@dataclass(frozen=True, kw_only=True)
class WaitingRun:
    """A run that has not ended, and that no living process is at work on.

    Args:
        id: The run.
        target_ref: Its target.
        handed_over: Place on record of its last hand-over to a server; 0 if there was none.
        is_stopped: Whether its last process stopped on purpose or for a fault, and said so on record.
        asked: The newest unanswered request of an operator to it; None without one.
        is_asked_itself: Whether a request is about the run as a whole, which is to be cancelled.
        is_blocked: Whether other work than a run, as a rollback, holds its target.
    """

    id: RunId
    target_ref: str
    handed_over: int
    is_stopped: bool
    asked: str | None
    is_asked_itself: bool
    is_blocked: bool


class RunQueue:
    """The runs of a repository that wait for a process.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context

    def waiting(self) -> list[WaitingRun]:
        """Read the runs that wait for a process, oldest first."""
        context = self._context
        with context.database.read() as conn:
            found = [run for run in runs.unfinished(conn) if context.is_own(run)]
            return [self._waiting(conn, run) for run in found if not context.is_at_work(conn, run)]

    def left(self) -> set[RunId]:
        """Return the runs that a new server is to go on with, though they may have stopped.

        Besides those that wait, those handed to an earlier server whose processes have not ended yet: they
        stop because their server is gone.
        """
        context = self._context
        with context.database.read() as conn:
            found = [run for run in runs.unfinished(conn) if context.is_own(run)]
            return {
                RunId(run.id)
                for run in found
                if not context.is_at_work(conn, run) or stops.handed_over_at(conn, run.id)
            }

    def _waiting(self, conn: Connection, run: RunRow) -> WaitingRun:
        asked = requests.waiting(conn, run.id)
        return WaitingRun(
            id=RunId(run.id),
            target_ref=run.target_ref,
            handed_over=stops.handed_over_at(conn, run.id),
            is_stopped=stops.newest(conn, run.id) is not None,
            asked=asked[-1].id if asked else None,
            is_asked_itself=any(each.entity_id == run.id for each in asked),
            is_blocked=other_work_on(conn, run, self._context.clock.now()) is not None,
        )

    def hand_over(
        self, run_id: RunId, options: RunOptions, *, operator: str | None = None, note: Note = unnoted
    ) -> Lease | None:
        """Hand a run to the server of the repository; return None, and change nothing, if none is alive.

        A run that a process is at work on stays with that process.

        Args:
            run_id: The run.
            options: The options that the server is to run it with.
            operator: The person who asks for it, where that is known.
            note: Notes the run in the transaction that hands it over.

        Raises:
            UsageError: The run has ended, or is one of another repository.
        """
        context = self._context
        with context.database.write() as conn:
            server = living_server(conn, context)
            if server is None:
                return None
            row = runs.get(conn, run_id)
            context.require_own(row)
            if RUN.is_terminal(row.state):
                raise UsageError(f"run {run_id} is {row.state}; there is nothing to resume")
            note(conn, run_id)
            if context.is_at_work(conn, row):
                return server
            note_hand_over(conn, context, run_id, server, options, operator=operator)
        return server


def note_hand_over(
    conn: Connection,
    context: RepositoryContext,
    run_id: RunId,
    server: Lease,
    options: RunOptions,
    *,
    operator: str | None,
) -> None:
    """Record that a run is handed to a server, in the caller's transaction."""
    stated = {name: value for name, value in asdict(options).items() if value is not None}
    message = f"handed to {server_named(server)}"
    stops.hand_over(conn, run_id, message, stated, operator=operator, at=context.clock.now())
