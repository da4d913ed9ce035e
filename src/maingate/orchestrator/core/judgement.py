"""The judgement of gates about a tree, as a value."""

from dataclasses import dataclass
from enum import Enum

from maingate.reasons import Reason


class Opinion(Enum):
    """The outcome of all gates on a tree."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """No patch is to blame: the base is red, or a gate could not be run."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The opinion, the names of the gates, and the reason when the opinion is not ``PASSED``."""

    opinion: Opinion
    gates: tuple[str, ...] = ()
    reason: Reason | None = None
