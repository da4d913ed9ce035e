"""The only place where parts are chosen and put together: settings and a repository become a ``Maingate``."""

import gc
import hashlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from maingate.clock import Clock, SystemClock
from maingate.db.connection import Connection
from maingate.db.dao import breakers, events, intents, leases, patches, runs, stops, tasks, workstreams
from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.intents import Intent
from maingate.db.dao.leases import Lease
from maingate.db.dao.requests import Override, Request
from maingate.db.dao.runs import RunRow
from maingate.db.engine import BUSY_TIMEOUT, Database, file_of, open_database
from maingate.errors import (
    DatabaseError,
    InterruptedRunError,
    LeaseLostError,
    MaingateError,
    NoStateError,
    OutsideFaultError,
    PlanError,
    Problem,
    ProgramVersionError,
    TargetBusyError,
    UnknownEntityError,
    UsageError,
)
from maingate.events import Event, Severity
from maingate.git.command import require_git
from maingate.git.identity import Identity, identify
from maingate.git.refs import PRIVATE_REFS
from maingate.git.repository import Repository, is_among_files
from maingate.ids import EventId, LeaseHolder, RunId, WorkstreamId, new_id
from maingate.landing import lease_hold
from maingate.landing.catching_up import behind, catch_up
from maingate.landing.checkouts import all_checkouts
from maingate.queries.report import has_ended, run_report
from maingate.reasons import Reason
from maingate.settings import SettingsFiles
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState

if TYPE_CHECKING:
    from maingate.db.audit import AuditReport
    from maingate.monitoring.stuck import Patience
    from maingate.orchestrator.dependencies import Dependencies
    from maingate.orchestrator.progress import Listener
    from maingate.plan.loader import LoadedPlan
    from maingate.recovery.bisection import Point
    from maingate.recovery.reverts import Reverted
    from maingate.recovery.rollback import RollbackOutcome, RollbackRequest
    from maingate.services import admission
    from maingate.services.examination import Stoppable
    from maingate.services.notifications import Message
    from maingate.services.searching import Search
    from maingate.settings import Settings

Taken = TypeVar("Taken")

STATE: Final = "maingate"
"""The state folder, in git's common directory."""

_OR_WAIT: Final = "give `--wait` to wait for it to end, or end it and try again"

Wait = Callable[[TargetBusyError], None]
"""Told, again and again, that a living process holds the target; it sleeps, or gives up by raising."""


@dataclass(frozen=True, kw_only=True)
class StatePaths:
    """Where Maingate keeps what it knows about a repository.

    Args:
        root: ``maingate`` in git's common directory, out of reach of patches, `git clean` and checkouts.
        slots: Worktrees, outside the repository, in the user's cache.
        former_slots: Where worktrees were before the repository was moved.
    """

    root: Path
    slots: Path
    former_slots: Sequence[Path] = ()

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.root / "maingate.db"

    @property
    def transitions(self) -> Path:
        """Every transition, a line each."""
        return self.root / "transitions.jsonl"

    @property
    def logs(self) -> Path:
        """Gates' output."""
        return self.root / "logs"

    @property
    def locks(self) -> Path:
        """The locks of the worktree slots: here, since the cache may be cleared under a run."""
        return self.root / "slots"

    @property
    def quarantine(self) -> Path:
        """Refused patches."""
        return self.root / "quarantine"


