"""A transition that is to be written, and the entity it is about, as values.

`maingate.db.transitions.write` writes them; the other modules here make them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, TypedDict, Unpack

from maingate.reasons import Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenAt:
    """A placeholder in `Step.sets` for the time of writing, plus ``after``."""

    after: timedelta = timedelta()


WRITTEN_AT: Final = WrittenAt()
"""A value of `Step.sets` that becomes the time at which the step is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """The run, workstream and task that an entity belongs to; its events carry them."""

    run_id: str | None = None
    workstream_id: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The state and version of an entity as they were read; the writer compares them with those on record.

    Args:
        machine: Name of the entity's machine.
        id: The entity.
        state: Its state.
        version: How many transitions it has had, its creation included.
        chain_hash: Hash of its newest audit row.
        context: The run, workstream and task it belongs to.
    """

    machine: str
    id: str
    state: str
    version: int
    chain_hash: str
    context: Context

    @property
    def head(self) -> "Head":
        """Return itself, so that heads and rows are taken alike."""
        return self


class HasHead(Protocol):
    """A row of an entity, or a `Head` itself."""

    @property
    def head(self) -> Head:
        """The entity's state and version."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One transition to be written.

    Args:
        head_id: The entity.
        machine: Name of its machine.
        to: The state to reach.
        trigger: The cause of the transition.
        reason: Why; None without one.
        metadata: Values for programs, kept in the audit, JSON-serialisable.
        operator: The operator who decided it by hand; None otherwise.
        sets: Other columns that change with it, as Python values; those that are evidence are bound by its
            audit row.
    """

    head_id: str
    machine: str
    to: str
    trigger: str
    reason: Reason | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    operator: str | None = None
    sets: Mapping[str, Any] = field(default_factory=dict)


class Remark(TypedDict, total=False):
    """Options of every transition.

    Args:
        metadata: Values for programs, kept in the audit.
        operator: The operator who decided it by hand.
    """

    metadata: Mapping[str, Any]
    operator: str | None


class Note(Remark, total=False):
    """Options of a transition that needs no reason.

    Args:
        reason: Why; None without one.
    """

    reason: Reason | None


def step(
    entity: HasHead, to: StrEnum, trigger: str, sets: Mapping[str, Any] | None = None, **note: Unpack[Note]
) -> Step:
    """Return a transition of an entity."""
    head = entity.head
    return Step(head_id=head.id, machine=head.machine, to=to, trigger=trigger, sets=sets or {}, **note)
