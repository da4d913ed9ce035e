"""Commits that decisions are about: the state of a ref, a merge candidate, and the intent to land one."""

from collections.abc import Mapping
from dataclasses import dataclass

from maingate.ids import PatchId, WorkstreamId


@dataclass(frozen=True, kw_only=True)
class Tip:
    """A commit and its tree, as hexadecimal object ids."""

    commit: str
    tree: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A workstream merged onto the target's head.

    Args:
        onto: The target's head that it was merged onto.
        tip: The merge result.
        commits: The commit of each patch on the way from ``onto`` to ``tip``.
    """

    onto: Tip
    tip: Tip
    commits: Mapping[PatchId, str]


@dataclass(frozen=True, kw_only=True)
class LandingIntent:
    """An intended move of the target, recorded before the target moves: from ``old`` to ``new``.

    Args:
        commits: The commit of each patch that lands with it.
    """

    id: str
    workstream: WorkstreamId
    old: str
    new: str
    commits: Mapping[PatchId, str]
