"""A figure: what Headgate and a peer did in the same run, and how they compare."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Medians of alternating runs.

    Args:
        case: What was done.
        headgate: Headgate's median, in ``unit``.
        peer: Who it is compared with.
        other: The peer's median, in ``unit``.
        ratio: The median of the ratios run by run, Headgate to peer: above 1, Headgate did more per second.
        unit: Such as ``patches/s``.
    """

    case: str
    headgate: float
    peer: str
    other: float
    ratio: float
    unit: str

    def as_json(self) -> dict[str, Any]:
        """Return the figure as a JSON object."""
        values = asdict(self).items()
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in values}


def rates(
    case: str,
    *,
    count: int,
    unit: str,
    headgate: Callable[[], float],
    peers: Mapping[str, Callable[[], float]],
    rounds: int,
) -> Sequence[Figure]:
    """Run Headgate and its peers in turn, ``rounds`` times after one warm-up each, and compare their rates.

    Args:
        case: What is done.
        count: How many are done in one call.
        unit: What a rate is counted in.
        headgate: Does it once and returns the seconds that took.
        peers: By name, the same for each peer.
        rounds: How many times each runs.
    """
    contenders = {"headgate": headgate, **peers}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            took = run()
            if turn:
                seconds[name].append(took)
    return [
        Figure(
            case=case,
            headgate=count / statistics.median(seconds["headgate"]),
            peer=name,
            other=count / statistics.median(seconds[name]),
            ratio=statistics.median(
                theirs / ours for ours, theirs in zip(seconds["headgate"], seconds[name], strict=True)
            ),
            unit=unit,
        )
        for name in peers
    ]
