"""A rollback as values: the request of an operator, the judge of the result, and the outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from maingate.reasons import Reason
from maingate.recovery.revert_commits import Reverted


class Judge(Protocol):
    """Runs gates on the result of a rollback."""

    def __call__(self, gates: Sequence[str], result: Reverted) -> Reason | None:
        """Return the reason why gates refuse a result, compared with the head it is built on; or None."""
        ...


class RollbackEnd(StrEnum):
    """The end of a rollback."""

    PENDING = "pending"
    """It was only tried: the reverts can be made, and the gates have not run."""
    ROLLED_BACK = "rolled_back"
    """The patches are not on the target any more, and the ledger records it."""
    REFUSED = "refused"
    """Nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class RollbackRequest:
    """The request of an operator to take patches back.

    Args:
        id: Identifier of the rollback.
        run_id: The run that landed the patches.
        label: Their name for people.
        patches: The patches, all of that run.
        reason: The reason of the operator.
        operator: The operator.
    """

    id: str
    run_id: str
    label: str
    patches: Sequence[str]
    reason: str
    operator: str


@dataclass(frozen=True, kw_only=True)
class RollbackOutcome:
    """The result of a rollback.

    Args:
        end: How it ended.
        ref: The branch.
        old: The commit that the branch was at.
        new: The commit that it is at.
        commits: The commit that took each patch back; empty for one that was gone already.
        gates: The gates that judged the result.
        reason: Why it was refused; None when it was not.
        notes: Sentences for people, such as of a checkout that did not follow.
        failures: Failures after the rollback, which stands nevertheless.
    """

    end: RollbackEnd
    ref: str
    old: str
    new: str
    commits: dict[str, str] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    reason: Reason | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
