"""Figures: how Maingate and a peer compare in the same run, or what Maingate should need at most."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Medians of alternating runs.

    Args:
        case: What was done.
        maingate: Maingate's median, in ``unit``.
        peer: Who it is compared with.
        other: The peer's median, in ``unit``.
        ratio: The median of the ratios run by run, Maingate to peer: above 1, Maingate did more per second.
        asked: What the ratio should be at least; None when nobody asked.
        unit: Such as ``patches/s``.
    """

    case: str
    maingate: float
    peer: str
    other: float
    ratio: float
    asked: float | None
    unit: str

    def as_json(self) -> dict[str, Any]:
        """Return the figure as a JSON object."""
        return _rounded(self)

    def line(self, width: int) -> str:
        """Return a line for people, the case padded to a width."""
        asked = "" if self.asked is None else f"  asked {self.asked:.2f} {_verdict(self.ratio >= self.asked)}"
        return (
            f"{self.case:<{width}}  maingate {self.maingate:8.1f}  {self.peer} {self.other:8.1f} "
            f"{self.unit}  ratio {self.ratio:.2f}{asked}"
        )


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Something that should stay small.

    Args:
        case: What was measured.
        maingate: The median.
        asked: What it should be at most.
        unit: Such as ``s``.
    """

    case: str
    maingate: float
    asked: float
    unit: str

    def as_json(self) -> dict[str, Any]:
        """Return the limit as a JSON object."""
        return _rounded(self)

    def line(self, width: int) -> str:
        """Return a line for people, the case padded to a width."""
        verdict = _verdict(self.maingate <= self.asked)
        return (
            f"{self.case:<{width}}  maingate {self.maingate:8.2f} {self.unit}  asked {self.asked:g} {verdict}"
        )


def rates(
    case: str,
    *,
    count: int,
    unit: str,
    maingate: Callable[[], float],
    peers: Mapping[str, Callable[[], float]],
    rounds: int,
    asked: Mapping[str, float] | None = None,
) -> Sequence[Figure]:
    """Run Maingate and its peers in turn, ``rounds`` times after one warm-up each, and compare their rates.

    Args:
        case: What is done.
        count: How many are done in one call.
        unit: What a rate is counted in.
        maingate: Does it once and returns the seconds that took.
        peers: By name, the same for each peer.
        rounds: How many times each runs.
        asked: What the ratio to a peer should be at least, by the peer's name.
    """
    contenders = {"maingate": maingate, **peers}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            took = run()
            if turn:
                seconds[name].append(took)
    return [
        Figure(
            case=case,
            maingate=count / statistics.median(seconds["maingate"]),
            peer=name,
            other=count / statistics.median(seconds[name]),
            ratio=statistics.median(
                theirs / ours for ours, theirs in zip(seconds["maingate"], seconds[name], strict=True)
            ),
            asked=(asked or {}).get(name),
            unit=unit,
        )
        for name in peers
    ]


def _rounded(figure: Figure | Limit) -> dict[str, Any]:
    values = asdict(figure).items()
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values}


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "MISSED"
