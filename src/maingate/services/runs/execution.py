"""Execution of runs: a run is taken hold of, run to its end from wherever it stands, and given back."""

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from maingate.db.dao import runs
from maingate.db.dao.history import stops
from maingate.db.dao.requests import Request
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import MaingateError, RunBusyError, UsageError
from maingate.ids import LeaseHolder, RunId
from maingate.monitoring.hooks import Hooks
from maingate.orchestrator.decision_writer import write_warning
from maingate.orchestrator.progress import Listener, SilentListener
from maingate.orchestrator.run_orchestrator import INBOX_INTERVAL, RunOrchestrator
from maingate.orchestrator.train.record import TrainRecord
from maingate.repository_context import RepositoryContext
from maingate.services.handover.server_hold import living_server
from maingate.services.notifications.notifier import Notifier
from maingate.services.runs.python_gc_pause import without_collecting
from maingate.services.runs.train_past import train_record
from maingate.services.targets import run_hold
from maingate.services.targets.controller_hooks import hooks_of, traces_of
from maingate.services.targets.lease_renewal import Wait, when_free
from maingate.services.targets.run_hold import RunHold
from maingate.services.targets.target_work import TargetWork
from maingate.settings import Settings
from maingate.state.run import RUN, RunState
from maingate.tools.prompts import fault_of_template

_LOOKS_FOR_ANSWERS: Final = 15
"""Looks at the answers to what a killed process had handed over, before a request about it is left open."""


