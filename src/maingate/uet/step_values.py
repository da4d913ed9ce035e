"""The values that the steps of one patch take and return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from maingate.patches.intake import Intake
from maingate.patches.policy.policy import Policy
from maingate.patches.repair_record import Repair
from maingate.plan.choices import TaskKind, Whitespace
from maingate.plan.model import Plan, TaskPlan
from maingate.reasons import Reason

Origin = Literal["ready", "tool"]
SUMMARY_LENGTH = 512
"""Characters that a ledger entry's summary may have (docs/SPECIFICATION.md §2.2)."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """The task of a patch, and the policy that holds for it.

    Args:
        label: The task's name for people, such as ``parser/drop-regex``.
        policy: All layers of policy, tightened.
        fixes_endings: Whether the patch may take the line endings of the files that it changes.
    """

    label: str
    task: TaskPlan
    policy: Policy
    origin: Origin = "ready"
    fixes_endings: bool = False


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A patch that was read: its bytes, and its intake or the reason to refuse it.

    Args:
        violates: Whether the refusal is policy's rather than the format's.
    """

    diff: bytes
    intake: Intake | None = None
    refusal: Reason | None = None
    violates: bool = False

    def facts(self) -> Mapping[str, Any]:
        """Return the columns of the patch in the ledger, which are always derived from the diff itself."""
        if self.intake is None:
            return {}
        scope = self.intake.scope.as_json()
        return {
            "files": scope["files"],
            "insertions": scope["insertions"],
            "deletions": scope["deletions"],
            "hunks": scope["hunks"],
            "paths": scope["paths"],
            "repairs": [repair.as_json() for repair in self.intake.repairs],
            "change_key": self.intake.key,
        }


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A patch that applied: the commit it became, that commit's tree, how, and all that was done to it."""

    commit: str
    tree: str
    method: str
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A patch that is to be applied.

    Args:
        intake: The patch.
        order: Its task and its policy.
        trailers: The trailers of its commit.
        commit: The commit that it is of; None where it is of none, or that is not known.
        lands_commit: Whether that commit lands as it is, where that can be.
    """

    intake: Intake
    order: Order
    trailers: Sequence[tuple[str, str]]
    commit: str | None = None
    lands_commit: bool = False


def order_of(plan: Plan, task: TaskPlan, *, label: str, policy: Policy) -> Order:
    """Return the order of a task of a plan.

    Args:
        plan: The plan.
        task: The task.
        label: The task's name for people.
        policy: All layers of policy that hold for it.
    """
    whitespace = task.whitespace or plan.whitespace
    return Order(
        label=label,
        task=task,
        policy=policy,
        origin="tool" if task.kind is TaskKind.TOOL else "ready",
        fixes_endings=whitespace is Whitespace.FIX_EOL,
    )


def message_of(order: Order, intake: Intake | None) -> str:
    """Return the commit's message: the task's, else the patch's own, else the task's title or name."""
    own = intake.header.message if intake and intake.header else None
    return order.task.message or own or order.task.title or order.label


def summary_of(order: Order, intake: Intake | None) -> str:
    """Return the first line of the message, as long as a ledger entry may hold."""
    return message_of(order, intake).strip().split("\n", 1)[0][:SUMMARY_LENGTH]
