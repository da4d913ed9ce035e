"""View of waiting and stuck entities: many that wait for the same thing are counted, not listed.

Only entities that do nothing but wait are grouped. Failed, retrying, running and stuck ones keep their lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from maingate.cli.text import count, duration, local_time, safe

Entity = Mapping[str, Any]

FEW: Final = 3
"""Up to this many entities that wait for the same thing are listed one by one."""


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Entities that wait for the same thing.

    Args:
        noun: The kind of entity.
        kind: The thing that they wait for.
        names: Their names, in the report's order.
    """

    noun: str
    kind: str
    names: Sequence[str]

    @property
    def headline(self) -> str:
        """The number of entities and the thing that they wait for."""
        return f"{count(len(self.names), self.noun)} wait{'s' * (len(self.names) == 1)} for {safe(self.kind)}"

    def listed(self, most: int | None = None) -> str:
        """Return their names, or the first of them and how many more there are."""
        named = ", ".join(safe(name) for name in self.names[:most])
        more = 0 if most is None else len(self.names) - most
        return f"{named} and {more} more" if more > 0 else named


def gathered(entities: Iterable[Entity], noun: str) -> tuple[list[Entity], list[Alike]]:
    """Split entities into those with a line of their own and groups that wait for the same thing."""
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
    """Group all entities that only wait by the thing that they wait for."""
    names: dict[str, list[str]] = {}
    for entity in entities:
        if is_merely_waiting(entity):
            names.setdefault(entity["waiting"]["kind"], []).append(entity["name"])
    return [Alike(noun=noun, kind=kind, names=each) for kind, each in names.items()]


def is_merely_waiting(entity: Entity) -> bool:
    """Return whether an entity does nothing but wait: nothing failed and nothing runs."""
    waiting, patch = entity.get("waiting"), entity.get("patch")
    has_trouble = entity["reason"] or entity.get("stuck") or (patch and patch["reason"])
    return waiting is not None and not waiting["moving"] and not has_trouble


def why_stuck(stuck: Entity) -> str:
    """Return for how long something has made no progress, since when, and its limit."""
    since = local_time(datetime.fromisoformat(stuck["since"]))
    return (
        f"stuck: no progress for {duration(stuck['seconds'])}, since {since}; "
        f"the limit is {duration(stuck['threshold'])}"
    )
