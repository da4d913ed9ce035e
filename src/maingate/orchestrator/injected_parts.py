"""The parts of a run that are handed in from outside (`Dependencies`), and the factory of its own parts.

A simulation replaces both.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor as Threads
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from maingate.clock import Clock, RunningTime
from maingate.db.dao import patches
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.db.transition_log import TransitionLog
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.git.repository import Repository
from maingate.orchestrator.shell.dispatcher import Dispatcher
from maingate.orchestrator.shell.job_maker import JobMaker
from maingate.orchestrator.shell.shared_resources import SharedResources
from maingate.orchestrator.train.record import TrainRecord
from maingate.patches.apply.already_there import LandedChange
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.trace_ids import RunTrace
from maingate.uet.executor import Executor
from maingate.verdicts import program_versions
from maingate.workers.artifacts import Artifacts
from maingate.workers.backend import WorkerPool
from maingate.workers.pool_manager import CHECK_PAUSE, PoolManager
from maingate.workers.registry import PoolObserver


class TargetHold(Protocol):
    """The hold of a run's process on the target of the run, which it takes and lets go as it goes on."""

    @property
    def key(self) -> str:
        """The key of the target, the same for all runs on it."""
        ...

    def is_held(self) -> bool:
        """Return whether this process has it."""
        ...

    def is_free(self) -> bool:
        """Return whether no living process has it. Blocks."""
        ...

    def try_to_take(self) -> bool:
        """Take it unless a living process has it; return whether this process has it now. Blocks."""
        ...

    def let_go(self) -> None:
        """Release it for other processes. Blocks."""
        ...


class LastingHold:
    """The hold of a process that has its target for all of its work."""

    key = ""

    def is_held(self) -> bool:
        """Return True."""
        return True

    def is_free(self) -> bool:
        """Return False."""
        return False

    def try_to_take(self) -> bool:
        """Return True."""
        return True

    def let_go(self) -> None:
        """Do nothing: it lasts as long as the work."""


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """Everything that a run needs from outside of itself, handed in by ``bootstrap``.

    Args:
        slots: The folder of worktrees.
        locks: The folder of their locks.
        logs: The folder of gates' output.
        quarantine: The folder of refused patches, kept for people.
        environment: The variables that gates see.
        workers: Number of jobs that run at once.
        fence: Raises when this process has lost a hold, on the run or its target.
        target_fence: The same; it raises also when this process does not hold the target now.
        hold: The hold on the target.
        template: Text by which a tool learns of its last patch's faults; None for the built-in one.
        budget_usd: Budget of the run's tools together, instead of the plan's.
        committed: Called in the loop after each commit; it only sets a flag (``monitoring.hooks``).
        versions: Versions of programs that gates declare; None when they are still to be read.
        trace: The trace that programs are told of; None when none is exported.
        drivers: The filters of the user and of the repository.
        remotes: The blob of the tags and remotes that jobs see; empty for none.
        record: The past that the train expects to go on.
        parts: The factory of its parts.
    """

    repository: Repository
    database: Database
    settings: Settings
    clock: Clock
    log: TransitionLog
    slots: Path
    locks: Path
    logs: Path
    quarantine: Path
    environment: Mapping[str, str]
    workers: int
    fence: Callable[[Connection], None]
    target_fence: Callable[[Connection], None]
    hold: TargetHold = field(default_factory=LastingHold)
    template: str | None = None
    budget_usd: float | None = None
    committed: Callable[[], None] = lambda: None
    versions: Mapping[str, Sequence[str]] | None = None
    trace: RunTrace | None = None
    drivers: FilterDrivers = NONE
    remotes: str = ""
    record: TrainRecord = field(default_factory=TrainRecord)
    parts: "PartsFactory" = field(default_factory=lambda: PartsFactory())  # noqa: PLW0108 - the class comes later


class PartsFactory:
    """The factory of the parts of a run."""

    def threads(self, count: int, name: str) -> Threads:
        """Return the threads that calls which block run in."""
        return ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    def pool(self, deps: Dependencies, observer: PoolObserver, plan: Plan) -> WorkerPool:
        """Return the pool of workers; those of this machine have every capability that the plan names."""
        settings = deps.settings
        return PoolManager(
            size=deps.workers,
            minimum=min(settings.workers_min, deps.workers),
            idle_time=settings.worker_idle_time.total_seconds(),
            heartbeat=settings.heartbeat_interval.total_seconds(),
            misses=settings.heartbeat_misses,
            recovery_window=settings.recovery_window.total_seconds(),
            slots_dir=deps.slots,
            locks_dir=deps.locks,
            source_git_dir=deps.repository.git_dir,
            drivers=deps.drivers,
            remotes=deps.remotes,
            artifacts=Artifacts(deps.logs),
            observer=observer,
            environment=deps.environment,
            capabilities=tuple(name for tool in plan.tools.values() for name in tool.capabilities),
            clock=RunningTime(deps.clock.monotonic, look=CHECK_PAUSE).now,
        )

    def jobs(self, deps: Dependencies, plan: Plan) -> JobMaker:
        """Return the maker of jobs from gates and commands."""
        versions = deps.versions
        if versions is None:
            versions = program_versions.read_versions(plan.gates, deps.environment)
        return JobMaker(
            plan,
            deps.settings,
            deps.repository,
            deps.environment,
            versions=versions,
            trace=deps.trace,
            drivers=deps.drivers,
            remotes=deps.remotes,
        )

    def health(self, deps: Dependencies, *, target: str, base: str) -> SharedResources:
        """Return the check of everything else, for when something failed."""
        return SharedResources(
            database=deps.database,
            repository=deps.repository,
            folders=(deps.repository.git_dir, deps.logs, deps.quarantine, deps.slots),
            fence=deps.fence,
            target=target,
            base=base,
        )

    def effects(self, deps: Dependencies, **rest: Any) -> Dispatcher:
        """Return the part that carries effects out.

        Args:
            deps: The dependencies of the run.
            **rest: Parts of the shell: run, verdicts, commands, warn and threads.
        """
        return Dispatcher(
            repository=deps.repository,
            executor=Executor(
                deps.repository,
                max_bytes=deps.settings.max_patch_bytes,
                now=deps.clock.now,
                ledger=partial(landed_changes, deps.database),
                drivers=deps.drivers,
            ),
            database=deps.database,
            settings=deps.settings,
            clock=deps.clock,
            quarantine_folder=deps.quarantine,
            fence=deps.fence,
            target_fence=deps.target_fence,
            **rest,
        )


def landed_changes(database: Database, keys: Collection[str]) -> list[LandedChange]:
    """Find what landed before with one of these change keys."""
    with database.read() as conn:
        found = patches.landed_with(conn, keys)
    return [
        LandedChange(
            patch=row.id,
            run=row.run_id,
            key=row.change_key,
            sha256=row.sha256,
            commit=row.commit,
            end=row.new_head,
        )
        for row in found
    ]
