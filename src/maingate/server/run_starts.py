"""The post of a server at one repository: its hold, its bell, and the processes of the runs there.

Runs on one target have processes beside each other, as many as a setting permits, the oldest first; one of
the processes lands the workstreams of all (`maingate.orchestrator.shared_queue`).
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from maingate.bootstrap import Maingate
from maingate.errors import MaingateError, OutsideFaultError, ServerBusyError
from maingate.ids import RunId
from maingate.landing.lease import LEASE_TIME
from maingate.server.crash_backoff import RunAttempts
from maingate.server.hosted_run import HostedRun, RunProcess
from maingate.server.log import LOG
from maingate.server.notify_process import NotifyTurns
from maingate.server.run_process import FAULT
from maingate.services.handover.doorbell import Doorbell
from maingate.services.handover.run_queue import RunQueue, WaitingRun
from maingate.services.handover.server_hold import ServerHold
from maingate.services.targets.controller_hooks import server_hooks

if TYPE_CHECKING:
    from maingate.monitoring.hooks import Hooks

_RENEWALS: Final = 4
"""Renewals of the hold within the time that it lasts."""


@dataclass(frozen=True, kw_only=True)
class _Hosted:
    """A run, and its process."""

    run: HostedRun
    process: RunProcess = field(repr=False)


class Post:
    """The post of a server at one repository. The host's thread works here; ``hosted`` may be read anywhere.

    Args:
        name: The name of the repository.
        maingate: The repository.
        workers: How many gates of a run run at once. Defaults to the setting.

    Attributes:
        obstacle: Why the repository could not be taken, or was lost; None while it is held.
    """

    def __init__(self, name: str, maingate: Maingate, *, workers: int | None = None) -> None:
        self.name, self._maingate, self._workers = name, maingate, workers
        self._limit = maingate.context.settings.server.runs_per_target
        self._hold, self._queue = ServerHold(maingate.context), RunQueue(maingate.context)
        self._bell: Doorbell | None = None
        self._renewed_at = 0.0
        self._taken_over: set[RunId] = set()
        self._answered: dict[RunId, str] = {}
        self._attempts = RunAttempts(maingate.context.clock)
        self._at_work: dict[RunId, _Hosted] = {}
        self._lock = threading.Lock()
        self._trouble = ""
        self.obstacle: MaingateError | None = None
        self._hooks: Hooks | None = None
        self._notify = NotifyTurns(maingate)

    @property
    def is_taken(self) -> bool:
        """True when this server has the repository."""
        return self._hold.is_taken

    def take(self) -> None:
        """Take hold of the repository, and take over all runs in it that have no process.

        Raises:
            ServerBusyError: Another server is alive.
            MaingateError: It has a fault.
        """
        try:
            self._take()
        except MaingateError as error:
            self.obstacle = error
            raise
        self.obstacle = None
        LOG.info("serving", repository=self.name, path=str(self._maingate.repository.root))
        self._sweep()

    def _take(self) -> None:
        with ExitStack() as undoing:  # half of it would count as the whole at the next look
            self._hold.take()
            undoing.callback(self.leave)
            self._renewed_at = time.monotonic()
            self._taken_over = self._queue.left()
            self._bell = Doorbell.hang_up(self._maingate.paths)
            hooks = server_hooks(self._maingate.context, self._warn)
            self._hooks = hooks.__enter__()
            undoing.pop_all()

    def _sweep(self) -> None:
        """Remove submitted plans that never became runs; trouble with that is logged alone."""
        try:
            for folder in self._maingate.uploads.sweep():
                LOG.info("upload_removed", repository=self.name, path=str(folder))
        except OutsideFaultError as error:
            self._report(str(error))

    def look(self) -> None:
        """Start the runs whose turn it is; trouble with this repository is logged, and holds up no other."""
        try:
            self.collect()
            if not self._keep():
                return
            for run in self._due():
                self._start(run)
            self._notify.look()
        except ServerBusyError:
            return  # this server stands by
        except MaingateError as error:
            self._report(str(error))
        except Exception:  # noqa: BLE001 - a fault of one repository must not end the host of all
            LOG.exception("look_failed", repository=self.name)
        else:
            self._trouble = ""

    def collect(self) -> None:
        """Note which processes have ended, and how."""
        for run_id, hosted in list(self._at_work.items()):
            code = hosted.process.exit_code()
            if code is None:
                continue
            hosted.process.close()
            with self._lock:
                del self._at_work[run_id]
            self._attempts.ended(run_id, code)
            LOG.info("process_ended", run_id=run_id, pid=hosted.run.pid, exit_code=code)

    def hosted(self) -> Sequence[HostedRun]:
        """Return the runs here that have a process."""
        with self._lock:
            return [hosted.run for hosted in self._at_work.values()]

    def interrupt(self, run_id: RunId) -> bool:
        """Stop a run; return whether it has a process here."""
        with self._lock:
            hosted = self._at_work.get(run_id)
        if hosted is not None:
            hosted.process.stop()
        return hosted is not None

    def kill(self) -> None:
        """Kill the processes that are left."""
        for hosted in list(self._at_work.values()):
            LOG.warning("killing", run_id=hosted.run.id, pid=hosted.run.pid)
            hosted.process.kill()
        self.collect()

    def fds(self) -> Iterator[int]:
        """Return the descriptors that are readable when there is something to do."""
        if self._bell is not None:
            yield self._bell.fd
        exits = (hosted.process.exit_fd for hosted in self._at_work.values())
        yield from (fd for fd in exits if fd is not None)

    def silence(self) -> None:
        """Forget who has rung."""
        if self._bell is not None:
            self._bell.silence()

    def leave(self) -> None:
        """Release the hold, so that another server, or a person, may go on; processes go on to their ends."""
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.take_down()
        self._hold.release()

    def end_hooks(self) -> None:
        """End the followers of the ledger, which may be amid a delivery for some seconds."""
        if self._hooks is not None:
            self._hooks.__exit__(None, None, None)
            self._hooks = None

    # -- turns -----------------------------------------------------------------------------------------------

    def _keep(self) -> bool:
        """Keep the hold, or take it when it is free; return whether this server has it.

        Raises:
            ServerBusyError: Another server has it.
        """
        if not self._hold.is_taken:
            self.take()
            return True
        lasts = LEASE_TIME.total_seconds()
        if time.monotonic() - self._renewed_at < lasts / _RENEWALS:
            return True
        if self._hold.renew():
            self._renewed_at = time.monotonic()
            return True
        self.obstacle = ServerBusyError(
            "the hold on the repository was lost to another server, which takes up its runs"
        )
        self._report(str(self.obstacle))
        self.leave()
        self.end_hooks()
        return False

    def _due(self) -> list[WaitingRun]:
        """Return the runs whose turn it is: the oldest of each target, as many as the setting permits.

        One that only answers requests, or is to be cancelled, soon ends: it is not counted.
        """
        due: list[WaitingRun] = []
        at_work = Counter(run.target_ref for run in self.hosted())
        waiting = self._queue.waiting()
        known = {run.id for run in waiting} | {run.id for run in self.hosted()}
        self._attempts.forget_others(known)
        self._answered = {run_id: asked for run_id, asked in self._answered.items() if run_id in known}
        for run in waiting:
            if run.id in self._at_work or run.is_blocked or not self._is_wanted(run):
                continue
            is_short = run.is_asked_itself or self._is_only_asked(run)
            if is_short or at_work[run.target_ref] < self._limit:
                due.append(run)
                at_work[run.target_ref] += not is_short
        return due

    def _is_wanted(self, run: WaitingRun) -> bool:
        """Return whether a run is to go on now; one that stopped waits until it is resumed."""
        if run.id in self._taken_over:
            return True
        if not run.is_stopped:
            return self._attempts.may_start(run.id, run.handed_over)
        is_asked = run.asked is not None and run.asked != self._answered.get(run.id)
        return is_asked or self._attempts.may_start_again(run.id)

    def _is_only_asked(self, run: WaitingRun) -> bool:
        """Return whether only the requests to a run are to be answered, and the run stays stopped."""
        is_to_go_on = run.id in self._taken_over or self._attempts.has_failed(run.id)
        return run.is_stopped and run.asked is not None and not (is_to_go_on or run.is_asked_itself)

    def _warn(self, text: str) -> None:
        """Log a warning about a follower of the ledger."""
        LOG.warning("follower", repository=self.name, reason=text)

    def _report(self, trouble: str) -> None:
        """Log the trouble with this repository, once for as long as it lasts."""
        if trouble != self._trouble:
            LOG.error("repository_trouble", repository=self.name, reason=trouble)
        self._trouble = trouble

    def _start(self, run: WaitingRun) -> None:
        is_only_asked = self._is_only_asked(run)
        self._taken_over.discard(run.id)
        if run.asked is not None:
            self._answered[run.id] = run.asked
        self._attempts.begun(run.id, run.handed_over)
        try:
            process = RunProcess.start(
                self._maingate.repository.git_dir, run.id, workers=self._workers, is_only_asked=is_only_asked
            )
        except OutsideFaultError:
            self._attempts.ended(run.id, FAULT)
            raise
        hosted = HostedRun(
            id=run.id,
            repository=self.name,
            target_ref=run.target_ref,
            pid=process.pid,
            since=self._maingate.context.clock.now(),
        )
        with self._lock:
            self._at_work[run.id] = _Hosted(run=hosted, process=process)
        LOG.info("process_started", run_id=run.id, repository=self.name, pid=process.pid)
