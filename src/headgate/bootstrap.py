"""The only place where parts are chosen and put together: settings and a repository become a ``Headgate``."""

import asyncio
import hashlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from headgate.clock import Clock, SystemClock
from headgate.db.dao import intents, leases, runs
from headgate.db.dao.leases import Lease
from headgate.db.dao.runs import RunRow
from headgate.db.engine import Database, open_database
from headgate.db.transition_log import TransitionLog
from headgate.errors import (
    DatabaseError,
    HeadgateError,
    LeaseLostError,
    NoStateError,
    OutsideFaultError,
    TargetBusyError,
    UsageError,
)
from headgate.ids import RunId
from headgate.orchestrator import admission, cancelling, evidence, tenure
from headgate.orchestrator.parts import Surroundings
from headgate.orchestrator.progress import Listener, SilentListener
from headgate.orchestrator.report import run_report
from headgate.orchestrator.run_orchestrator import RunOrchestrator
from headgate.orchestrator.stuck import Patience
from headgate.plan.loader import LoadedPlan
from headgate.recovery.rescuer import rescue
from headgate.settings import Settings, load_settings
from headgate.state.run import RunState
from headgate.uet.gate_runner import allowed_environment
from headgate.uet.git import require_git
from headgate.uet.private_git import remove_abandoned
from headgate.uet.repository import Repository

Taken = TypeVar("Taken")

Wait = Callable[[TargetBusyError], None]
"""Told, again and again, that a living process holds the target; it sleeps, or gives up by raising."""


@dataclass(frozen=True, kw_only=True)
class StatePaths:
    """Where Headgate keeps what it knows about a repository.

    Args:
        root: ``.headgate`` at the root of the main work tree, or ``headgate`` in a bare repository.
        slots: Worktrees, outside the repository, in the user's cache.
    """

    root: Path
    slots: Path

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.root / "headgate.db"

    @property
    def transitions(self) -> Path:
        """Every transition, a line each."""
        return self.root / "transitions.jsonl"

    @property
    def logs(self) -> Path:
        """Gates' output."""
        return self.root / "logs"

    @property
    def quarantine(self) -> Path:
        """Refused patches."""
        return self.root / "quarantine"


