"""The interrupts of a run: the first one lets what runs finish, the second one stops at once."""

import signal
from collections.abc import Callable
from typing import Final

from maingate.errors import InterruptedRunError
from maingate.ids import RunId
from maingate.orchestrator.core.events import CancelRequested
from maingate.orchestrator.stop_reason import how_to_go_on
from maingate.reasons import Reason, ReasonCode


class Interrupts:
    """Counts the interrupts of a run in this process, and decides what each of them means.

    Args:
        run_id: The run.
        drain: Starts nothing new, and lets the run stop after what is under way.
        cancel: Cancels the run.
        fail: Stops at once, with an error, and leaves the record as it is.
        notice: Tells people.
    """

    def __init__(
        self,
        run_id: RunId,
        *,
        drain: Callable[[], None],
        cancel: Callable[[CancelRequested], None],
        fail: Callable[[BaseException], None],
        notice: Callable[[str], None],
    ) -> None:
        self._run_id: Final = run_id
        self._drain, self._cancel, self._fail, self._notice = drain, cancel, fail, notice
        self._count = 0

    def receive(self, number: int) -> None:
        """Drain the run at the first interrupt; at the second cancel it, or stop at once.

        A person who interrupts twice (Ctrl-C) cancels the run; other signals only say that there is no time.

        Args:
            number: The signal that asked for it.
        """
        self._count += 1
        if self._count == 1:
            self._drain()
            self._notice(
                "stopping after the running gates; `maingate resume` continues; "
                "interrupt again to cancel the run"
            )
        elif number == signal.SIGINT:
            self._notice("cancelling")
            reason = Reason(code=ReasonCode.CANCELLED, message="it was interrupted twice")
            self._cancel(CancelRequested(reason=reason))
        else:
            self._notice("stopping at once")
            self._fail(InterruptedRunError(how_to_go_on(self._run_id)))
