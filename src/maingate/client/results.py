"""Values that the client returns: the fields that programs use most, typed; `raw` has the whole object."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, TypeVar

Json = Mapping[str, Any]
Item = TypeVar("Item")

ENDED: Final = frozenset({"succeeded", "failed", "canceled"})
"""The states in which a run has ended."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an entity is in its state.

    Args:
        code: The stable code.
        message: A sentence.
        detail: Values for programs.
    """

    code: str
    message: str
    detail: Json = field(default_factory=dict)

    @classmethod
    def of(cls, found: Json | None) -> Self | None:
        """Return the reason of its JSON object; None for none."""
        if found is None:
            return None
        return cls(
            code=found.get("code", ""), message=found.get("message", ""), detail=found.get("detail", {})
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run.

    Args:
        id: Its identifier.
        name: The plan's name.
        repo: Its repository, by the server's name for it.
        state: Its state.
        alive: Whether a process works on it.
        reason: The reason of its end.
        target_ref: The branch that it lands on.
        raw: The whole object.
    """

    id: str
    name: str
    repo: str
    state: str
    alive: bool
    reason: Reason | None
    target_ref: str
    raw: Json = field(repr=False)

    @property
    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return self.state in ENDED

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return the run of its JSON object, from a list or a report."""
        return cls(
            id=found["run_id"],
            name=found["name"],
            repo=found["repo"],
            state=found["state"],
            alive=found["alive"],
            reason=Reason.of(found["reason"]),
            target_ref=found["target"]["ref"],
            raw=found,
        )


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task.

    Args:
        id: Its identifier.
        run_id: Its run.
        name: Its name, ``workstream/task``.
        state: Its state.
        version: Its version, for an override.
        reason: The reason of its state.
        patch_id: Its present patch; None when it has none.
        raw: The whole object.
    """

    id: str
    run_id: str
    name: str
    state: str
    version: int
    reason: Reason | None
    patch_id: str | None
    raw: Json = field(repr=False)

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return the task of its JSON object."""
        patch = found["patch"]
        return cls(
            id=found["id"],
            run_id=found["run_id"],
            name=found["name"],
            state=found["state"],
            version=found["version"],
            reason=Reason.of(found["reason"]),
            patch_id=None if patch is None else patch["id"],
            raw=found,
        )


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A patch.

    Args:
        id: Its identifier.
        run_id: Its run.
        task: The name of its task.
        state: Its state.
        reason: The reason of its state.
        commit: The commit that holds it; None before it was applied.
        raw: The whole object.
    """

    id: str
    run_id: str
    task: str
    state: str
    reason: Reason | None
    commit: str | None
    raw: Json = field(repr=False)

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return the patch of its JSON object."""
        return cls(
            id=found["id"],
            run_id=found["run_id"],
            task=found["task"],
            state=found["state"],
            reason=Reason.of(found["reason"]),
            commit=found["commit"],
            raw=found,
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event.

    Args:
        seq: Its place in the order of all events of its repository.
        event_type: Its type.
        entity_id: Its entity; None when it has none.
        from_state: The state before, of a change of state.
        to_state: The state after.
        run_id: The run that it belongs to.
        operator: The person who caused it; None when it is automatic.
        raw: The whole object.
    """

    seq: int
    event_type: str
    entity_id: str | None
    from_state: str | None
    to_state: str | None
    run_id: str | None
    operator: str | None
    raw: Json = field(repr=False)

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return the event of its JSON object."""
        return cls(
            seq=found["seq"],
            event_type=found["event_type"],
            entity_id=found["entity_id"],
            from_state=found["from_state"],
            to_state=found["to_state"],
            run_id=found["context"]["run_id"],
            operator=found["operator"],
            raw=found,
        )


@dataclass(frozen=True, kw_only=True)
class EventTable:
    """The answer to a query of events.

    Args:
        columns: The names of its columns.
        items: Its rows, each with the values by column.
        source: ``rows`` where values are exact, ``rollups`` where percentiles are those of a histogram.
        left_off: Rows beyond the ``top`` of the query.
    """

    columns: Sequence[str]
    items: Sequence[Json]
    source: str
    left_off: int

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return the table of its JSON object."""
        return cls(
            columns=found["columns"], items=found["items"], source=found["source"], left_off=found["left_off"]
        )


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """A page of a list.

    Args:
        items: Its items.
        next: The cursor of the next page; None on the last.
    """

    items: Sequence[Item]
    next: str | None

    @classmethod
    def of(cls, found: Json, item: Callable[[Json], Item]) -> "Page[Item]":
        """Return the page of its JSON object."""
        return Page(items=[item(each) for each in found["items"]], next=found["next"])
