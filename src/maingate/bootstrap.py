"""The composition root: a repository and its settings become ``Maingate``, whose services are made on use.

Imports stand in the functions that need them, so that a command loads only what it uses.
"""

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from maingate.repository_context import RepositoryContext
from maingate.repository_opening import open_repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from maingate.ids import RunId
    from maingate.plan.loader import LoadedPlan
    from maingate.services.bisect import BisectService
    from maingate.services.ended_run_cleanup import CleanupService
    from maingate.services.handover.run_queue import RunQueue
    from maingate.services.http.kept_answers import AnswerService
    from maingate.services.http.tokens import TokenService
    from maingate.services.http.uploads import UploadService
    from maingate.services.notifications.notifier import Notifier
    from maingate.services.operator import OperatorService
    from maingate.services.rollback import RollbackService
    from maingate.services.runs.admission import AdmissionService
    from maingate.services.runs.conflict_trial import Trials
    from maingate.services.runs.execution import ExecutionService
    from maingate.services.targets.killed_process_cleanup import RescueService
    from maingate.services.targets.lease_renewal import TargetHolds
    from maingate.services.targets.queue_orders import QueueService
    from maingate.services.targets.target_work import TargetWork
    from maingate.services.webhooks.receiver_actions import WebhookService


class Maingate:
    """The services of one repository.

    Use it as a context manager, or ``close`` it.

    Args:
        context: The repository, its record and its settings.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self.context = context
        self.repository, self.database, self.paths = context.repository, context.database, context.paths
        self._versions: dict[RunId, Mapping[str, Sequence[str]]] = {}

    @classmethod
    def open(cls, start: Path | None = None, *, create: bool = True, migrate: bool = True) -> Self:
        """Open Maingate on the repository around a path (default: the working directory).

        Args:
            start: Any path in the repository.
            create: Make the state folder and its database where there is none yet.
            migrate: Bring the database up to date; without it nothing of it is read or written yet.

        Raises:
            RepositoryError: There is no repository, or none that can be worked on.
            UsageError: There is no state yet and none was to be made.
            SettingsError: ``maingate.toml`` or ``MAINGATE_*`` has problems.
        """
        return cls(open_repository(start or Path.cwd(), create=create, migrate=migrate))

    @classmethod
    def for_plan(cls, loaded: "LoadedPlan") -> Self:
        """Open Maingate on the repository that a plan is for."""
        return cls.open(loaded.root or loaded.repository_candidates(Path.cwd())[-1])

    def report(self, run_id: "RunId | None" = None, fields: "Sequence[str]" = ()) -> dict[str, Any]:
        """Report a run (default: the newest), or only some fields of it, in the public JSON form."""
        from maingate.queries.runs.report import report

        return report(self.context, run_id, fields)

    def close(self) -> None:
        """Release the holds of this process, and close the database and the repository."""
        if "_holds" in vars(self):
            self._holds.release_all()
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

    @cached_property
    def admission(self) -> "AdmissionService":
        """Makes runs of plans."""
        from maingate.services.runs.admission import AdmissionService

        return AdmissionService(self.context, self._holds, versions=self._versions)

    @cached_property
    def execution(self) -> "ExecutionService":
        """Runs admitted runs."""
        from maingate.services.runs.execution import ExecutionService

        return ExecutionService(self.context, self._work, notifier=self.notifier, versions=self._versions)

    def trials(self) -> "AbstractContextManager[Trials]":
        """Open a place to try patches and plans; it moves no ref and writes no record, and leaves nothing."""
        from functools import partial

        from maingate.orchestrator.injected_parts import landed_changes
        from maingate.services.runs.conflict_trial import opened_trials

        context = self.context
        return opened_trials(
            context.repository,
            max_bytes=context.settings.max_patch_bytes,
            now=context.clock.now,
            ledger=partial(landed_changes, context.database),
        )

    @cached_property
    def notifier(self) -> "Notifier":
        """Runs the plans' `notify` commands."""
        from maingate.services.notifications.notifier import Notifier

        return Notifier(self.context)

    @cached_property
    def queue(self) -> "RunQueue":
        """Reads the runs that wait for a process, and hands runs to a server."""
        from maingate.services.handover.run_queue import RunQueue

        return RunQueue(self.context)

    @cached_property
    def operator(self) -> "OperatorService":
        """Carries out what an operator decides."""
        from maingate.services.operator import OperatorService

        # the execution of runs is loaded only when there is a request to apply
        return OperatorService(self.context, lambda request: self.execution.apply_request(request))  # noqa: PLW0108

    @cached_property
    def queue_orders(self) -> "QueueService":
        """Gives orders about the queues of targets."""
        from maingate.services.targets.queue_orders import QueueService

        return QueueService(self.context, self.operator)

    @cached_property
    def rollback(self) -> "RollbackService":
        """Takes landed patches back."""
        from maingate.services.rollback import RollbackService

        return RollbackService(self.context, self._work, notifier=self.notifier)

    @cached_property
    def bisection(self) -> "BisectService":
        """Finds the patch with which a gate began to fail."""
        from maingate.services.bisect import BisectService

        return BisectService(self.context, self._work)

    @cached_property
    def cleanup(self) -> "CleanupService":
        """Removes what ended runs left behind."""
        from maingate.services.ended_run_cleanup import CleanupService

        return CleanupService(self.context, self._holds)

    @cached_property
    def rescue(self) -> "RescueService":
        """Clears up after killed processes."""
        from maingate.services.targets.killed_process_cleanup import RescueService

        return RescueService(self.context, self._holds)

    @cached_property
    def tokens(self) -> "TokenService":
        """Keeps the tokens of the HTTP interface."""
        from maingate.services.http.tokens import TokenService

        return TokenService(self.context)

    @cached_property
    def answers(self) -> "AnswerService":
        """Keeps the answers to requests with an idempotency key."""
        from maingate.services.http.kept_answers import AnswerService

        return AnswerService(self.context)

    @cached_property
    def uploads(self) -> "UploadService":
        """Stores submitted plans."""
        from maingate.services.http.uploads import UploadService

        return UploadService(self.context)

    @cached_property
    def webhooks(self) -> "WebhookService":
        """Tests and mends the receivers of webhooks."""
        from maingate.services.webhooks.receiver_actions import WebhookService

        return WebhookService(self.context)

    @cached_property
    def _holds(self) -> "TargetHolds":
        from maingate.services.targets.lease_renewal import TargetHolds

        return TargetHolds(self.context)

    @cached_property
    def _work(self) -> "TargetWork":
        from maingate.services.targets.target_work import TargetWork
        from maingate.stop_signals import run_to_end

        return TargetWork(self.context, holds=self._holds, rescue=self.rescue, run_to_end=run_to_end)
