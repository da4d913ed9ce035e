"""The control of a queue: the orders of people about the queue of a target, and which are in force now.

An order is in force until it is taken back (`resume`), a freeze with an end until then, and one by a schedule
in each of its windows. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from maingate.state.cron_schedule import last_time


class QueueOrder(StrEnum):
    """The orders that a queue can be under; each at most once."""

    PAUSE = "pause"
    """No new test is started, and nothing lands."""
    DRAIN = "drain"
    """Workstreams on board land, and nothing new comes on board."""
    FREEZE = "freeze"
    """Tests go on, and nothing lands until its end."""
    SCHEDULE = "schedule"
    """The same, again and again: from each time of a line of cron on, for a while."""


SENTENCES: Final[dict[QueueOrder, str]] = {
    QueueOrder.PAUSE: "paused",
    QueueOrder.DRAIN: "drained",
    QueueOrder.FREEZE: "frozen",
    QueueOrder.SCHEDULE: "frozen by its schedule",
}
"""The order in a word, for sentences."""


ENDED_BY_PERSON: Final = frozenset({QueueOrder.PAUSE, QueueOrder.DRAIN})
"""Orders that do not end by themselves."""


@dataclass(frozen=True, kw_only=True)
class QueueControl:
    """An order about the queue of a target.

    Args:
        key: The repository and the target's ref.
        kind: The order.
        operator: The person who gave it.
        reason: Why; may be empty.
        since: When it was given.
        until: The end of a freeze.
        cron: The line of cron at whose times a scheduled freeze begins.
        zone: The name of the time zone of that line.
        seconds: The length of a scheduled freeze.
        on_board: The workstreams that a drain still lands; None while no process has said so.
    """

    key: str
    kind: QueueOrder
    operator: str
    reason: str
    since: datetime
    until: datetime | None = None
    cron: str | None = None
    zone: str | None = None
    seconds: int | None = None
    on_board: tuple[str, ...] | None = None

    def is_over(self, now: datetime) -> bool:
        """Return whether its end has come: a freeze, alone, has one that no person has to give."""
        return self.until is not None and self.until <= now

    def window(self, now: datetime) -> tuple[datetime, datetime | None] | None:
        """Return since when it is in force at a moment, and until when; None if it is not."""
        if self.kind is QueueOrder.SCHEDULE:
            length = timedelta(seconds=self.seconds or 0)
            began = last_time(self.cron or "", ZoneInfo(self.zone or "UTC"), now, within=length)
            return None if began is None or began + length <= now else (began, began + length)
        return None if self.is_over(now) else (self.since, self.until)


@dataclass(frozen=True, kw_only=True)
class OrderInForce:
    """An order that is in force, since when, and until when; None without an end."""

    control: QueueControl
    since: datetime
    until: datetime | None

    @property
    def sentence(self) -> str:
        """The order for people, with the person and the reason."""
        control = self.control
        end = "" if self.until is None else f" until {self.until:%Y-%m-%d %H:%M:%S} UTC"
        why = f": {control.reason}" if control.reason else ""
        given = f"{SENTENCES[control.kind]} by {control.operator}"
        return f"the queue is {given} since {self.since:%Y-%m-%d %H:%M:%S} UTC{end}{why}"


def in_force(controls: Iterable[QueueControl], now: datetime) -> Sequence[OrderInForce]:
    """Return the orders that are in force at a moment, the strictest first."""
    found = []
    for control in sorted(controls, key=lambda each: _STRICTNESS[each.kind]):
        window = control.window(now)
        if window is not None:
            found.append(OrderInForce(control=control, since=window[0], until=window[1]))
    return found


@dataclass(frozen=True, kw_only=True)
class QueueLeave:
    """The leave that the orders about a queue give it.

    Args:
        may_test: Whether tests may be started.
        may_land: Whether the target may be moved.
        is_draining: Whether nothing new comes on board.
    """

    may_test: bool = True
    may_land: bool = True
    is_draining: bool = False


def leave_of(orders: Iterable[OrderInForce]) -> QueueLeave:
    """Return the leave that orders in force give a queue."""
    kinds = {order.control.kind for order in orders}
    return QueueLeave(
        may_test=QueueOrder.PAUSE not in kinds,
        may_land=not kinds & {QueueOrder.PAUSE, QueueOrder.FREEZE, QueueOrder.SCHEDULE},
        is_draining=QueueOrder.DRAIN in kinds,
    )


_STRICTNESS: Final = {
    QueueOrder.PAUSE: 0,
    QueueOrder.FREEZE: 1,
    QueueOrder.SCHEDULE: 2,
    QueueOrder.DRAIN: 3,
}
