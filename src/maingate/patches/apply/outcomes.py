"""Outcomes of applying a patch to a tree."""

from dataclasses import dataclass
from enum import StrEnum

from maingate.patches.repair_record import Repair
from maingate.reasons import Reason


class ApplyMethod(StrEnum):
    """The ways in which a patch applied; recorded in the ledger."""

    EXACT = "exact"
    OFFSET = "offset"
    THREE_WAY = "three_way"


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The patch applies.

    Args:
        tree: The tree that it makes.
        method: The way in which it applied.
        repairs: All repairs of the patch, from reading it to applying it.
        elsewhere: The paths that it changes and does not name, where a merge has followed moved files.
    """

    tree: str
    method: ApplyMethod
    repairs: tuple[Repair, ...] = ()
    elsewhere: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NotApplied:
    """The patch does not land: conflict, already applied, empty, or malformed."""

    reason: Reason