class Maingate:
    """Maingate on one repository: admit plans, run them, read what happened.

    Use it as a context manager, or ``close`` it.
    """

    def __init__(
        self,
        *,
        settings: "Settings | None",
        repository: Repository,
        database: Database,
        paths: StatePaths,
        identity: Identity,
        clock: Clock,
        files: SettingsFiles | None = None,
    ) -> None:
        self._files = files
        self._versions: dict[RunId, Mapping[str, Sequence[str]]] = {}
        if settings is not None:
            self.settings = settings
        self._is_shared = settings is not None and settings.database_url is not None
        self.repository, self.database = repository, database
        self.paths, self.identity, self.clock = paths, identity, clock
        self._leases: dict[LeaseHolder, Lease] = {}

    @classmethod
    def open(cls, start: Path | None = None, *, create: bool = True) -> Self:
        """Open Maingate on the repository around a path (default: the working directory).

        Args:
            start: Any path in the repository.
            create: Make the state folder and its database where there is none yet.

        Raises:
            RepositoryError: There is no repository, or none that can be worked on.
            UsageError: There is no state yet and none was to be made.
            SettingsError: ``maingate.toml`` or ``MAINGATE_*`` has problems.
        """
        require_git()
        repository = Repository.open(start or Path.cwd())
        files = settings_files(repository)
        settings = _stated(repository, files)
        database_url = settings.database_url if settings is not None else None
        identity = identify(
            repository.git_dir,
            repository.git_dir / STATE,
            may_have_moved_far=database_url is None,
        )
        paths = _paths(repository, settings, identity)
        url = database_url or f"sqlite:///{paths.database}"
        if not create and not (database_url or paths.database.exists()):
            raise NoStateError(f"Maingate has not run in {repository.root} yet; `maingate run PLAN` begins")
        if create:
            _make_state(paths, identity)
        database = open_database(url, busy_timeout=settings.busy_timeout if settings else BUSY_TIMEOUT)
        try:
            database.upgrade()
        except MaingateError:
            database.close()
            repository.close()
            raise
        if database_url is not None:
            database.use_repository(identity.id)
        return cls(
            settings=settings,
            repository=repository,
            database=database,
            paths=paths,
            identity=identity,
            clock=SystemClock(),
            files=files,
        )

    @cached_property
    def settings(self) -> "Settings":
        """What is set here; read when it is first asked for where nothing is, since that takes a while."""
        from maingate.settings import load_settings

        return load_settings(None, os.environ, files=self._files)

    @classmethod
    def for_plan(cls, loaded: "LoadedPlan") -> Self:
        """Open Maingate on the repository that a plan is for."""
        return cls.open(loaded.root or loaded.repository_candidates(Path.cwd())[-1])

    def examine(self, loaded: "LoadedPlan") -> "admission.Admission":
        """Ask everything that could refuse the plan; write nothing but what an earlier run owes."""
        from maingate.services import admission

        return admission.examine(self.repository, loaded)

    def admit(self, loaded: "LoadedPlan", *, wait: Wait | None = None, replaces: str | None = None) -> RunId:
        """Make a run of a plan and take hold of its target; all of it or nothing.

        Args:
            loaded: The plan.
            wait: What to do while a living process holds the target. None gives up at once.
            replaces: A patch that the plan's only task makes anew; the run and the task record it.

        Raises:
            PlanError: The plan asks for something that cannot be done.
            RepositoryError: The target cannot be landed on as it is.
            TargetBusyError: Another run holds the target.
        """
        return _when_free(lambda: self._admit(loaded, replaces), wait)

    def _admit(self, loaded: "LoadedPlan", replaces: str | None) -> RunId:
        from maingate.db.transition_log import TransitionLog
        from maingate.services import admission

        TransitionLog(self.paths.transitions, self.database).check()
        admitted = replace(self.examine(loaded), tree_settings=self._tree_settings())
        versions = self._versions_for(loaded)
        now = self.clock.now()
        with self.database.write() as conn, _without_collecting():
            run_id = admission.create(conn, self.repository, admitted, repository_id=self.identity.id, at=now)
            if replaces is not None:
                repeat = patches.get(conn, replaces)
                runs.ROWS.set_column(conn, run_id, "retry_of", repeat.run_id)
                for task in tasks.of_run(conn, run_id):
                    tasks.ROWS.set_column(conn, task.id, "retry_of", repeat.task_id)
                    tasks.ROWS.set_column(
                        conn, task.id, "spec", json.dumps({**task.spec, "replaces": replaces})
                    )
            holder = LeaseHolder(run_id)
            self._leases[holder] = self._hold(conn, admitted.target.ref, holder)
        self._versions[run_id] = versions
        return run_id

    def audit(self, *, against: str | None = None, others: bool = False) -> "AuditReport":
        """Check the record: by itself, by the file of transitions, and by the branches.

        Args:
            against: A revision to hold it against; None for the branches of all targets that are there.
            others: Whether to accept landings by other records.

        Raises:
            RepositoryError: The revision means no commit.
            DatabaseError: The record could not be read.
        """
        from maingate.db import audit
        from maingate.recovery import branch_check

        held = branch_check.hold(self.database, self.repository, against=against, others=others)
        report = audit.verify(self.database, log=self.paths.transitions, anchors=held.anchors)
        return report.and_also(held.findings, held.notes)

    def take_hold(self, run_id: RunId, *, wait: Wait | None = None) -> None:
        """Take hold of the target of a run that has not ended, so that `execute` may go on with it.

        Args:
            run_id: The run.
            wait: What to do while a living process holds the target. None gives up at once.

        Raises:
            UsageError: The run has ended.
            TargetBusyError: A living process holds the target.
        """
        _when_free(lambda: self._take_hold(run_id), wait)

    def _take_hold(self, run_id: RunId) -> None:
        with self.database.write() as conn:
            row = runs.get(conn, run_id)
            self._require_own(row)
            if row.state not in {RunState.PENDING, RunState.RUNNING}:
                raise UsageError(f"run {run_id} is {row.state}; there is nothing left to do")
            holder = LeaseHolder(run_id)
            self._leases[holder] = self._hold(conn, row.target_ref, holder)

    def interrupted(self) -> list[RunRow]:
        """List the runs of this repository that have not ended and that no living process is at work on."""
        with self.database.read() as conn:
            open_runs = runs.unfinished(conn)
            mine = [run for run in open_runs if self.is_own(run)]
            return [run for run in mine if not self.is_at_work(conn, run)]

    def is_alive(self, run_id: str) -> bool:
        """Tell whether a living process is at work on a run."""
        with self.database.read() as conn:
            return self.is_at_work(conn, runs.get(conn, run_id))

    def cancel(self, entity_id: str, *, message: str, operator: str) -> str:
        """Cancel a run, or a workstream or task of one, and say what became of it.

        The process that controls the run is asked to; where there is none, it is done from here. A part is
        cancelled without going on with the rest of its run. What may have landed already when its process
        was ended is left to the process that resumes the run, which asks git.

        Args:
            entity_id: Its full identifier.
            message: Why.
            operator: Who wants it.

        Raises:
            UsageError: It has ended already, or the process at work does not answer.
            TargetBusyError: A living process of another run holds the target of the run.
            UnknownEntityError: There is no such entity.
        """
        from maingate.orchestrator import operator_requests

        request = operator_requests.to_cancel(
            self.database, self.clock, entity_id, message=message, operator=operator
        )
        return self._answer_to(request) or (
            f"{entity_id} was just landing when its process was ended; `maingate resume {request.run_id}` "
            "asks git, cancels it unless it has landed, and goes on with the rest"
        )

    def _answer_to(self, request: Request) -> str | None:
        """Have a request heard, and say what came of it; None when that is left to whoever resumes the run.

        The process that controls the run hears it. Where there is none, this one does what is asked.
        """
        from maingate.orchestrator import operator_requests

        database, run_id = self.database, RunId(request.run_id)
        answer = operator_requests.await_answer(
            database, self.clock, request, is_alive=lambda: self.is_alive(run_id)
        )
        if answer is not None:
            return answer
        try:
            self.take_hold(run_id)
        except TargetBusyError as error:
            remedy = f"the wish stays for whoever goes on with {run_id}"
            raise TargetBusyError(error.what, remedy) from error
        self.execute(run_id, is_only_asked=request.entity_id != run_id)
        return operator_requests.answer_to(database, request)

    def execute(
        self,
        run_id: RunId,
        *,
        workers: int | None = None,
        listener: "Listener | None" = None,
        budget_usd: float | None = None,
        is_only_asked: bool = False,
    ) -> RunState:
        """Run an admitted run to its end, from wherever it stands.

        Args:
            run_id: The run.
            workers: How many gates run at once. Defaults to the setting.
            listener: Who watches.
            budget_usd: What its tools may cost, all together, instead of what its plan says.
            is_only_asked: Whether only to do what is asked of the run, such as cancelling a part of it, and
                to leave all the rest to be resumed.

        Raises:
            UsageError: The run has ended.
            TargetBusyError: A living process holds the target.
            InterruptedRunError: It was interrupted and can be resumed.
            OutsideFaultError: Something outside failed; it can be resumed.
        """
        import asyncio

        from maingate.orchestrator.progress import SilentListener
        from maingate.orchestrator.run_orchestrator import RunOrchestrator

        holder = LeaseHolder(run_id)
        if holder not in self._leases:
            self.take_hold(run_id)
        self.clear_up(run_id)
        try:
            self._note_resumption(run_id)
            settings = self._settings_of(run_id, listener)
            template = _template(settings)
            deps = self._dependencies(holder, workers, settings)
            versions = self._versions.pop(run_id, None)
            deps = replace(deps, template=template, budget_usd=budget_usd, versions=versions)
            with _without_collecting():
                orchestrator = RunOrchestrator(
                    run_id, deps, listener or SilentListener(), is_only_asked=is_only_asked
                )
            gc.freeze()  # the picture lives as long as the run; looking through it for garbage is of no use
            state = asyncio.run(self._while_renewing(holder, orchestrator, orchestrator.run()))
            with self.database.read() as conn:
                self._fence(holder, conn)
        except Exception as error:
            self._note_stop(run_id, error)
            raise
        finally:
            gc.unfreeze()
            self._release(holder)
        for warning in self._notify_of_end(run_id):
            (listener or SilentListener()).notice(warning)
        return state

    def _note_resumption(self, run_id: RunId) -> None:
        """Record that a run that had stopped goes on."""
        with self.database.read() as conn:
            has_stopped = stops.last(conn, run_id) is not None
        if has_stopped:
            with self.database.write() as conn:
                stops.resume(conn, run_id, at=self.clock.now())

    def _note_stop(self, run_id: RunId, error: Exception) -> None:
        """Record why a run stops before its end, unless the record or the target is another's by now."""
        with suppress(MaingateError):  # the error itself is told anyway
            with self.database.write() as conn:
                self._fence(LeaseHolder(run_id), conn)
                if not has_ended(runs.get(conn, run_id)):
                    stops.record(conn, run_id, error, at=self.clock.now())
            self._write_log()

    def roll_back(
        self,
        patch_ids: Sequence[str],
        *,
        label: str,
        reason: str,
        operator: str,
        workers: int | None = None,
    ) -> "RollbackOutcome":
        """Take landed patches of one run back: reverts, gates, landing and ledger; all of it or nothing.

        Args:
            patch_ids: The patches, by their full ids.
            label: What is rolled back, for people.
            reason: Why.
            operator: Who wants it.
            workers: How many gates run at once. Defaults to the setting.

        Raises:
            UsageError: One of them is not on the target, or they belong to several runs or elsewhere.
            RepositoryError: The target cannot be landed on as it is, or a commit that is needed is gone.
            TargetBusyError: A living process holds the target.
            OutsideFaultError: Something outside failed.
        """
        from maingate.landing.target import LandingTarget
        from maingate.recovery.rollback import RollbackEnd, RollbackRequest
        from maingate.services.notifications import Message

        run = self._run_of(patch_ids)
        holder = LeaseHolder.new("rollback")
        interruption = None
        with self._at_target(holder, run) as deps_of:
            LandingTarget(repository=self.repository, ref=run.target_ref).require_ready()
            self.clear_up()
            order = RollbackRequest(
                id=holder.id,
                run_id=run.id,
                label=label,
                patches=self._still_there(patch_ids),
                reason=reason,
                operator=operator,
            )
            deps = deps_of(workers)
            # without patches, the rollback of a process that was killed has just been finished
            outcome = (
                self._rolled_back(holder, order, run, deps)
                if order.patches
                else self._finished(run, patch_ids)
            )
            if outcome.end is RollbackEnd.ROLLED_BACK:
                outcome, interruption = self._compensated(holder, run, outcome, deps)
        said = outcome.reason.message if outcome.reason is not None else reason
        message = Message(event="rollback", run_id=run.id, state=str(outcome.end), message=f"{label}: {said}")
        warnings = self._notify(run, message)
        if interruption is not None:
            raise interruption
        return replace(outcome, notes=(*outcome.notes, *warnings))

    def bisect(self, run_id: RunId, old: str, new: str, *, gate: str, workers: int | None = None) -> "Search":
        """Find the patch with which a gate of a run's plan began to fail on the target.

        Args:
            run_id: The run whose plan has the gate.
            old: A commit on the target at which it passed.
            new: A later one at which it fails.
            gate: Its name.
            workers: How many gates run at once. Defaults to the setting.

        Raises:
            UsageError: The plan has no such gate.
            TargetBusyError: A living process holds the target.
            OutsideFaultError: Something outside failed.
        """
        import asyncio

        from maingate.plan.model import Plan
        from maingate.recovery import bisection
        from maingate.services.examination import Examination
        from maingate.services.searching import search

        with self.database.read() as conn:
            run = runs.get(conn, run_id)
            streams = workstreams.of_run(conn, run_id)
        plan = Plan.from_json(run.plan)
        if gate not in plan.gates:
            raise UsageError(
                f"the plan of {run_id} has no gate {gate!r}; it has {', '.join(plan.gates) or 'none'}"
            )
        points = bisection.history(self.repository, old, new)
        holder = LeaseHolder.new("bisect")
        with self._at_target(holder, run) as deps_of:
            self.clear_up()
            deps = deps_of(workers)
            examination = Examination(run_id, plan, deps)
            work = search(
                plan,
                deps,
                examination,
                gate=gate,
                points=points,
                workstream_id=WorkstreamId(streams[0].id),
                look_into=self._look_into,
            )
            return asyncio.run(self._while_renewing(holder, examination, work))

    def _look_into(self, state: "Point") -> "list[Point]":
        """List the states within the landing that made a state of the target; none when it is no landing."""
        from maingate.plan.choices import LandingStyle
        from maingate.recovery import bisection
        from maingate.recovery.bisection import Point
        from maingate.recovery.landed_workstreams import landed_workstream

        with self.database.read() as conn:
            mine = workstreams.landed_as(conn, state.commit)
            if mine is not None:
                stream = landed_workstream(conn, mine.id)
                at = self.clock.now()
                if stream.landing is not LandingStyle.REBASE:
                    return bisection.inside(self.repository, stream, state.commit, at=at)
            by_commit = patches.of_commit(conn, state.commit)
        if len(by_commit) != 1:
            return []
        parent = self.repository.read_commit(state.commit).parents[0]
        before = Point(commit=parent, tree=self.repository.tree_of(parent))
        return [before, Point(commit=state.commit, tree=state.tree, patch=by_commit[0].id)]

    def drop_patch(self, patch_id: str, *, reason: str, operator: str) -> None:
        """Give a quarantined patch up.

        Raises:
            UsageError: It is not in quarantine.
        """
        from maingate.recovery import overrides

        with self.database.write() as conn:
            row = patches.get(conn, patch_id)
            overrides.drop_patch(conn, row, message=reason, operator=operator, at=self.clock.now())
        self._write_log()

    def approve_patch(self, patch_id: str, *, message: str, operator: str) -> bool:
        """Note that somebody approves a patch; False when that person had done so before.

        Raises:
            UsageError: It is decided already what becomes of it.
        """
        from maingate.recovery import overrides

        with self.database.write() as conn:
            return overrides.approve_patch(
                conn, patches.get(conn, patch_id), message=message, operator=operator, at=self.clock.now()
            )

    def override_breaker(self, action: str, tool: str, *, reason: str, operator: str) -> BreakerRow:
        """Reset (``reset``) or trip (``trip``) the breaker of a tool by hand.

        Raises:
            UsageError: It is there already.
        """
        from maingate.recovery import overrides
        from maingate.recovery.circuit_breaker import Guard

        at, settings = self.clock.now(), self.settings
        new = Guard(tool=tool, threshold=settings.breaker_threshold, cooldown=settings.breaker_cooldown)
        with self.database.write() as conn:
            if action == "reset":
                overrides.reset_breaker(conn, tool, message=reason, operator=operator, at=at)
            else:
                overrides.trip_breaker(conn, tool, new, message=reason, operator=operator, at=at)
        self._write_log()
        with self.database.read() as conn:
            row = breakers.of_tool(conn, tool)
        if row is None:
            raise UnknownEntityError(tool)
        return row

    def override(self, override: Override, entity_id: str, *, reason: str, operator: str) -> str:
        """Decide about a task or a workstream by hand, and say what became of it.

        The process that controls the run does it; where there is none, it is done from here, without going on
        with the rest of the run. A workstream that may have landed already when its process was ended is left
        to the process that resumes the run, which asks git.

        Args:
            override: What is decided: ``force-complete``, ``force-fail``, ``reset`` or ``unblock`` about a
                task, ``fail`` or ``validate`` about a workstream.
            entity_id: The task or workstream, by its full id.
            reason: Why.
            operator: Who wants it.

        Raises:
            UsageError: The state that it is in does not allow it, or the process at work does not answer.
            TargetBusyError: A living process of another run holds the target of the run.
            UnknownEntityError: There is no such entity.
        """
        from maingate.orchestrator import operator_requests

        request = operator_requests.to_override(
            self.database, self.clock, override, entity_id, message=reason, operator=operator
        )
        return self._answer_to(request) or (
            f"{entity_id} was just landing when its process was ended; `maingate resume {request.run_id}` "
            "asks git, decides it that way unless it has landed, and goes on with the rest"
        )

    def report(self, run_id: RunId | None = None) -> dict[str, Any]:
        """Report a run (default: the newest) in the public JSON form, and whether its process is alive."""
        with self.database.read() as conn:
            newest = runs.newest(conn) if run_id is None else runs.get(conn, run_id)
            if newest is None:
                raise UsageError("there is no run yet; `maingate run PLAN` begins one")
            patience, reviewers = (None, 0) if has_ended(newest) else self._expectations(newest)
            report = run_report(
                conn,
                newest.id,
                repository=str(self.repository.git_dir) if self.is_own(newest) else newest.repository,
                tree_of=self.repository.tree_of,
                now=self.clock.now(),
                is_alive=self.is_at_work(conn, newest),
                patience=patience,
                reviewers=reviewers,
            )
        report["target"]["behind"] = [each.as_json() for each in behind(self.repository, newest.target_ref)]
        return report

    def _expectations(self, run: RunRow) -> "tuple[Patience, int]":
        """Return how long what is under way may stay as it is, and how many people are to approve a patch."""
        from maingate.monitoring.stuck import Patience

        return Patience.of(self.settings), self._settings_of(run.id).policy.reviewers or 0

    def close(self) -> None:
        """Let go of the database and the repository."""
        for holder in tuple(self._leases):
            self._release(holder)
        self.database.close()
        self.repository.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _versions_for(self, loaded: "LoadedPlan") -> Mapping[str, Sequence[str]]:
        """Ask the programs that a plan's gates declare the versions of; one that fails refuses the plan."""
        from maingate.uet.process.environment import allowed_environment
        from maingate.verdicts import program_versions

        environment = allowed_environment(os.environ, self.settings.env_allow)
        try:
            return program_versions.ask(loaded.plan.gates, environment)
        except ProgramVersionError as error:
            line = loaded.line_of("gates", error.gate, "versions")
            raise PlanError([Problem(file=str(loaded.path), line=line, message=str(error))]) from error

    def _tree_settings(self) -> Mapping[str, Any]:
        from maingate.settings import tree_values

        return {} if self._files is None else tree_values(self._files)

    def _settings_of(self, run_id: str, listener: "Listener | None" = None) -> "Settings":
        """Return a run's settings: the tree's as they were when it was admitted, all else as it is now."""
        from maingate.settings import load_settings

        if self._files is None:
            return self.settings
        with self.database.read() as conn:
            admitted = runs.get(conn, run_id).tree_settings
        if listener is not None and admitted != self._tree_settings():
            listener.notice(
                f"{self._files.tree} has changed; this run goes by what it was when the run was admitted. "
                f"What is to hold at once goes into {self._files.own} or the environment"
            )
        return load_settings(None, os.environ, files=self._files, tree=admitted)

    def _dependencies(
        self, holder: LeaseHolder, workers: int | None, settings: "Settings | None" = None
    ) -> "Dependencies":
        from maingate.db.transition_log import TransitionLog
        from maingate.orchestrator.dependencies import Dependencies
        from maingate.uet.process.environment import allowed_environment

        self.database.check()
        _make_state(self.paths, self.identity)
        settings = settings or self.settings
        return Dependencies(
            repository=self.repository,
            database=self.database,
            settings=settings,
            clock=self.clock,
            log=TransitionLog(self.paths.transitions, self.database),
            slots=self.paths.slots,
            locks=self.paths.locks,
            logs=self.paths.logs,
            quarantine=self.paths.quarantine,
            environment=allowed_environment(os.environ, settings.env_allow),
            workers=workers or settings.workers,
            fence=partial(self._fence, holder),
        )

    def _fence(self, holder: LeaseHolder, conn: Connection) -> None:
        """Keep out of a record that is another one by now, and of a target that somebody else holds.

        Raises:
            RecordError: The record is not the one that this process began with.
            LeaseLostError: The hold on the target is lost.
        """
        self.identity.check(self.paths.root)
        self.database.require_record(conn)
        lease_hold.keep_out(conn, self._leases[holder])

    async def _while_renewing(
        self, holder: LeaseHolder, worker: "Stoppable", work: Awaitable[Taken]
    ) -> Taken:
        import asyncio

        renewing = asyncio.create_task(self._renew(holder, worker))
        try:
            return await work
        finally:
            renewing.cancel()

    # -- rolling back ----------------------------------------------------------------------------------------

    @contextmanager
    def _at_target(
        self, holder: LeaseHolder, run: RunRow
    ) -> "Iterator[Callable[[int | None], Dependencies]]":
        """Hold a run's target for something else than the run; give what makes the surroundings for it."""
        with self.database.write() as conn:
            self._require_own(run)
            self._leases[holder] = self._hold(conn, run.target_ref, holder)
        try:
            yield lambda workers: self._dependencies(holder, workers)
        finally:
            self._release(holder)

    def _run_of(self, patch_ids: Sequence[str]) -> RunRow:
        with self.database.read() as conn:
            found = {row.run_id for row in patches.get_many(conn, patch_ids).values()}
            if len(found) != 1:
                raise UsageError("patches of one run are rolled back at a time, and at least one of them")
            run = runs.get(conn, found.pop())
        self._require_own(run)
        return run

    def _still_there(self, patch_ids: Sequence[str]) -> list[str]:
        with self.database.read() as conn:
            rows = patches.get_many(conn, patch_ids)
        return [each for each in patch_ids if rows[each].state is not PatchState.ROLLED_BACK]

    def _finished(self, run: RunRow, patch_ids: Sequence[str]) -> "RollbackOutcome":
        """Describe the rollback that was finished on behalf of a process that was killed."""
        from maingate.recovery.rollback import RollbackEnd, RollbackOutcome

        with self.database.read() as conn:
            done = [each for each in intents.rollbacks(conn, run.id) if set(patch_ids) & each.commits.keys()]
        last = done[-1]
        commits = {each: last.commits.get(each, "") for each in patch_ids}
        note = f"rollback {last.id}, whose process had been ended, was finished"
        return RollbackOutcome(
            end=RollbackEnd.ROLLED_BACK,
            ref=last.ref,
            old=last.old or "",
            new=last.new,
            commits=commits,
            notes=(note,),
        )

    def _rolled_back(
        self, holder: LeaseHolder, order: "RollbackRequest", run: RunRow, deps: "Dependencies"
    ) -> "RollbackOutcome":
        """Carry a rollback out."""
        from maingate.landing.target import HeldTarget
        from maingate.recovery.rollback_manager import RollbackManager

        target = HeldTarget(
            repository=self.repository,
            ref=run.target_ref,
            timeout=self.settings.checkout_timeout,
            database=self.database,
            fence=deps.fence,
            clock=self.clock,
        )
        manager = RollbackManager(
            target=target, judge=lambda gates, result: self._judged(holder, run, gates, result, deps)
        )
        try:
            return manager.roll_back(order)
        finally:
            self._write_log()

    def _compensated(
        self, holder: LeaseHolder, run: RunRow, outcome: "RollbackOutcome", deps: "Dependencies"
    ) -> "tuple[RollbackOutcome, InterruptedRunError | None]":
        """Run the `on_rollback` commands that are owed; whatever comes of them, the rollback stands."""
        import asyncio

        from maingate.orchestrator.core.commits import Tip
        from maingate.plan.model import Plan
        from maingate.services import compensation
        from maingate.services.examination import Examination

        with self.database.read() as conn:
            wanted = compensation.owed(conn, run)
        if not wanted:
            return outcome, None
        head = self.repository.ref_value(run.target_ref) or outcome.new
        tip = Tip(commit=head, tree=self.repository.tree_of(head))
        again = "the same `maingate rollback` again runs those that are not on record"
        examination = Examination(
            RunId(run.id),
            Plan.from_json(run.plan),
            deps,
            interrupted=f"the rollback stands, its on_rollback commands were interrupted; {again}",
        )
        work = compensation.compensate(wanted, examination=examination, deps=deps, tip=tip)
        interruption, failures = None, []
        try:
            failures = asyncio.run(self._while_renewing(holder, examination, work))
        except InterruptedRunError as error:
            interruption = error
        except OutsideFaultError as error:
            failures = [f"not every on_rollback command could be run: {error}; {again}"]
        told = replace(outcome, failures=tuple(failures), notes=(*outcome.notes, *failures))
        return told, interruption

    # -- telling ---------------------------------------------------------------------------------------------

    def _notify_of_end(self, run_id: RunId) -> list[str]:
        """Have it told that a run ended in trouble; says what failed with that."""
        from maingate.services.notifications import trouble

        try:
            with self.database.read() as conn:
                run = runs.get(conn, run_id)
                message = trouble(conn, run_id) if run.plan.get("notify") else None
        except DatabaseError as error:
            return [f"whether anybody is to be notified could not be read: {error}"]
        return [] if message is None else self._notify(run, message)

    def _notify(self, run: RunRow, message: "Message") -> list[str]:
        """Run a plan's `notify` commands; what fails is on record as a warning, and returned."""
        from maingate.plan.model import Plan
        from maingate.services.notifications import notify
        from maingate.uet.process.environment import allowed_environment

        commands = Plan.from_json(run.plan).notify
        if not commands:
            return []
        environment = allowed_environment(os.environ, self.settings.env_allow)
        try:
            said = notify(commands, message, root=self.repository.root, environment=environment)
            warnings = [f"{each}; that changes nothing else" for each in said]
            with self.database.write() as conn:
                for text in warnings:
                    events.record(conn, self._warning(run, text))
        except (OSError, OutsideFaultError) as error:
            warnings = [f"the notify commands could not be run or recorded: {error}"]
        return warnings

    def _warning(self, run: RunRow, text: str) -> Event:
        return Event(
            event_id=EventId(new_id("evt")),
            timestamp=self.clock.now(),
            event_type="warning",
            severity=Severity.WARNING,
            entity_type="run",
            entity_id=run.id,
            reason={"message": text},
            run_id=run.id,
        )

    # -- judging and settling --------------------------------------------------------------------------------

    def _judged(
        self, holder: LeaseHolder, run: RunRow, gates: Sequence[str], result: "Reverted", deps: "Dependencies"
    ) -> Reason | None:
        """Let gates judge a rollback's result; None when they pass."""
        import asyncio

        from maingate.orchestrator.core.commits import Tip
        from maingate.plan.model import Plan
        from maingate.services.examination import Examination
        from maingate.verdicts.blame import Opinion
        from maingate.verdicts.subject import Subject

        if not gates:
            return None
        with self.database.read() as conn:
            streams = workstreams.of_run(conn, run.id)
        subject = Subject(label="the rolled back result", workstream_id=WorkstreamId(streams[0].id))
        tip = Tip(commit=result.new, tree=result.tree)
        onto = Tip(commit=result.old, tree=self.repository.tree_of(result.old))
        examination = Examination(RunId(run.id), Plan.from_json(run.plan), deps)
        work = examination.judge(subject, gates, tip=tip, onto=onto)
        judgement = asyncio.run(self._while_renewing(holder, examination, work))
        return None if judgement.opinion is Opinion.PASSED else judgement.reason

    def _settle_rollbacks(self) -> None:
        """Finish, or give up, the rollbacks whose processes were ended, where nobody holds the target."""
        from maingate.landing.target import LandingTarget
        from maingate.recovery import rollback_record

        with self.database.read() as conn:
            pending = intents.pending_rollbacks(conn)
            here = {run.id for run in self._mine(conn, pending)}
            waiting = [each for each in pending if each.run_id in here]
        for intent in waiting:
            key = lease_hold.key_of(self.identity.id, intent.ref)
            with self.database.write() as conn:
                is_mine = any(lease.key == key for lease in self._leases.values())
                present = leases.of_key(conn, key)
                if not is_mine and present is not None and lease_hold.is_held(present, self.clock.now()):
                    continue
                if any(each.id == intent.id for each in intents.pending_rollbacks(conn)):
                    target = LandingTarget(repository=self.repository, ref=intent.ref)
                    rollback_record.settle(conn, target, intent, self.clock)

    def _mine(self, conn: Connection, waiting: Sequence[Intent]) -> list[RunRow]:
        found = runs.get_many(conn, [each.run_id for each in waiting]).values()
        return [run for run in found if self.is_own(run)]

    async def _renew(self, holder: LeaseHolder, orchestrator: "Stoppable") -> None:
        """Renew the lease again and again; a database that is busy is given as long as the lease lasts."""
        import asyncio

        renewed_at = self.clock.monotonic()
        while (lease := self._leases.get(holder)) is not None:
            await asyncio.sleep(lease_hold.LEASE_TIME.total_seconds() / 4)
            try:
                renewed = await asyncio.to_thread(self._renewed, lease)
            except DatabaseError as error:
                if self.clock.monotonic() - renewed_at > lease_hold.LEASE_TIME.total_seconds():
                    orchestrator.give_up(error)
                    return
                continue
            if renewed is None:
                orchestrator.give_up(
                    LeaseLostError(f"the hold on the target was lost to another process: {lease.key}")
                )
                return
            self._leases[holder], renewed_at = renewed, self.clock.monotonic()

    def _renewed(self, lease: Lease) -> Lease | None:
        with self.database.write() as conn:
            return leases.renew(conn, lease, now=self.clock.now(), ttl=lease_hold.LEASE_TIME)

    def _hold(self, conn: Connection, ref: str, holder: LeaseHolder) -> Lease:
        _make_state(self.paths, self.identity)
        key = lease_hold.key_of(self.identity.id, ref)
        return lease_hold.hold(conn, key, holder=holder, now=self.clock.now())

    def is_own(self, run: RunRow) -> bool:
        """Tell whether a run is one of this repository, wherever it was when the run was admitted."""
        return run.repository_id == self.identity.id

    def _require_own(self, run: RunRow) -> None:
        if self.is_own(run):
            return
        copied = run.repository == self.identity.copied_from
        what = ", of which this repository is a copy" if copied else ", which is another repository than this"
        raise UsageError(f"{run.id} is a run on {run.repository}{what}; run this command there")

    def _is_copied(self, run: RunRow) -> bool:
        """Tell whether a run is in this repository's own record only because that was copied with it."""
        return not self._is_shared and not self.is_own(run)

    def is_at_work(self, conn: Connection, run: RunRow) -> bool:
        """Return whether a living process is at work on a run."""
        if self._is_copied(run):
            return False
        return lease_hold.lease_at_work(conn, run, self.clock.now()) is not None

    def _is_examined(self, conn: Connection, run: RunRow) -> bool:
        return lease_hold.is_examined(conn, run, self.clock.now())

    def clear_up(self, run_id: RunId | None = None) -> None:
        """End what killed processes have left, and put on record and in the log what they could not.

        Args:
            run_id: A run that this process has just taken hold of: nothing of it can be under way.
        """
        from maingate.git.private_git import remove_abandoned
        from maingate.orchestrator.shell import evidence
        from maingate.recovery.rescuer import rescue

        def is_abandoned(conn: Connection, run: str) -> bool:
            row = runs.get(conn, run)
            if self._is_copied(row):
                return False
            return run == run_id or not (self.is_at_work(conn, row) or self._is_examined(conn, row))

        rescue(
            self.database,
            clock=self.clock,
            host=socket.gethostname(),
            recovery_window=self.settings.recovery_window,
            is_abandoned=is_abandoned,
        )
        if run_id is not None:
            self.repository.unlock(f"{PRIVATE_REFS}{run_id}/")
        self._settle_rollbacks()
        self._catch_up()
        remove_abandoned()
        self._write_log()
        evidence.keep_missing(self.database, self.paths.quarantine, repository_id=self.identity.id)

    def _write_log(self) -> None:
        """Append to the file of transitions what it lacks."""
        from maingate.db.transition_log import TransitionLog

        TransitionLog(self.paths.transitions, self.database).catch_up()

    def _catch_up(self) -> None:
        """Bring along the checkouts that killed processes have left behind; the others stay on record."""
        for left in behind(self.repository):
            with suppress(TargetBusyError):  # somebody else is at it
                catch_up(self.repository, left.ref, timeout=self.settings.checkout_timeout)

    def _release(self, holder: LeaseHolder) -> None:
        lease = self._leases.pop(holder, None)
        if lease is not None:
            with self.database.write() as conn:
                leases.release(conn, lease)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Make much that stays: looking through it for garbage meanwhile, again and again, is of no use."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


