"""The breakers of tools as one control process knows them, and the changes that it is to record. Pure.

`Breakers` keeps the guards in memory. Its methods return a `BreakerUpdate`, which `recovery.breaker_store`
writes in the transaction of the caller. An update applies the decision to the guard that is on record by
then: several processes may use one tool, and none of them fails because another was faster.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from maingate.reasons import Reason
from maingate.recovery.circuit_breaker import (
    COOLDOWN,
    THRESHOLD,
    Allowed,
    Blocked,
    Guard,
    IsRunning,
    Probe,
    after_failure,
    after_release,
    after_start,
    after_success,
    may_start,
)
from maingate.state.circuit_breaker import BreakerState


@dataclass(kw_only=True, eq=False)
class BreakerUpdate:
    """A change of a breaker that is to be recorded.

    Args:
        tool: The tool.
        decide: The decision, applied to the breaker as it is on record at the time of writing.
        new: The initial guard of a breaker that is not on record yet.
        expected: The transition as far as this process knows, for progress views; None without one.
        writes: The count of writes on the row with this one, so that rows read before it are ignored;
            None until it is written.
    """

    tool: str
    decide: Callable[[Guard], Guard]
    new: Guard
    expected: tuple[BreakerState, BreakerState] | None = None
    writes: int | None = None


class Breakers:
    """The breakers as one control process knows them; no I/O.

    Args:
        guards: Every breaker on record.
        threshold: Consecutive failures that open a breaker (setting ``breaker_threshold``).
        cooldown: Time that it stays open (setting ``breaker_cooldown``).
        is_running: Returns whether a process still works on the recorded probe.
    """

    def __init__(
        self,
        guards: Iterable[Guard],
        *,
        is_running: IsRunning,
        threshold: int = THRESHOLD,
        cooldown: timedelta = COOLDOWN,
    ) -> None:
        self._is_running, self._threshold, self._cooldown = is_running, threshold, cooldown
        self._guards: dict[str, Guard] = {}
        self._unwritten: list[BreakerUpdate] = []
        self._writes: dict[str, int] = {}
        self.refresh(guards)

    def refresh(self, guards: Iterable[Guard]) -> None:
        """Update the guards from the record, which other processes and people change too.

        Guards with unwritten changes of this process stay as they are, and so do those that were read
        before its last change was on record: a reading may begin before a write and arrive after it. A later
        reading of the row differs, since each change is counted there.
        """
        for change in self._unwritten:
            if change.writes is not None:
                self._writes[change.tool] = max(change.writes, self._writes.get(change.tool, 0))
        self._unwritten = [change for change in self._unwritten if change.writes is None]
        mine = {change.tool for change in self._unwritten}
        for each in guards:
            if each.tool not in mine and each.writes >= self._writes.get(each.tool, 0):
                self._guards[each.tool] = self._with_settings(each)

    def of(self, tool: str) -> Guard:
        """Return the guard of a tool; an unknown tool's breaker is closed."""
        return self._guards.get(tool) or Guard(tool=tool, threshold=self._threshold, cooldown=self._cooldown)

    def may_start(self, tool: str, now: datetime) -> Allowed | Blocked:
        """Return whether a task may use a tool now."""
        return may_start(self.of(tool), now, self._is_running)

    def started(self, tool: str, task: str, attempt: int, now: datetime) -> BreakerUpdate | None:
        """Record that an attempt started to use a tool; return the change to write, if any."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_start(guard, probe, now, self._is_running))

    def succeeded(self, tool: str, task: str, attempt: int) -> BreakerUpdate | None:
        """Record that the tool did its work in an attempt; gates do not count."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_success(guard, probe))

    def failed(
        self, tool: str, task: str, attempt: int, reason: Reason, now: datetime
    ) -> BreakerUpdate | None:
        """Record that the tool itself failed in an attempt."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_failure(guard, probe, reason, now))

    def released(self, tool: str, task: str, attempt: int) -> BreakerUpdate | None:
        """Record that an attempt ended without a verdict on the tool: cancelled, lost, rate limited."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_release(guard, probe))

    def _apply(self, tool: str, decide: Callable[[Guard], Guard]) -> BreakerUpdate | None:
        before = self.of(tool)
        after = self._guards[tool] = decide(before)
        if after == before:
            return None
        new = Guard(tool=tool, threshold=self._threshold, cooldown=self._cooldown)
        moved = None if before.state is after.state else (before.state, after.state)
        change = BreakerUpdate(
            tool=tool, decide=lambda guard: decide(self._with_settings(guard)), new=new, expected=moved
        )
        self._unwritten.append(change)
        return change

    def _with_settings(self, guard: Guard) -> Guard:
        """Return a guard with the current settings instead of those that the breaker was made with."""
        return replace(guard, threshold=self._threshold, cooldown=self._cooldown)
