"""Admission of a plan: all that could refuse it is checked, then the run exists whole, or not at all."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from maingate.db.dao import patches, runs, tasks
from maingate.db.dao.answers import Note, unnoted
from maingate.db.sql.connection import Connection
from maingate.db.transition_log import TransitionLog
from maingate.errors import (
    CheckoutError,
    PlanError,
    Problem,
    ProgramVersionError,
    RepositoryError,
    TargetBusyError,
)
from maingate.git.repository import Repository
from maingate.ids import RunId
from maingate.landing.lease import is_ref_held
from maingate.landing.target import LandingTarget
from maingate.landing.usable_repository import require_usable
from maingate.plan.loader import LoadedPlan
from maingate.repository_context import RepositoryContext
from maingate.services.handover.run_queue import NO_OPTIONS, RunOptions, note_hand_over
from maingate.services.handover.server_hold import living_server
from maingate.services.runs.plan_loading import at_target, require_bases
from maingate.services.runs.python_gc_pause import without_collecting
from maingate.services.runs.run_creation import Admission, create
from maingate.services.targets import run_hold
from maingate.services.targets.lease_renewal import TargetHolds, Wait, when_free
from maingate.trace_ids import CallerSpan
from maingate.uet.process.environment import allowed_environment
from maingate.verdicts import program_versions


class AdmissionService:
    """Makes runs of plans.

    Args:
        context: The repository and its record.
        holds: The holds of this process.
        versions: The versions of gates' programs by run, for the execution in this process.
    """

    def __init__(
        self,
        context: RepositoryContext,
        holds: TargetHolds,
        *,
        versions: dict[RunId, Mapping[str, Sequence[str]]],
    ) -> None:
        self._context, self._holds, self._versions = context, holds, versions

    def examine(self, loaded: LoadedPlan) -> Admission:
        """Check everything that could refuse the plan; write nothing but what an earlier run owes."""
        return examine(self._context.repository, loaded)

    def admit(
        self,
        loaded: LoadedPlan,
        *,
        wait: Wait | None = None,
        replaces: str | None = None,
        traceparent: str | None = None,
    ) -> RunId:
        """Make a run of a plan and take hold of it, and of its target if no other run has that.

        Args:
            loaded: The plan.
            wait: Called while a process that does not hold the target keeps it from being examined, because
                it moves the branch at this moment; None gives up at once. A process that holds the target is
                not waited for: this run is admitted beside it.
            replaces: A patch that the plan's only task replaces; the run and the task record it.
            traceparent: The span of the program that asks for it; one that is not valid is ignored.

        Raises:
            PlanError: The plan asks for something that cannot be done.
            RepositoryError: The target cannot be landed on as it is.
            TargetBusyError: A process that does not hold the target is moving it, and nothing waits.
        """
        return when_free(lambda: self._admit(loaded, replaces, traceparent), wait)

    def admit_for_server(
        self,
        loaded: LoadedPlan,
        options: RunOptions = NO_OPTIONS,
        *,
        replaces: str | None = None,
        operator: str | None = None,
        traceparent: str | None = None,
        note: Note = unnoted,
    ) -> RunId | None:
        """Make a run of a plan for the server of the repository to take up; None if no server is alive.

        The run does not hold its target, which another run may hold. The programs that gates declare are
        asked for their versions when the run begins: they are those of the server.

        Args:
            loaded: The plan.
            options: The options that the server is to run it with.
            replaces: See `admit`.
            operator: The person who asks for it, where that is known.
            traceparent: See `admit`.
            note: Notes the run in the transaction that makes it.

        Raises:
            PlanError: The plan asks for something that cannot be done.
            RepositoryError: The target cannot be landed on as it is.
        """
        context = self._context
        with context.database.read() as conn:
            if living_server(conn, context) is None:
                return None
        admitted = self._examined_beside_others(loaded)
        with context.database.write() as conn, without_collecting():
            server = living_server(conn, context)
            if server is None:
                return None
            run_id = self._create(conn, replace(admitted, traceparent=_valid(traceparent)), replaces)
            note_hand_over(conn, context, run_id, server, options, operator=operator)
            note(conn, run_id)
        return run_id

    def admit_for_later(self, loaded: LoadedPlan) -> RunId:
        """Make a run of a plan that `maingate resume`, or a server, begins; it does not hold its target.

        Raises:
            PlanError: The plan asks for something that cannot be done.
            RepositoryError: The target cannot be landed on as it is.
        """
        admitted = self._examined_beside_others(loaded)
        with self._context.database.write() as conn, without_collecting():
            return self._create(conn, admitted, None)

    def _admit(self, loaded: LoadedPlan, replaces: str | None, traceparent: str | None) -> RunId:
        admitted = replace(self._examined_beside_others(loaded), traceparent=_valid(traceparent))
        versions = self._versions_for(admitted.loaded)
        with self._context.database.write() as conn, without_collecting():
            run_id = self._create(conn, admitted, replaces)
            run_hold.take(conn, self._holds, run_id, admitted.target.ref)
        self._versions[run_id] = versions
        return run_id

    def _examined(self, loaded: LoadedPlan) -> Admission:
        context = self._context
        TransitionLog(context.paths.transitions, context.database).check()
        admitted = self.examine(loaded)
        return replace(admitted, tree_settings=context.tree_settings(admitted.target))

    def _examined_beside_others(self, loaded: LoadedPlan) -> Admission:
        """Check a plan; while another run lands, the checkouts cannot be judged."""
        for is_last in (False, True):
            try:
                return self._examined(loaded)
            except (RepositoryError, CheckoutError, TargetBusyError):
                target = self._context.repository.resolve_target(loaded.plan.target)
                if self._is_held(target.ref):
                    break
                if is_last:
                    raise
        context = self._context
        require_usable(context.repository, target)
        loaded = at_target(loaded, context.repository, target)
        require_bases(loaded, context.repository, target)
        return Admission(
            loaded=loaded,
            target=target,
            tree_settings=context.tree_settings(target),
        )

    def _is_held(self, ref: str) -> bool:
        context = self._context
        with context.database.read() as conn:
            return is_ref_held(conn, context.identity.id, ref, context.clock.now())

    def _create(self, conn: Connection, admitted: Admission, replaces: str | None) -> RunId:
        context = self._context
        run_id = create(
            conn,
            context.repository,
            admitted,
            repository_id=context.identity.id,
            at=context.clock.now(),
        )
        if replaces is not None:
            _note_replaced(conn, run_id, replaces)
        return run_id

    def _versions_for(self, loaded: LoadedPlan) -> Mapping[str, Sequence[str]]:
        """Return the program versions that a plan's gates declare; a program that fails refuses the plan."""
        environment = allowed_environment(os.environ, self._context.settings.env_allow)
        try:
            return program_versions.read_versions(loaded.plan.gates, environment)
        except ProgramVersionError as error:
            file, line = loaded.place_of("gates", error.gate, "versions")
            raise PlanError([Problem(file=file, line=line, message=str(error))]) from error


