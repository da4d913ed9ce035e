"""Following a run that a server works on, to its end, as if it were run here."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.views.activity import surroundings_reader
from maingate.cli.views.progress import watcher
from maingate.errors import InterruptedRunError, OutsideFaultError
from maingate.ids import RunId

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate
    from maingate.cli.views.run_watcher import RunWatcher
    from maingate.services.runs.run_watch import Look, RunStanding, RunWatch

LOOK_SECONDS: Final = 0.2
"""Seconds between two looks at the record."""

SILENT_SECONDS: Final = 1.0
"""Seconds that a run may wait for the server before that is shown."""

LEFT_SECONDS: Final = 2.0
"""Seconds that a run may be without a server, before no other one is waited for."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of a run, finished or not.

    Args:
        report: The public JSON form.
        interruption: The error that interrupted the run, if any.
        page: The address of its page, for a run on a server that was named.
    """

    report: dict[str, Any]
    interruption: InterruptedRunError | None
    page: str | None = None


def follow(maingate: "Maingate", run_id: RunId, *, progress_on_stderr: bool) -> Outcome:
    """Follow a run that was handed to a server until it has ended or stopped, with progress.

    Ctrl-C ends the following, and leaves the run to the server.

    Raises:
        OutsideFaultError: The run stopped because something outside failed.
    """
    from maingate.services.handover.doorbell import ring
    from maingate.services.runs.run_watch import RunWatch

    ring(maingate.paths)
    interruption = None
    around = surroundings_reader(maingate, run_id)
    with watcher(stderr=progress_on_stderr, around=around) as view:
        try:
            _Following(RunWatch(maingate.context, run_id), view).to_end()
        except InterruptedRunError as error:
            interruption = error
        except KeyboardInterrupt:
            interruption = InterruptedRunError(
                f"the server goes on with run {run_id}; `maingate status --watch {run_id}` follows it, "
                f"`maingate cancel {run_id}` cancels it"
            )
    return Outcome(report=maingate.report(run_id), interruption=interruption)


def watch(maingate: "Maingate", run_id: RunId) -> None:
    """Show the progress of a run until it has ended or no process works on it, and none is to.

    The watching changes nothing, and Ctrl-C ends only the watching.
    """
    from maingate.services.runs.run_watch import RunWatch, StandingCode

    with watcher(around=surroundings_reader(maingate, run_id)) as view:
        watched = RunWatch(maingate.context, run_id, is_from_now=True)
        look = watched.look()
        view.started(watched)
        while look.standing.code in {StandingCode.AT_WORK, StandingCode.WAITING, StandingCode.BLOCKED}:
            view.happened(look.news)
            for notice in look.notices:
                view.notice(notice)
            time.sleep(LOOK_SECONDS)
            look = watched.look()
        view.happened(look.news)


class _Following:
    """The following of one run.

    Args:
        watch: The watch on the run.
        view: Shows its progress.
    """

    def __init__(self, watch: "RunWatch", view: "RunWatcher") -> None:
        self._watch, self._view = watch, view
        self._standing: RunStanding | None = None
        self._since = 0.0
        self._said = ""

    def to_end(self) -> None:
        """Follow it until it has ended.

        Raises:
            InterruptedRunError: It has stopped, or no server takes it up.
            OutsideFaultError: It has stopped because something outside failed.
        """
        self._view.started(self._watch)
        while not self._is_over(self._watch.look()):
            time.sleep(LOOK_SECONDS)

    def _is_over(self, look: "Look") -> bool:
        """Show a look, and return whether the run has ended."""
        from maingate.services.runs.run_watch import StandingCode

        standing, now = look.standing, time.monotonic()
        if standing != self._standing:
            self._standing, self._since = standing, now
        self._view.happened(look.news)
        for notice in look.notices:
            self._view.notice(notice)
        is_wait = standing.code is StandingCode.WAITING and now - self._since > SILENT_SECONDS
        if is_wait or standing.code is StandingCode.BLOCKED:
            self._tell(standing.message)
        if standing.code is StandingCode.FAULTED:
            raise OutsideFaultError(standing.message)
        is_left = standing.code is StandingCode.LEFT and now - self._since > LEFT_SECONDS
        if is_left or standing.code is StandingCode.STOPPED:
            raise InterruptedRunError(standing.message)
        return standing.code is StandingCode.ENDED

    def _tell(self, wait: str) -> None:
        """Show what the run waits for, once."""
        if wait != self._said:
            self._view.notice(wait)
        self._said = wait