class Headgate:
    """Headgate on one repository: admit plans, run them, read what happened.

    Use it as a context manager, or ``close`` it.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        repository: Repository,
        database: Database,
        paths: StatePaths,
        clock: Clock,
    ) -> None:
        self.settings, self.repository, self.database = settings, repository, database
        self.paths, self.clock = paths, clock
        self._leases: dict[RunId, Lease] = {}

    @classmethod
    def open(cls, start: Path | None = None, *, create: bool = True) -> Self:
        """Open Headgate on the repository around a path (default: the working directory).

        Args:
            start: Any path in the repository.
            create: Make the state folder and its database where there is none yet.

        Raises:
            RepositoryError: There is no repository, or none that can be worked on.
            UsageError: There is no state yet and none was to be made.
            SettingsError: ``headgate.toml`` or ``HEADGATE_*`` has problems.
        """
        require_git()
        repository = Repository.open(start or Path.cwd())
        settings = load_settings(repository.root, os.environ)
        paths = _paths(repository, settings)
        url = settings.database_url or f"sqlite:///{paths.database}"
        if not create and not (settings.database_url or paths.database.exists()):
            raise NoStateError(f"Headgate has not run in {repository.root} yet; `headgate run PLAN` begins")
        if create:
            _make_state(repository, paths)
        database = open_database(url, busy_timeout=settings.busy_timeout)
        try:
            database.upgrade()
        except HeadgateError:
            database.close()
            repository.close()
            raise
        return cls(
            settings=settings, repository=repository, database=database, paths=paths, clock=SystemClock()
        )

    @classmethod
    def for_plan(cls, loaded: LoadedPlan) -> Self:
        """Open Headgate on the repository that a plan is for."""
        return cls.open(loaded.root or loaded.repository_candidates(Path.cwd())[-1])

    def examine(self, loaded: LoadedPlan) -> admission.Admission:
        """Ask everything that could refuse the plan; write nothing but what an earlier run owes."""
        return admission.examine(self.repository, loaded, self._left_behind(loaded))

    def _left_behind(self, loaded: LoadedPlan) -> admission.Landing | None:
        """Find the newest landing on the plan's target that no process saw to its end."""
        ref = self.repository.resolve_target(loaded.plan.target).ref
        with self.database.read() as conn:
            open_ones = [intent for intent in intents.pending(conn) if intent.ref == ref and intent.old]
        if not open_ones:
            return None
        newest = max(open_ones, key=lambda intent: intent.created_at)
        return admission.Landing(old=newest.old or "", new=newest.new)

    def admit(self, loaded: LoadedPlan, *, wait: Wait | None = None) -> RunId:
        """Make a run of a plan and take hold of its target; all of it or nothing.

        Args:
            loaded: The plan.
            wait: What to do while a living process holds the target. None gives up at once.

        Raises:
            PlanError: The plan asks for something that cannot be done.
            RepositoryError: The target cannot be landed on as it is.
            TargetBusyError: Another run holds the target.
        """
        return _when_free(lambda: self._admit(loaded), wait)

    def _admit(self, loaded: LoadedPlan) -> RunId:
        TransitionLog(self.paths.transitions, self.database).check()
        admitted = self.examine(loaded)
        now = self.clock.now()
        with self.database.write() as conn:
            run_id = admission.create(conn, self.repository, admitted, at=now)
            git_dir, ref = str(self.repository.git_dir), admitted.target.ref
            self._leases[run_id] = self._hold(conn, git_dir, ref, run_id)
        return run_id

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
            if row.state not in {RunState.PENDING, RunState.RUNNING}:
                raise UsageError(f"run {run_id} is {row.state}; there is nothing left to do")
            self._leases[run_id] = self._hold(conn, row.repository, row.target_ref, run_id)

    def interrupted(self) -> list[RunRow]:
        """List the runs of this repository that have not ended and that no living process is at work on."""
        with self.database.read() as conn:
            open_runs = runs.unfinished(conn)
            mine = [run for run in open_runs if run.repository == str(self.repository.git_dir)]
            return [run for run in mine if not self._is_at_work(conn, run)]

    def is_alive(self, run_id: str) -> bool:
        """Tell whether a living process is at work on a run."""
        with self.database.read() as conn:
            return self._is_at_work(conn, runs.get(conn, run_id))

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
        database, clock = self.database, self.clock
        request = cancelling.ask(database, clock, entity_id, message=message, operator=operator)
        run_id = RunId(request.run_id)
        answer = cancelling.await_answer(database, clock, request, is_alive=lambda: self.is_alive(run_id))
        if answer is not None:
            return answer
        try:
            self.take_hold(run_id)
        except TargetBusyError as error:
            raise TargetBusyError(f"{error}; the wish stays for whoever goes on with {run_id}") from error
        self.execute(run_id, is_only_asked=entity_id != run_id)
        return cancelling.answer_to(database, request) or (
            f"{entity_id} was just landing when its process was ended; `headgate resume {run_id}` asks git, "
            "cancels it unless it has landed, and goes on with the rest"
        )

    def execute(
        self,
        run_id: RunId,
        *,
        workers: int | None = None,
        listener: Listener | None = None,
        is_only_asked: bool = False,
    ) -> RunState:
        """Run an admitted run to its end, from wherever it stands.

        Args:
            run_id: The run.
            workers: How many gates run at once. Defaults to the setting.
            listener: Who watches.
            is_only_asked: Whether only to do what is asked of the run, such as cancelling a part of it, and
                to leave all the rest to be resumed.

        Raises:
            UsageError: The run has ended.
            TargetBusyError: A living process holds the target.
            InterruptedRunError: It was interrupted and can be resumed.
            OutsideFaultError: Something outside failed; it can be resumed.
        """
        if run_id not in self._leases:
            self.take_hold(run_id)
        self.clear_up(run_id)
        around = Surroundings(
            repository=self.repository,
            database=self.database,
            settings=self.settings,
            clock=self.clock,
            log=TransitionLog(self.paths.transitions, self.database),
            slots=self.paths.slots,
            logs=self.paths.logs,
            quarantine=self.paths.quarantine,
            environment=allowed_environment(os.environ, self.settings.env_allow),
            workers=workers or self.settings.workers,
            fence=lambda conn: tenure.keep_out(conn, self._leases[run_id]),
        )
        try:
            orchestrator = RunOrchestrator(
                run_id, around, listener or SilentListener(), is_only_asked=is_only_asked
            )
            return asyncio.run(self._held(run_id, orchestrator))
        finally:
            self._release(run_id)

    def report(self, run_id: RunId | None = None) -> dict[str, Any]:
        """Report a run (default: the newest) in the public JSON form, and whether its process is alive."""
        with self.database.read() as conn:
            newest = runs.newest(conn) if run_id is None else runs.get(conn, run_id)
            if newest is None:
                raise UsageError("there is no run yet; `headgate run PLAN` begins one")
            return run_report(
                conn,
                newest.id,
                tree_of=self.repository.tree_of,
                now=self.clock.now(),
                is_alive=self._is_at_work(conn, newest),
                patience=Patience.of(self.settings),
            )

    def close(self) -> None:
        """Let go of the database and the repository."""
        for run_id in tuple(self._leases):
            self._release(run_id)
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

    async def _held(self, run_id: RunId, orchestrator: RunOrchestrator) -> RunState:
        """Run while renewing the hold on the target."""
        renewing = asyncio.create_task(self._renew(run_id, orchestrator))
        try:
            return await orchestrator.run()
        finally:
            renewing.cancel()

    async def _renew(self, run_id: RunId, orchestrator: RunOrchestrator) -> None:
        """Renew the lease again and again; a database that is busy is given as long as the lease lasts."""
        renewed_at = self.clock.monotonic()
        while (lease := self._leases.get(run_id)) is not None:
            await asyncio.sleep(tenure.LEASE_TIME.total_seconds() / 4)
            try:
                renewed = await asyncio.to_thread(self._renewed, lease)
            except DatabaseError as error:
                if self.clock.monotonic() - renewed_at > tenure.LEASE_TIME.total_seconds():
                    orchestrator.give_up(error)
                    return
                continue
            if renewed is None:
                orchestrator.give_up(
                    LeaseLostError(f"the hold on the target was lost to another process: {lease.key}")
                )
                return
            self._leases[run_id], renewed_at = renewed, self.clock.monotonic()

    def _renewed(self, lease: Lease) -> Lease | None:
        with self.database.write() as conn:
            return leases.renew(conn, lease, now=self.clock.now(), ttl=tenure.LEASE_TIME)

    def _hold(self, conn: Connection, git_dir: str, ref: str, run_id: RunId) -> Lease:
        return tenure.hold(conn, tenure.key_of(git_dir, ref), holder=run_id, now=self.clock.now())

    def _is_at_work(self, conn: Connection, run: RunRow) -> bool:
        lease = leases.of_key(conn, tenure.key_of(run.repository, run.target_ref))
        return lease is not None and lease.holder == run.id and tenure.is_held(lease, self.clock.now())

    def clear_up(self, run_id: RunId | None = None) -> None:
        """End what killed processes have left, and put on record and in the log what they could not.

        Args:
            run_id: A run that this process has just taken hold of: nothing of it can be under way.
        """

        def is_abandoned(conn: Connection, run: str) -> bool:
            return run == run_id or not self._is_at_work(conn, runs.get(conn, run))

        rescue(
            self.database,
            clock=self.clock,
            host=socket.gethostname(),
            recovery_window=self.settings.recovery_window,
            is_abandoned=is_abandoned,
        )
        remove_abandoned()
        TransitionLog(self.paths.transitions, self.database).catch_up()
        evidence.keep_missing(self.database, self.paths.quarantine, repository=str(self.repository.git_dir))

    def _release(self, run_id: RunId) -> None:
        lease = self._leases.pop(run_id, None)
        if lease is not None:
            with self.database.write() as conn:
                leases.release(conn, lease)