def _when_free(take: Callable[[], Taken], wait: Wait | None) -> Taken:
    """Take something that needs a target, as soon as no living process holds it any more."""
    while True:
        try:
            return take()
        except TargetBusyError as error:
            if wait is None:
                raise TargetBusyError(error.what, _OR_WAIT) from error
            wait(error)


def _stated(repository: Repository, files: SettingsFiles) -> "Settings | None":
    """Read what is set; None where nothing is, and so neither is the record nor the caches elsewhere."""
    if not files.may_set_anything(os.environ):
        return None
    from maingate.settings import load_settings

    settings = load_settings(None, os.environ, files=files)
    _require_out_of_reach(repository, settings)
    return settings


def _require_out_of_reach(repository: Repository, settings: "Settings") -> None:
    """Refuse a record or caches among the files of a working tree, where what lands would be written."""
    places = (
        (
            "database_url",
            file_of(settings.database_url) if settings.database_url else None,
            "replace the record: name a file elsewhere, or unset it for the one in `.git`",
        ),
        (
            "cache_dir",
            settings.cache_dir,
            "write into what gates judge: name a folder elsewhere, or unset it for the user's cache folder",
        ),
    )
    stated = [(key, path, harm) for key, path, harm in places if path is not None]
    for checkout in all_checkouts(repository) if stated else ():
        for key, path, harm in stated:
            if is_among_files(path, checkout.top):
                lies = f"{key}: {path} lies in the work tree {checkout.top}"
                raise UsageError(f"{lies}, where a patch or a checkout could {harm}")