def examine(repository: Repository, loaded: LoadedPlan, *, is_trial: bool = False) -> Admission:
    """Check everything that could refuse the plan; write nothing but what a checkout is owed.

    Args:
        repository: The plan's repository.
        loaded: The plan.
        is_trial: Whether nothing at all is to be written.

    Raises:
        PlanError: The plan has problems by the settings of the target.
        RepositoryError: The target is missing, or is checked out with uncommitted changes, or somewhere that
            cannot be seen.
        CheckoutError: A checkout that an earlier landing left behind cannot be updated.
        TargetBusyError: A living process is moving the target.
    """
    target = repository.resolve_target(loaded.plan.target)
    require_usable(repository, target)
    LandingTarget(repository=repository, ref=target.ref).require_ready(is_trial=is_trial)
    loaded = at_target(loaded, repository, target)
    require_bases(loaded, repository, target)
    return Admission(loaded=loaded, target=target)


def _valid(traceparent: str | None) -> str | None:
    return None if traceparent is None or CallerSpan.read(traceparent) is None else traceparent.strip()


def _note_replaced(conn: Connection, run_id: RunId, patch_id: str) -> None:
    """Record of a run and its only task which patch they replace."""
    repeat = patches.get(conn, patch_id)
    runs.ROWS.set_column(conn, run_id, "retry_of", repeat.run_id)
    for task in tasks.of_run(conn, run_id):
        tasks.ROWS.set_column(conn, task.id, "retry_of", repeat.task_id)
        tasks.ROWS.set_column(conn, task.id, "spec", json.dumps({**task.spec, "replaces": patch_id}))