class ExecutionService:
    """Runs admitted runs.

    Args:
        context: The repository and its record.
        work: Has work done at a held target.
        notifier: Runs the plan's `notify` commands.
        versions: The versions of gates' programs by run, read when this process admitted it.
    """

    def __init__(
        self,
        context: RepositoryContext,
        work: TargetWork,
        *,
        notifier: Notifier,
        versions: dict[RunId, Mapping[str, Sequence[str]]],
    ) -> None:
        self._context, self._work = context, work
        self._notifier, self._versions = notifier, versions

    def take_hold(self, run_id: RunId, *, wait: Wait | None = None) -> None:
        """Take hold of a run that has not ended, so that `execute` may go on with it.

        It takes the target, too, if no living process has that. Else it works on what comes before a landing,
        and hands its workstreams to the process that has it.

        Args:
            run_id: The run.
            wait: Called while a living process is at work on the run; None gives up at once.

        Raises:
            UsageError: The run has ended.
            RunBusyError: A living process is at work on the run, and nothing waits.
        """
        when_free(lambda: self._take_hold(run_id), wait)

    def _take_hold(self, run_id: RunId) -> None:
        with self._context.database.write() as conn:
            row = runs.get(conn, run_id)
            self._context.require_own(row)
            if RUN.is_terminal(row.state):
                raise UsageError(f"run {run_id} is {row.state}; there is nothing to resume")
            run_hold.take(conn, self._work.holds, run_id, row.target_ref)
            run_hold.ask_back(conn, self._context, self._work.holds, row)
            if row.state is RunState.PENDING:
                self._begin_at_head(conn, row)

    def _begin_at_head(self, conn: Connection, row: RunRow) -> None:
        """Base a run that has not begun on the target as it is now: others may have landed since."""
        head = self._context.repository.ref_value(row.target_ref)
        if head is not None and head != row.old_head:
            runs.record_base(conn, row.id, head)

    def execute(
        self,
        run_id: RunId,
        *,
        workers: int | None = None,
        listener: Listener | None = None,
        budget_usd: float | None = None,
        is_only_asked: bool = False,
    ) -> RunState:
        """Run an admitted run to its end, from wherever it stands.

        Args:
            run_id: The run.
            workers: How many gates run at once. Defaults to the setting.
            listener: Informed of progress.
            budget_usd: Budget of all its tools together, instead of the plan's.
            is_only_asked: Whether to apply requests to the run only, such as the cancel of a part of it, and
                to leave the rest to be resumed.

        Raises:
            UsageError: The run has ended.
            RunBusyError: A living process is at work on it.
            InterruptedRunError: It was interrupted and can be resumed.
            OutsideFaultError: Something outside failed; it can be resumed.
            RepositoryError: The target is merged into by options of git's configuration that are not known.
        """
        watching = listener or SilentListener()
        self._notify(watching)  # of what a killed process did not come to
        is_resumed = not is_only_asked
        with self._hooks(run_id, watching) as hooks, self._held(run_id, is_resumed=is_resumed) as holder:
            notice = None if listener is None else listener.notice
            settings = self._context.settings_of(run_id, notice)
            template, receiver = _template(settings), traces_of(self._context.settings)
            with self._context.database.read() as conn:
                row = runs.get(conn, run_id)
            self._context.repository.merge_rules.require_known(row.target_ref)  # refuses what is not known
            deps = replace(
                self._work.dependencies(holder, workers, settings),
                hold=RunHold(self._context, self._work.holds, holder, row.target_ref),
                template=template,
                budget_usd=budget_usd,
                # a process that only answers requests starts no gate
                versions={} if is_only_asked else self._versions.pop(run_id, None),
                committed=hooks.wake,
                record=TrainRecord() if is_only_asked else train_record(self._context),
                trace=None if receiver is None else receiver.trace_of(run_id, row.traceparent),
            )
            with without_collecting():
                orchestrator = RunOrchestrator(run_id, deps, watching, is_only_asked=is_only_asked)
            gc.freeze()  # the picture lives as long as the run; looking through it for garbage is of no use
            state = self._run(holder, orchestrator)
        self._notify(watching)
        return state

    def _notify(self, watching: Listener) -> None:
        for warning in self._notifier.deliver():
            watching.notice(warning)

    def apply_request(self, request: Request) -> None:
        """Apply a request to a run that no process is at work on; the rest of the run is left to be resumed.

        Raises:
            RunBusyError: A living process is at work on the run.
        """
        run_id = RunId(request.run_id)
        try:
            self.take_hold(run_id)
        except RunBusyError as error:
            remedy = f"the request is queued; the next `maingate resume {run_id}` handles it"
            raise RunBusyError(error.what, remedy) from error
        self._await_answers(run_id)
        self.execute(run_id, is_only_asked=request.entity_id != run_id)

    def _await_answers(self, run_id: RunId) -> None:
        """Wait a little for the process that holds the target, if a killed one had handed something to it."""
        for _ in range(_LOOKS_FOR_ANSWERS):
            with self._context.database.write() as conn:
                row = runs.get(conn, run_id)
                if not run_hold.ask_back(conn, self._context, self._work.holds, row):
                    return
            time.sleep(INBOX_INTERVAL.total_seconds())

    def interrupted(self) -> list[RunRow]:
        """List the runs of this repository that have not ended and wait for a person to resume them.

        No living process is at work on them, and no living server is to take them up.
        """
        context = self._context
        with context.database.read() as conn:
            mine = [run for run in runs.unfinished(conn) if context.is_own(run)]
            idle = [run for run in mine if not context.is_at_work(conn, run)]
            if idle and living_server(conn, context) is not None:
                return [run for run in idle if stops.newest(conn, run.id) is not None]
            return idle

    def _hooks(self, run_id: RunId, watching: Listener) -> Hooks:
        """Return the followers of the ledger; warnings about them are recorded and shown."""

        def warn(text: str) -> None:
            with self._context.database.write() as conn:
                write_warning(conn, run_id, text, self._context.clock.now())
            watching.notice(text)

        return hooks_of(self._context, self._context.settings, run_id, warn)

    @contextmanager
    def _held(self, run_id: RunId, *, is_resumed: bool) -> Iterator[LeaseHolder]:
        """Hold a run; clear up before its work, and record why it stops, if it does."""
        holder = LeaseHolder(run_id)
        if holder not in self._work.holds:
            self.take_hold(run_id)
        try:
            self._work.rescue.clear_up(run_id)
            if is_resumed:
                self._note_resumption(run_id)
            yield holder
            self._work.rescue.end_those_of_ended_runs()
        except Exception as error:
            self._note_stop(holder, run_id, error)
            raise
        finally:
            gc.unfreeze()
            self._work.holds.release(holder)

    def _run(self, holder: LeaseHolder, orchestrator: RunOrchestrator) -> RunState:
        state = self._work.run(holder, orchestrator, orchestrator.run())
        with self._context.database.read() as conn:
            self._work.holds.fence(holder, conn)
        return state

    def _note_resumption(self, run_id: RunId) -> None:
        """Record that a run goes on that had stopped, or whose process had exited."""
        database = self._context.database
        with database.read() as conn:
            has_begun = runs.get(conn, run_id).started_at is not None
        if has_begun:
            with database.write() as conn:
                stops.resume(conn, run_id, at=self._context.clock.now())

    def _note_stop(self, holder: LeaseHolder, run_id: RunId, error: Exception) -> None:
        """Record why a run stops before its end, unless the record or the target is another's by now."""
        with suppress(MaingateError):  # the error itself is told anyway
            with self._context.database.write() as conn:
                self._work.holds.fence(holder, conn)
                if not RUN.is_terminal(runs.get(conn, run_id).state):
                    stops.record(conn, run_id, error, at=self._context.clock.now())
            self._context.write_log()


def _template(settings: Settings) -> str | None:
    """Read the text by which tools are told what was wrong.

    Raises:
        UsageError: There is no such file, or it is no template.
    """
    if settings.prompt_template is None:
        return None
    try:
        text = settings.prompt_template.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"prompt_template: {settings.prompt_template} cannot be read: {error}") from error
    if (fault := fault_of_template(text)) is not None:
        raise UsageError(f"prompt_template: {settings.prompt_template}: {fault}")
    return text
