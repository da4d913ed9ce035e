"""Health: checks that run beside each other, each within its own time, with answers kept for a few seconds.

A check that hangs is cut off: its answer is that it hangs, and neither the others nor the caller wait for it.
Its thread cannot be ended, so no second one is started for it until the first returns. A fresh answer is
given again, so that probes cost nothing.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from maingate.clock import Clock, SystemClock
from maingate.errors import MaingateError
from maingate.events import iso_millis
from maingate.monitoring.finding import CheckFinding, HealthState, Trouble, worst

TIME_OUT: Final = timedelta(seconds=3)
"""Time within which a check must answer, unless it states another."""

FRESH_FOR: Final = timedelta(seconds=5)
"""Time for which an answer is given again, unless a check states another."""

RETRY_AFTER: Final = timedelta(seconds=5)
"""Time after which a caller that is refused may try again."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check of one part.

    Args:
        name: The name of the part.
        repository: The name of the repository that it is of; empty when it is of none.
        examine: Examines the part; blocks.
        remedy: The command that shows more when it does not answer at all.
        is_vital: Whether nothing can be served without the part.
        timeout: The time within which it must answer.
        fresh_for: The time for which its answer is given again.
    """

    name: str
    repository: str = ""
    examine: Callable[[], CheckFinding]
    remedy: str | None = None
    is_vital: bool = False
    timeout: timedelta = TIME_OUT
    fresh_for: timedelta = FRESH_FOR


@dataclass(frozen=True, kw_only=True)
class CheckAnswer:
    """The answer of a check.

    Args:
        check: The check.
        finding: Its finding.
        checked_at: The time that the finding is of; None while the check has never answered.
        age: The time since then, in seconds.
        took: The duration of the check, in seconds.
    """

    check: Check
    finding: CheckFinding
    checked_at: datetime | None
    age: float
    took: float

    @property
    def state(self) -> HealthState:
        """The state of the part."""
        return self.finding.state

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        first = self.finding.first
        return {
            "name": self.check.name,
            "repository": self.check.repository or None,
            "state": str(self.state),
            "vital": self.check.is_vital,
            "reason": self.finding.summary if first is None else first.reason,
            "command": None if first is None else first.command,
            "troubles": [each.as_json() for each in self.finding.troubles],
            "detail": dict(self.finding.detail),
            "checked_at": None if self.checked_at is None else iso_millis(self.checked_at),
            "age_seconds": round(self.age, 3),
            "took_seconds": round(self.took, 3),
            "timeout_seconds": self.check.timeout.total_seconds(),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """The answers of some checks.

    Args:
        answers: An answer of each.
        hindrance: Why the process takes no work, such as ``draining``; None when it does.
    """

    answers: Sequence[CheckAnswer]
    hindrance: str | None = None

    @property
    def state(self) -> HealthState:
        """The worst state of all parts."""
        return worst([each.state for each in self.answers])

    @property
    def troubles(self) -> Sequence[tuple[CheckAnswer, Trouble]]:
        """Everything that is wrong, with the answer that states it."""
        return [(answer, each) for answer in self.answers for each in answer.finding.troubles]

    @property
    def is_ready(self) -> bool:
        """Return whether work is taken: in one repository at least no vital part has failed."""
        vital = [each for each in self.answers if each.check.is_vital]
        failed = {each.check.repository for each in vital if each.state is HealthState.FAILED}
        is_any_well = not failed or not failed.issuperset(each.check.repository for each in vital)
        return self.hindrance is None and is_any_well

    @property
    def impaired(self) -> list[str]:
        """The repositories of which a vital part is not in order."""
        found = [each for each in self.answers if each.check.is_vital and each.state is not HealthState.OK]
        return list(dict.fromkeys(each.check.repository for each in found if each.check.repository))

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "state": str(self.state),
            "ready": self.is_ready,
            "hindrance": self.hindrance,
            "impaired": self.impaired,
            "checks": [each.as_json() for each in self.answers],
        }


class _Running:
    """A check in a thread of its own."""

    def __init__(self, check: Check, clock: Clock, keep: Callable[[CheckAnswer], None]) -> None:
        self.began: Final = clock.monotonic()
        self.done: Final = threading.Event()
        self._check, self._clock, self._keep = check, clock, keep
        # A thread that hangs in a system call must not keep the process from ending.
        threading.Thread(target=self._run, name=f"health {check.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            finding = _examined(self._check)
            took = self._clock.monotonic() - self.began
            self._keep(
                CheckAnswer(
                    check=self._check, finding=finding, checked_at=self._clock.now(), age=0.0, took=took
                )
            )
        finally:
            self.done.set()


def _examined(check: Check) -> CheckFinding:
    try:
        return check.examine()
    except MaingateError as error:
        return CheckFinding.failed(str(error), check.remedy)
    except Exception as error:  # noqa: BLE001 - the report is where it is told: a probe must not end a server
        return CheckFinding.failed(f"the check itself failed: {type(error).__name__}: {error}", check.remedy)


class _Probe:
    """A check with its last answer and the thread that is at it. Threads may share it."""

    def __init__(self, check: Check, clock: Clock) -> None:
        self.check = check
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[CheckAnswer, float] | None = None
        self._running: _Running | None = None

    def begin(self) -> None:
        """Start the check, unless its answer is fresh or it is under way."""
        with self._lock:
            if self._running is None and not self._is_fresh():
                self._running = _Running(self.check, self._clock, self._keep)

    def answer(self) -> CheckAnswer:
        """Return the answer of a check that was begun; wait for it no longer than its time."""
        running = self._running
        if running is not None:
            left = self.check.timeout.total_seconds() - (self._clock.monotonic() - running.began)
            running.done.wait(max(0.0, left))
        with self._lock:
            if self._running is not None:
                return self._hanging(self._running)
            assert self._last is not None  # noqa: S101 - it was begun, and has ended
            answer, at = self._last
            return CheckAnswer(
                check=answer.check,
                finding=answer.finding,
                checked_at=answer.checked_at,
                age=self._clock.monotonic() - at,
                took=answer.took,
            )

    def _is_fresh(self) -> bool:
        if self._last is None:
            return False
        return self._clock.monotonic() - self._last[1] < self.check.fresh_for.total_seconds()

    def _keep(self, answer: CheckAnswer) -> None:
        with self._lock:
            self._last, self._running = (answer, self._clock.monotonic()), None

    def _hanging(self, running: _Running) -> CheckAnswer:
        waited = self._clock.monotonic() - running.began
        limit = self.check.timeout.total_seconds()
        reason = f"no answer within {limit:g} s; it was asked {max(waited, limit):.0f} s ago and still hangs"
        last, at = self._last or (None, running.began)
        return CheckAnswer(
            check=self.check,
            finding=CheckFinding.failed(reason, self.check.remedy),
            checked_at=None if last is None else last.checked_at,
            age=self._clock.monotonic() - at,
            took=waited,
        )


class HealthChecks:
    """The checks of a process. Threads may share it.

    Args:
        checks: The checks; they are read for each report, so that others may come and go.
        hindrance: Returns why the process takes no work, such as ``starting``; None when it does.
        clock: The time.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        *,
        hindrance: Callable[[], str | None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self.hindrance: Final = hindrance
        self._checks, self._clock, self._lock = checks, clock or SystemClock(), threading.Lock()
        self._known: dict[tuple[str, str], _Probe] = {}

    def report(self, repositories: Collection[str] | None = None) -> Report:
        """Return the answers of all checks, or of those of some repositories; blocks for their time."""
        return self._report(
            [each for each in self._probes() if repositories is None or each.check.repository in repositories]
        )

    def readiness(self) -> Report:
        """Return the answers of the vital checks alone; none is examined while the process takes no work."""
        if (hindrance := self.hindrance()) is not None:
            return Report(answers=(), hindrance=hindrance)
        return self._report([each for each in self._probes() if each.check.is_vital])

    def _probes(self) -> list[_Probe]:
        with self._lock:
            return [
                self._known.setdefault((check.repository, check.name), _Probe(check, self._clock))
                for check in self._checks
            ]

    def _report(self, probes: Sequence[_Probe]) -> Report:
        for probe in probes:
            probe.begin()
        return Report(answers=[probe.answer() for probe in probes], hindrance=self.hindrance())