def _when_free(take: Callable[[], Taken], wait: Wait | None) -> Taken:
    """Take something that needs a target, as soon as no living process holds it any more."""
    while True:
        try:
            return take()
        except TargetBusyError as error:
            if wait is None:
                raise
            wait(error)


def _paths(repository: Repository, settings: Settings) -> StatePaths:
    root = repository.root / ("headgate" if repository.is_bare else ".headgate")
    name = hashlib.sha256(str(repository.git_dir).encode(errors="surrogateescape")).hexdigest()[:16]
    return StatePaths(root=root, slots=_cache(settings, os.environ) / "worktrees" / name)


def _cache(settings: Settings, environ: Mapping[str, str]) -> Path:
    if settings.cache_dir is not None:
        return settings.cache_dir
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "headgate"


def _make_state(repository: Repository, paths: StatePaths) -> None:
    """Make the state folder and keep git from seeing it."""
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.logs.mkdir(exist_ok=True)
        if repository.is_bare:
            return
        exclude = repository.git_dir / "info" / "exclude"
        lines = exclude.read_text(errors="surrogateescape").splitlines() if exclude.exists() else []
        if "/.headgate/" not in lines:
            exclude.parent.mkdir(exist_ok=True)
            with exclude.open("a") as file:
                file.write(("\n" if lines and lines[-1] else "") + "/.headgate/\n")
    except OSError as error:
        raise OutsideFaultError(f"the state folder {paths.root} cannot be made: {error}") from error
