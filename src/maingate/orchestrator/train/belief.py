"""The belief about a gate's flakes: how often a tree must fail before that is taken to be its fault."""

from typing import Final

from maingate.orchestrator.train.values import FALSE_BLAME, MOST_CONFIRMATIONS

_FLAKES: Final = 0.4
_PASSES: Final = 8.0
"""Flakes and passes that are assumed of each gate before any was seen, the weights of a Beta distribution.

They are few, so that what is seen soon counts for more: a gate that was never seen to flake is believed at
its fourth failure at first, at its third after 5 passes, and at its second after 25.
"""

_BELIEVED: Final = FALSE_BLAME / 2
"""The most likely that failures in a row are only flakes when they are believed.

An innocent item is suspected about twice, with one or the other ahead of it, where gates flake often.
"""


def failures_needed(*, flakes: float, passes: float) -> int:
    """Return how many failures in a row are believed: so rare by chance that an innocent is seldom blamed.

    The probability is the mean over all flake rates, by what is known of the gate. One confirmation is always
    made, and at most ``MOST_CONFIRMATIONS``.

    Args:
        flakes: Failures on trees that turned out to be right.
        passes: Passes without a failure before them on the same tree.
    """
    bad, all_of = _FLAKES + flakes, _FLAKES + _PASSES + flakes + passes
    chance, failures = 1.0, 0
    while chance > _BELIEVED and failures <= MOST_CONFIRMATIONS:
        chance *= (bad + failures) / (all_of + failures)
        failures += 1
    return max(failures, 2)
