"""Telling people what a run waits for and what is stuck: those that wait alike are counted, not listed.

Only what merely waits is put together. What has failed, is tried again, works, or is stuck keeps its line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from maingate.cli.output import count, duration, local_time, safe

Entity = Mapping[str, Any]

FEW: Final = 3
"""So many that wait for the same thing are listed one by one; more of them are counted."""


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Entities that wait for the same thing.

    Args:
        noun: What each of them is.
        kind: What they wait for.
        names: Their names, in the report's order.
    """

    noun: str
    kind: str
    names: Sequence[str]

    @property
    def headline(self) -> str:
        """How many wait for what."""
        return f"{count(len(self.names), self.noun)} wait{'s' * (len(self.names) == 1)} for {safe(self.kind)}"

    def listed(self, most: int | None = None) -> str:
        """Name them, or the first of them and how many more there are."""
        named = ", ".join(safe(name) for name in self.names[:most])
        more = 0 if most is None else len(self.names) - most
        return f"{named} and {more} more" if more > 0 else named


def gathered(entities: Iterable[Entity], noun: str) -> tuple[list[Entity], list[Alike]]:
    """Split entities into those that keep a line of their own, and those that wait alike."""
    entities = list(entities)
    waiting: dict[str, list[Entity]] = {}
    for entity in entities:
        if is_merely_waiting(entity):
            waiting.setdefault(entity["waiting"]["kind"], []).append(entity)
    many = {kind: alike for kind, alike in waiting.items() if len(alike) > FEW}
    counted = {id(entity) for alike in many.values() for entity in alike}
    groups = [
        Alike(noun=noun, kind=kind, names=[entity["name"] for entity in alike])
        for kind, alike in many.items()
    ]
    return [entity for entity in entities if id(entity) not in counted], groups


def waiting_alike(entities: Iterable[Entity], noun: str) -> list[Alike]:
    """Count what merely waits, however few there are, by what it waits for."""
    names: dict[str, list[str]] = {}
    for entity in entities:
        if is_merely_waiting(entity):
            names.setdefault(entity["waiting"]["kind"], []).append(entity["name"])
    return [Alike(noun=noun, kind=kind, names=each) for kind, each in names.items()]


def is_merely_waiting(entity: Entity) -> bool:
    """Tell whether nothing can be said of an entity but what it waits for: nothing failed, nothing works."""
    waiting, patch = entity.get("waiting"), entity.get("patch")
    has_trouble = entity["reason"] or entity.get("stuck") or (patch and patch["reason"])
    return waiting is not None and not waiting["moving"] and not has_trouble


def why_stuck(stuck: Entity) -> str:
    """Say for how long something has not moved, since when, and how long it may."""
    since = local_time(datetime.fromisoformat(stuck["since"]))
    return (
        f"stuck: no progress for {duration(stuck['seconds'])}, since {since}; "
        f"the limit is {duration(stuck['threshold'])}"
    )
