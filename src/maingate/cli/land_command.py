"""The command line of `maingate land`, as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from maingate.plan.choices import LandingStyle, OnApplied

_LARGEST_INPUT: Final = 1 << 30
"""Bytes that are read of standard input at most; a larger patch is refused by its size."""


@dataclass(frozen=True, kw_only=True)
class LandCommand:
    """A command line of `maingate land`.

    Args:
        work: The arguments.
        into: The branch to land on.
        gates: More gates: commands by name.
        is_ungated: Whether no gates run at all.
        landing: The form of the landing.
        needs: The argument of the work that must land before the rest.
        priority: The priority of the workstreams.
        title: The title of the only workstream.
        on_applied: The end of work that the target has already.
        waits: Whether to wait for the end.
        workers: How many gates run at once.
        is_trial: Whether nothing is to be made.
        as_json: Whether to print JSON.
    """

    work: Sequence[str]
    into: str | None
    gates: Mapping[str, str]
    is_ungated: bool
    landing: "LandingStyle | None"
    needs: str | None
    priority: int
    title: str | None
    on_applied: "OnApplied"
    waits: bool
    workers: int | None
    is_trial: bool
    as_json: bool

    def standard_input(self, stream: BinaryIO) -> bytes:
        """Read the patches that are given on standard input."""
        return stream.read(_LARGEST_INPUT)

    def as_request(self) -> dict[str, Any]:
        """Return the options as a server takes them."""
        return {
            "gates": dict(self.gates),
            "no_gate": self.is_ungated,
            "landing": None if self.landing is None else str(self.landing),
            "priority": self.priority,
            "title": self.title,
            "on_applied": str(self.on_applied),
            "dry_run": self.is_trial,
            "workers": self.workers,
        }
