"""The parts that a run is put together from: made in one place, so that a simulation can replace them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor as Threads
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from maingate.clock import Clock
from maingate.db.connection import Connection
from maingate.db.dao import patches
from maingate.db.engine import Database
from maingate.db.transition_log import TransitionLog
from maingate.git.repository import Repository
from maingate.orchestrator.shell.effects import Effects
from maingate.orchestrator.shell.health import Health
from maingate.orchestrator.shell.jobs import JobMaker
from maingate.patches.apply.already_there import Landed
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.uet.executor import Executor
from maingate.verdicts import program_versions
from maingate.workers.pool_manager import PoolManager, PoolObserver


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run works with, handed in by ``bootstrap``.

    Args:
        slots: Where worktrees are kept.
        locks: Where their locks are.
        logs: Where gates' output is kept.
        quarantine: Where refused patches are kept for people.
        environment: What gates see of the environment.
        workers: How many jobs run at once.
        fence: Raises when this process does not hold the run's target any more.
        template: How a tool is told what was wrong with its last patch; None for Maingate's own way.
        budget_usd: What the run's tools may cost instead of what its plan says.
        versions: What programs said that gates declare the versions of; None when they are still to be asked.
        parts: Makes the parts.
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
    template: str | None = None
    budget_usd: float | None = None
    versions: Mapping[str, Sequence[str]] | None = None
    parts: "Parts" = field(default_factory=lambda: Parts())  # noqa: PLW0108 - the class comes later


class Parts:
    """Makes the real parts."""

    def threads(self, count: int, name: str) -> Threads:
        """Make what calls that block run in."""
        return ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    def pool(self, around: Surroundings, observer: PoolObserver) -> PoolManager:
        """Make the pool of workers."""
        settings = around.settings
        return PoolManager(
            size=around.workers,
            minimum=min(settings.workers_min, around.workers),
            idle_time=settings.worker_idle_time.total_seconds(),
            heartbeat=settings.heartbeat_interval.total_seconds(),
            misses=settings.heartbeat_misses,
            recovery_window=settings.recovery_window.total_seconds(),
            slots_dir=around.slots,
            locks_dir=around.locks,
            source_git_dir=around.repository.git_dir,
            observer=observer,
            environment=around.environment,
        )

    def jobs(self, around: Surroundings, plan: Plan) -> JobMaker:
        """Make what turns gates and commands into jobs."""
        versions = around.versions
        if versions is None:
            versions = program_versions.ask(plan.gates, around.environment)
        return JobMaker(
            plan, around.settings, around.repository, around.environment, around.logs, versions=versions
        )

    def health(self, around: Surroundings, *, target: str, base: str) -> Health:
        """Make what tries whether everything else works when something failed."""
        return Health(
            database=around.database,
            repository=around.repository,
            folders=(around.repository.git_dir, around.logs, around.quarantine, around.slots),
            fence=around.fence,
            target=target,
            base=base,
        )

    def effects(self, around: Surroundings, **rest: Any) -> Effects:
        """Make what carries effects out.

        Args:
            around: What the run works with.
            **rest: What the shell knows: core, gatekeeper, commands, warn and threads.
        """
        return Effects(
            repository=around.repository,
            executor=Executor(
                around.repository,
                max_bytes=around.settings.max_patch_bytes,
                now=around.clock.now,
                ledger=partial(_landed, around.database),
            ),
            database=around.database,
            settings=around.settings,
            clock=around.clock,
            quarantine_folder=around.quarantine,
            fence=around.fence,
            **rest,
        )


def _landed(database: Database, keys: Collection[str]) -> list[Landed]:
    """Find what landed before with one of these change keys."""
    with database.read() as conn:
        found = patches.landed_with(conn, keys)
    return [
        Landed(
            patch=row.id,
            run=row.run_id,
            key=row.change_key,
            sha256=row.sha256,
            commit=row.commit,
            end=row.new_head,
        )
        for row in found
    ]
