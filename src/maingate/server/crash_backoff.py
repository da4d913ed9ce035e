"""The failures of the processes of runs, and the times at which the runs are tried again."""

from dataclasses import dataclass, replace
from typing import Final

from maingate.clock import Clock
from maingate.ids import RunId
from maingate.server.run_process import BUSY, DONE

FIRST_PAUSE: Final = 1.0
"""Seconds before a run whose process has failed is tried again; they double with each failure."""

LONGEST_PAUSE: Final = 300.0
"""Most seconds before it is tried again."""


@dataclass(frozen=True, kw_only=True)
class _LastAttempt:
    """The last attempt of a run.

    Args:
        handed_over: Place of the hand-over that it answered; 0 without one.
        failures: The failures in a row.
        not_before: The time of the next attempt, in seconds of a clock that never goes backwards.
    """

    handed_over: int
    failures: int = 0
    not_before: float = 0.0


class RunAttempts:
    """The attempts of a server to go on with runs.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[RunId, _LastAttempt] = {}

    def begun(self, run_id: RunId, handed_over: int) -> None:
        """Note that a run gets a process."""
        before = self._last.get(run_id)
        is_again = before is not None and before.handed_over == handed_over
        self._last[run_id] = before if before and is_again else _LastAttempt(handed_over=handed_over)

    def ended(self, run_id: RunId, exit_code: int) -> None:
        """Note how the process of a run has ended."""
        last = self._last[run_id]
        if exit_code in {DONE, BUSY}:
            failures, pause = 0, FIRST_PAUSE
        else:
            failures = last.failures + 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**last.failures)
        not_before = self._clock.monotonic() + pause
        self._last[run_id] = replace(last, failures=failures, not_before=not_before)

    def may_start(self, run_id: RunId, handed_over: int) -> bool:
        """Return whether a run that is to go on may have a process now."""
        last = self._last.get(run_id)
        return last is None or handed_over > last.handed_over or self._is_due(last)

    def may_start_again(self, run_id: RunId) -> bool:
        """Return whether a run that stopped is to be tried again now: its last process failed here."""
        last = self._last.get(run_id)
        return last is not None and last.failures > 0 and self._is_due(last)

    def has_failed(self, run_id: RunId) -> bool:
        """Return whether the last process of a run failed here."""
        last = self._last.get(run_id)
        return last is not None and last.failures > 0

    def forget_others(self, known: set[RunId]) -> None:
        """Forget all runs but these."""
        self._last = {run_id: last for run_id, last in self._last.items() if run_id in known}

    def _is_due(self, last: _LastAttempt) -> bool:
        return self._clock.monotonic() >= last.not_before