def settings_files(repository: Repository) -> SettingsFiles:
    """Return the files that a repository's settings are read from."""
    return SettingsFiles.of(repository.git_dir, None if repository.is_bare else repository.root)


def _paths(repository: Repository, settings: "Settings | None", identity: Identity) -> StatePaths:
    slots = _cache(settings, os.environ) / "worktrees"

    def name_of(git_dir: str) -> str:
        """Name the slots of a repository at a place, so that not even an unknown copy has the same."""
        text = f"{identity.id} {git_dir}".encode(errors="surrogateescape")
        return hashlib.sha256(text).hexdigest()[:16]

    return StatePaths(
        root=repository.git_dir / STATE,
        slots=slots / name_of(identity.home.git_dir),
        former_slots=tuple(slots / name_of(git_dir) for git_dir in identity.former),
    )


def _template(settings: "Settings") -> str | None:
    """Read how tools are told what was wrong.

    Raises:
        UsageError: There is no such file, or it is no template.
    """
    from maingate.tools.prompts import fault_of_template

    if settings.prompt_template is None:
        return None
    try:
        text = settings.prompt_template.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"prompt_template: {settings.prompt_template} cannot be read: {error}") from error
    if (fault := fault_of_template(text)) is not None:
        raise UsageError(f"prompt_template: {settings.prompt_template}: {fault}")
    return text


def _cache(settings: "Settings | None", environ: Mapping[str, str]) -> Path:
    if settings is not None and settings.cache_dir is not None:
        return settings.cache_dir
    base = Path(environ.get("XDG_CACHE_HOME", ""))  # a relative one is none, says who defined the variable
    return (base if base.is_absolute() else Path.home() / ".cache") / "maingate"


def _make_state(paths: StatePaths, identity: Identity) -> None:
    """Make the state folder, and write down which repository it is of."""
    try:
        paths.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutsideFaultError(f"the state folder {paths.root} cannot be made: {error}") from error
    identity.write(paths.root)
