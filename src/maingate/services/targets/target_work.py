"""Work at a held target: its dependencies, and its run to the end while the hold is renewed."""

import os
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

from maingate.db.transition_log import TransitionLog
from maingate.git.commit_rules import CommitSettings
from maingate.git.filter_drivers import read_drivers
from maingate.git.remote_view import read_remote_view
from maingate.ids import LeaseHolder
from maingate.orchestrator.injected_parts import Dependencies
from maingate.repository_context import RepositoryContext
from maingate.services.targets.killed_process_cleanup import RescueService
from maingate.services.targets.lease_renewal import Stoppable, TargetHolds
from maingate.settings import Settings
from maingate.state_folder import make_state
from maingate.uet.process.environment import allowed_environment

Result = TypeVar("Result")


class RunToEnd(Protocol):
    """The way in which a process runs a coroutine to its end, chosen at its face."""

    def __call__(self, work: Coroutine[Any, Any, Result], *, interrupt: Callable[[int], None]) -> Result:
        """Run it; ``interrupt`` is called in its loop with the number of each signal that asks it to stop."""
        ...


class Worker(Stoppable, Protocol):
    """Work under way that signals may ask to stop."""

    def interrupt(self, number: int) -> None:
        """Stop in an orderly way; a signal of this number asks for it."""
        ...


class TargetWork:
    """Has work done for holders of targets.

    Args:
        context: The repository and its record.
        holds: The holds of this process.
        rescue: Clears up before work begins.
        run_to_end: Runs a coroutine.
    """

    def __init__(
        self,
        context: RepositoryContext,
        *,
        holds: TargetHolds,
        rescue: RescueService,
        run_to_end: RunToEnd,
    ) -> None:
        self._context, self._run_to_end = context, run_to_end
        self.holds, self.rescue = holds, rescue

    def dependencies(self, holder: LeaseHolder, workers: int | None, settings: Settings) -> Dependencies:
        """Return the dependencies of gates and commands.

        Args:
            holder: The holder of the target.
            workers: How many jobs run at once. Defaults to the setting.
            settings: The settings of the run, or of this process.
        """
        context, paths = self._context, self._context.paths
        context.database.check()
        make_state(paths, context.identity)
        context.repository.read_merge_rules()
        commits = CommitSettings(sign=settings.sign, committer=settings.committer)
        context.repository.read_commit_rules(commits).check()
        return Dependencies(
            repository=context.repository,
            database=context.database,
            settings=settings,
            clock=context.clock,
            log=TransitionLog(paths.transitions, context.database),
            slots=paths.slots,
            locks=paths.locks,
            logs=paths.logs,
            quarantine=paths.quarantine,
            environment=allowed_environment(os.environ, settings.env_allow),
            workers=workers or settings.workers,
            fence=partial(self.holds.fence, holder),
            target_fence=partial(self.holds.target_fence, holder),
            drivers=read_drivers(context.repository.git_dir, context.repository.root),
            remotes=context.repository.write_blob(read_remote_view(context.repository.git_dir).to_bytes()),
        )

    def run(self, holder: LeaseHolder, worker: Worker, work: Coroutine[Any, Any, Result]) -> Result:
        """Run work to its end while the hold that it needs is renewed.

        Args:
            holder: The holder of the target.
            worker: Asked to stop by signals, and made to when the hold is lost.
            work: Its coroutine.
        """
        renewed = self.holds.while_renewing(holder, worker, work)
        return self._run_to_end(renewed, interrupt=worker.interrupt)
