"""The explanation of one entity, as a value, and the forms that many of them share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.runs import RunRow
from maingate.events import iso_millis
from maingate.git.targets import short_name
from maingate.state.holds import Hold, HoldCode
from maingate.state.queue_control import OrderInForce
from maingate.wording import listed

NEXT_STEP: Final = "the run takes its next step"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The reason why an entity is where it is.

    Args:
        code: The kind of reason, for programs.
        what: The thing it waits for.
        since: The time at which it got there.
        until: The event that will move it.
        is_moving: Whether it is being worked on now.
        kind: The thing it waits for without particulars, the same for all that wait for the same; empty
            where that is ``what``.
        about: The particulars for programs: ids of entities, names, numbers.
        command: The command by which a person ends the wait; None where time and work do.
    """

    code: HoldCode
    what: str
    since: datetime
    until: str
    is_moving: bool = False
    kind: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None

    @property
    def sentence(self) -> str:
        """The whole explanation for people."""
        if self.code is HoldCode.ENDED:
            return self.what
        verb = "works:" if self.is_moving else "waits for"
        return f"{verb} {self.what}; until {self.until}"

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "code": str(self.code),
            "for": self.what,
            "since": iso_millis(self.since),
            "until": self.until,
            "moving": self.is_moving,
            "kind": self.kind or self.what,
            "about": dict(self.about),
        }


def waits(
    row: EntityRow,
    code: HoldCode,
    what: str,
    until: str,
    *,
    is_moving: bool = False,
    kind: str = "",
    about: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Explanation:
    """Return an explanation that holds since the entity reached its state."""
    return Explanation(
        code=code,
        what=what,
        since=row.changed_at,
        until=until,
        is_moving=is_moving,
        kind=kind,
        about=about or {},
        command=command,
    )


def held(
    row: EntityRow, hold: Hold, what: str, until: str, *, kind: str, command: str | None = None
) -> Explanation:
    """Return an explanation by a published hold, since that began."""
    since = max(hold.since, row.changed_at)
    return Explanation(
        code=hold.code,
        what=what,
        since=since,
        until=until,
        kind=kind,
        about=hold.about,
        command=command,
    )


def next_step(row: EntityRow, what: str, *, is_moving: bool = True) -> Explanation:
    """Return that an entity waits for the run's process."""
    return waits(row, HoldCode.NEXT_STEP, what, NEXT_STEP, is_moving=is_moving)


def gated(row: EntityRow, gates: Sequence[GateRow], what: str) -> Explanation:
    """Return that an entity waits for running gates, named and with the time of the first start."""
    names = listed(list(dict.fromkeys(gate.name for gate in gates)))
    since = min(gate.changed_at for gate in gates).astimezone(UTC)
    until = "they have passed or failed" if len(gates) > 1 else "it has passed or failed"
    what = f"{what} {names}, running since {since:%H:%M:%S} UTC"
    return waits(row, HoldCode.GATES, what, until, is_moving=True)


def draining(run: EntityRow, hold: Hold) -> Explanation:
    """Return that the process of a run starts nothing new."""
    why = hold.about.get("why")
    what = f"its running work to end, and stops then{f': {why}' if why else ''}"
    kind = "its running work to end, and stops then"
    return replace(held(run, hold, what, "nothing of it runs any more", kind=kind), is_moving=True)


def ordered(row: EntityRow, order: OrderInForce, run: RunRow) -> Explanation:
    """Return that a person has ordered that the queue of the target does not go on."""
    command = f"maingate queue resume {short_name(run.target_ref)}"
    until = f"`{command}`"
    if order.until is not None:
        until = f"{order.until:%Y-%m-%d %H:%M:%S} UTC, or {until}"
    return Explanation(
        code=HoldCode.QUEUE,
        what=f"its queue to go on: {order.sentence}",
        since=max(order.since, row.changed_at),
        until=until,
        kind="the queue to go on",
        about={"order": str(order.control.kind), "operator": order.control.operator},
        command=command,
    )


def of_tool(hold: Hold) -> tuple[str, str]:
    """Return why a tool cannot be used, and the event that ends that."""
    tool = hold.about["tool"]
    if "limit" in hold.about:
        limit = hold.about["limit"]
        return f"the tool {tool}, of which {limit} may run at once", "one of the tasks that use it ends"
    if "breaker" in hold.about:
        return f"the tool {tool}, which is paused: its breaker is {hold.about['breaker']}", "a probe succeeds"
    return f"the tool {tool}, whose provider refuses it for a while", "its pause is over"
