"""The results of checks: troubles, each with its reason and the command that mends it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

SHOWN: Final = 5
"""Entities of one kind that a check names; the others are counted."""


class HealthState(StrEnum):
    """The states of a part, from good to bad."""

    OK = "ok"
    """It works."""
    DEGRADED = "degraded"
    """It works, and something about it needs a person."""
    FAILED = "failed"
    """It does not work: nothing can land until it is mended."""


_RANK: Mapping[HealthState, int] = {state: rank for rank, state in enumerate(HealthState)}


def worst(states: Sequence[HealthState]) -> HealthState:
    """Return the worst of some states; `OK` of none."""
    return max(states, key=_RANK.__getitem__, default=HealthState.OK)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that is wrong.

    Args:
        state: ``DEGRADED`` or ``FAILED``.
        reason: A sentence for people.
        command: The command that mends it, or that shows more of it; None where there is none.
    """

    state: HealthState = HealthState.DEGRADED
    reason: str
    command: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {"state": str(self.state), "reason": self.reason, "command": self.command}


@dataclass(frozen=True, kw_only=True)
class CheckFinding:
    """The result of a check.

    Args:
        summary: The condition of the part, for people, when nothing is wrong.
        troubles: Everything that is wrong.
        detail: Values for programs, JSON-serialisable.
    """

    summary: str
    troubles: Sequence[Trouble] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def failed(cls, reason: str, command: str | None = None) -> Self:
        """Return the finding of a part that does not work."""
        return cls(
            summary=reason, troubles=[Trouble(state=HealthState.FAILED, reason=reason, command=command)]
        )

    @property
    def state(self) -> HealthState:
        """The state of the part: that of its worst trouble."""
        return worst([each.state for each in self.troubles])

    @property
    def first(self) -> Trouble | None:
        """The first of its worst troubles; None when nothing is wrong."""
        return next((each for each in self.troubles if each.state is self.state), None)


def command_in(root: Path, *words: str) -> str:
    """Return a command of Maingate on a repository, such as a person can paste into a shell anywhere."""
    return shlex.join(["maingate", "-C", str(root), *words])
