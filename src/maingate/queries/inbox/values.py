"""The inbox as values: its items, and the rows from which they are made. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.overviews.refused_patches import RefusedPatch
from maingate.db.dao.webhooks import WebhookRow
from maingate.events import Severity, iso_millis
from maingate.landing.move_values import Behind
from maingate.state.queue_control import OrderInForce
from maingate.state.tool_run import MICROS

if TYPE_CHECKING:
    from maingate.monitoring.alerts import FiringAlert
    from maingate.monitoring.stuck_watch import Stuck

Json = dict[str, Any]


class InboxCode(StrEnum):
    """The kinds of items; programs may rely on them."""

    APPROVAL = "approval"
    """A patch waits for people to approve it."""
    QUARANTINED = "quarantined"
    """A patch was refused, and no other attempt stands for it."""
    BASE_RED = "base_red"
    """A gate fails on the target itself, and patches were dropped for it."""
    BREAKER_OPEN = "breaker_open"
    """A tool is paused by its circuit breaker."""
    STUCK = "stuck"
    """Work is under way without progress for too long."""
    BUDGET = "budget"
    """The budget of a run is used up, or nearly."""
    STOPPED = "stopped"
    """A run has not ended, and no process works on it."""
    CHECKOUT = "checkout"
    """A checkout has not followed its branch."""
    ALERT = "alert"
    """An alert fires that no other item is about."""
    QUEUE = "queue"
    """The queue of a target is paused or drained."""
    WEBHOOK = "webhook"
    """A receiver of webhooks has taken nothing for long, or is gone for good."""


@dataclass(frozen=True, kw_only=True)
class About:
    """The subject of an item.

    Args:
        kind: ``run``, ``workstream``, ``task``, ``patch``, ``breaker``, ``target``, ``checkout``, ``alert``,
            ``webhook``.
        id: Its id; the ref of a target, the path of a checkout.
        name: Its name for people.
        run_id: The run that it belongs to; None for one of no run.
        run_name: The name of that run.
    """

    kind: str
    id: str
    name: str
    run_id: str | None = None
    run_name: str | None = None

    def as_json(self) -> Json:
        """Return the public JSON form."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "run_id": self.run_id,
            "run_name": self.run_name,
        }


@dataclass(frozen=True, kw_only=True)
class InboxItem:
    """An open matter that a person has to decide.

    Args:
        code: Its kind.
        about: Its subject.
        why: One sentence for people.
        since: The time since when it is open; None where it is unknown.
        command: The command that ends it, as it can be typed in the repository.
        severity: Its weight.
    """

    code: InboxCode
    about: About
    why: str
    since: datetime | None
    command: str
    severity: Severity

    def as_json(self) -> Json:
        """Return the public JSON form."""
        return {
            "code": str(self.code),
            "about": self.about.as_json(),
            "why": self.why,
            "since": None if self.since is None else iso_millis(self.since),
            "command": self.command,
            "severity": str(self.severity),
        }


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """A run that has not ended.

    Args:
        id: The run.
        name: Its name.
        since: The time of its last sign of life on record.
        is_alive: Whether a process works on it.
        is_served: Whether a living server is to give it a process.
        stopped: The recorded reason why its last process stopped; None without one.
        spent_micros: The cost of its tools so far, in micro-dollars.
        budget_usd: The budget of its plan; None without one.
    """

    id: str
    name: str
    since: datetime
    is_alive: bool
    is_served: bool = False
    stopped: str | None = None
    spent_micros: int = 0
    budget_usd: float | None = None

    @property
    def used(self) -> float:
        """The part of the budget that is used; zero without a budget."""
        return 0.0 if not self.budget_usd else self.spent_micros / (self.budget_usd * MICROS)

    @property
    def about(self) -> About:
        """The run as the subject of an item."""
        return About(kind="run", id=self.id, name=self.name, run_id=self.id, run_name=self.name)


@dataclass(frozen=True, kw_only=True)
class UnapprovedPatch:
    """A patch that waits for approvals.

    Args:
        about: The patch.
        missing: The number of approvals that it lacks.
        since: The time since when it waits.
    """

    about: About
    missing: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class RedBase:
    """A target on which a gate failed, as its newest run found.

    Args:
        patches: The patches that were dropped for it, the first one first; at least one.
        head: The commit that the target is at now; None when it is gone.
        has_plan_file: Whether the plan file of the run is still there.
    """

    patches: Sequence[RefusedPatch]
    head: str | None
    has_plan_file: bool


@dataclass(frozen=True, kw_only=True)
class InboxRows:
    """The rows from which the inbox is made, read at one moment.

    Args:
        now: That moment.
        runs: The runs of the repository that have not ended.
        unapproved: The patches that wait for approvals.
        quarantined: The quarantined patches for which no other patch stands, newest first.
        landed: The changes that are on a target: pairs of the change key and the target's ref.
        branches: The branches of which there is refused work, as far as they are there, by their full names.
        merged: Those that a target has: pairs of the branch and the target's ref.
        own_gates: By run, the gates of its plan that are not of the settings of its target: commands by name.
        tried_again: The ids of those whose task or work a later run tries or has tried.
        red_bases: The red bases.
        breakers: The circuit breakers.
        stuck: The stuck tasks and workstreams with their subjects.
        handed_over: For stuck workstreams that another run's process has, the thing that each waits for.
        behind: The checkouts that have not followed their branch.
        alerts: The alerts that fire.
        webhooks: The receivers of webhooks that have failed for long.
        orders: The orders about queues that are in force.
    """

    now: datetime
    runs: Sequence[OpenRun] = ()
    unapproved: Sequence[UnapprovedPatch] = ()
    quarantined: Sequence[RefusedPatch] = ()
    landed: frozenset[tuple[str, str]] = frozenset()
    branches: frozenset[str] = frozenset()
    merged: frozenset[tuple[str, str]] = frozenset()
    own_gates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tried_again: frozenset[str] = frozenset()
    red_bases: Sequence[RedBase] = ()
    breakers: Sequence[BreakerRow] = ()
    stuck: "Sequence[tuple[About, Stuck]]" = ()
    handed_over: Mapping[str, str] = field(default_factory=dict)
    behind: Sequence[Behind] = ()
    alerts: "Sequence[FiringAlert]" = ()
    webhooks: Sequence[WebhookRow] = ()
    orders: Sequence[OrderInForce] = ()
