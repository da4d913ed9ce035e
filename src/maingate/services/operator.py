"""Decisions of an operator: about what is under way, about patches, and about the breakers of tools."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from maingate.db.dao import patches, requests, runs
from maingate.db.dao.answers import Note, unnoted
from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.requests import Request
from maingate.ids import RunId
from maingate.orchestrator import operator_requests
from maingate.queries.workforce.breakers import breaker_of
from maingate.recovery.breaker_and_patch_overrides import (
    approve_patch,
    drop_patch,
    reset_breaker,
    trip_breaker,
)
from maingate.recovery.circuit_breaker import Guard
from maingate.repository_context import RepositoryContext
from maingate.state.operator_rules import BreakerAction, Override, require_reason

if TYPE_CHECKING:
    from collections.abc import Callable


START_PATIENCE: Final = timedelta(seconds=30)
"""Maximum time that a process which is started for a request may take to answer it."""


class OperatorService:
    """Carries out what an operator decides.

    A decision about a run is applied by the process at work on it; without one it is applied by a process
    that does no more, and the rest of the run is left to be resumed.

    Args:
        context: The repository and its record.
        apply: Has a request to a run applied that no process is at work on.
    """

    def __init__(self, context: RepositoryContext, apply: "Callable[[Request], None]") -> None:
        self._context, self._apply = context, apply

    def cancel(self, entity_id: str, *, message: str, operator: str) -> str:
        """Cancel a run, or a workstream or task of one; return the result, as a sentence.

        A workstream that may have landed already when its process was ended is left to the process that
        resumes the run, which asks git.

        Args:
            entity_id: Its full identifier.
            message: Why.
            operator: The person.

        Raises:
            UsageError: It has ended already, or the process at work does not answer.
            TargetBusyError: A living process of another run holds the target of the run.
            UnknownEntityError: There is no such entity.
        """
        return self.answer(self.ask_to_cancel(entity_id, message=message, operator=operator))

    def ask_to_cancel(self, entity_id: str, *, message: str, operator: str, note: Note = unnoted) -> str:
        """Record the request that a run, workstream or task is cancelled; return the id of the request.

        Raises:
            UsageError: It has ended already.
            UnknownEntityError: There is no such entity.
        """
        database, clock = self._context.database, self._context.clock
        return operator_requests.to_cancel(
            database, clock, entity_id, message=message, operator=operator, note=note
        ).id

    def override(
        self,
        override: Override,
        entity_id: str,
        *,
        reason: str,
        operator: str,
        version: int | None = None,
    ) -> str:
        """Override a task or a workstream; return the result, as a sentence.

        A workstream that may have landed already when its process was ended is left to the process that
        resumes the run, which asks git.

        Args:
            override: The decision: ``force-complete``, ``force-fail``, ``reset`` or ``unblock`` about a
                task, ``fail`` or ``validate`` about a workstream.
            entity_id: The task or workstream, by its full id.
            reason: Why.
            operator: The person.
            version: The version of the entity that the decision was made about; None for any.

        Raises:
            ChangedMeanwhileError: The entity has another version, or another request about it waits.
            UsageError: The state that it is in does not allow it, or the process at work does not answer.
            TargetBusyError: A living process of another run holds the target of the run.
            UnknownEntityError: There is no such entity.
        """
        asked = self.ask_to_override(override, entity_id, reason=reason, operator=operator, version=version)
        return self.answer(asked)

    def ask_to_override(
        self,
        override: Override,
        entity_id: str,
        *,
        reason: str,
        operator: str,
        version: int | None = None,
        note: Note = unnoted,
    ) -> str:
        """Record the request that a task or a workstream is overridden; return the id of the request.

        Raises:
            ChangedMeanwhileError: The entity has another version, or another request about it waits.
            UsageError: The state that it is in does not allow it, or the reason is empty.
            UnknownEntityError: There is no such entity.
        """
        require_reason(reason)
        database, clock = self._context.database, self._context.clock
        return operator_requests.to_override(
            database,
            clock,
            override,
            entity_id,
            message=reason,
            operator=operator,
            version=version,
            note=note,
        ).id

    def answer(self, request_id: str) -> str:
        """Return the answer to a request, as a sentence; have it applied first if no process is at work.

        Raises:
            UsageError: It was refused, or the process at work does not answer.
            TargetBusyError: A living process of another run holds the target of the run.
        """
        with self._context.database.read() as conn:
            request = requests.find(conn, request_id)
        decision = "cancels it" if request.kind == "cancel" else "applies the decision"
        return self._answer_to(request) or (
            f"{request.entity_id} was landing when its process died; `maingate resume {request.run_id}` "
            f"asks git, {decision} unless it has landed, and continues the run"
        )

    def drop_patch(self, patch_id: str, *, reason: str, operator: str, note: Note = unnoted) -> None:
        """Drop a quarantined patch.

        Raises:
            UsageError: It is not in quarantine, or the reason is empty.
        """
        require_reason(reason)
        with self._context.database.write() as conn:
            row = patches.get(conn, patch_id)
            drop_patch(conn, row, message=reason, operator=operator, at=self._context.clock.now())
            note(conn, patch_id)
        self._context.write_log()

    def approve_patch(self, patch_id: str, *, message: str, operator: str, note: Note = unnoted) -> bool:
        """Record that a person approves a patch; return False when that person had done so before.

        Raises:
            UsageError: The patch is already decided.
        """
        with self._context.database.write() as conn:
            row = patches.get(conn, patch_id)
            at = self._context.clock.now()
            is_new = approve_patch(conn, row, message=message, operator=operator, at=at)
            if is_new:
                note(conn, patch_id)
        return is_new

    def override_breaker(
        self,
        action: BreakerAction,
        tool: str,
        *,
        reason: str,
        operator: str,
        note: Note = unnoted,
    ) -> BreakerRow:
        """Reset (``reset``) or trip (``trip``) the breaker of a tool by hand.

        Raises:
            UsageError: It is there already, or the reason is empty.
        """
        require_reason(reason)
        at, settings = self._context.clock.now(), self._context.settings
        new = Guard(tool=tool, threshold=settings.breaker_threshold, cooldown=settings.breaker_cooldown)
        with self._context.database.write() as conn:
            if action == "reset":
                reset_breaker(conn, tool, message=reason, operator=operator, at=at)
            else:
                trip_breaker(conn, tool, new, message=reason, operator=operator, at=at)
            note(conn, tool)
        self._context.write_log()
        return breaker_of(self._context, tool)

    def _answer_to(self, request: Request) -> str | None:
        """Return the answer to a request, handled here if need be; None when a resuming process answers."""
        database, run_id = self._context.database, RunId(request.run_id)
        answer = operator_requests.await_answer(
            database, self._context.clock, request, is_alive=lambda: self._is_alive(run_id)
        )
        if answer is not None:
            return answer
        self._apply(request)
        return operator_requests.answer_to(database, request)

    def _is_alive(self, run_id: str) -> bool:
        with self._context.database.read() as conn:
            return self._context.is_at_work(conn, runs.get(conn, run_id))


def answered_by_server(context: RepositoryContext, wake: "Callable[[], None]") -> "Callable[[Request], None]":
    """Return the way in which a server has a request answered: a process is started for the run.

    Args:
        context: The repository and its record.
        wake: Has the server look for runs with requests.
    """

    def apply(request: Request) -> None:
        wake()
        operator_requests.await_answer(
            context.database, context.clock, request, is_alive=lambda: True, patience=START_PATIENCE
        )

    return apply
