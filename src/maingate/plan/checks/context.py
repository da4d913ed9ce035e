"""The context in which a plan is checked: its folder, repository, settings and names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maingate.settings import Settings
from maingate.settings.problems import Location


@dataclass(frozen=True, kw_only=True)
class DefinedNames:
    """The names that a plan file defines, also of faulty parts: to need such a part is no fault."""

    gates: Collection[str]
    tools: Collection[str]
    tasks: Mapping[str, Collection[str]]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "DefinedNames":
        """Return the names in a plan file's data, whatever its shape."""
        return cls(
            gates=_keys(data.get("gates")),
            tools=_keys(data.get("tools")),
            tasks={
                name: _keys(workstream.get("tasks") if isinstance(workstream, dict) else None)
                for name, workstream in _items(data.get("workstreams"))
            },
        )


@dataclass(frozen=True, kw_only=True)
class PlanContext:
    """The context in which a plan is checked.

    Args:
        folder: The plan file's folder; patches and prompts are relative to it.
        root: The repository's root, found by its folders; None when there is none.
        environ: The environment, for PATH.
        settings: The settings that the plan's policy may only tighten.
        names: All names of the plan file.
        refused: Places that were refused already; a missing value there is not reported again.
    """

    folder: Path
    root: Path | None
    environ: Mapping[str, str]
    settings: Settings
    names: DefinedNames
    refused: Collection[Location]

    def has_refused(self, place: Location, *keys: str) -> bool:
        """Return whether the model refused a value under one of these keys."""
        return any((*place, key) in self.refused for key in keys)


def _keys(value: object) -> list[str]:
    return [name for name, _ in _items(value)]


def _items(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
