"""Commits that decisions are about: the state of a ref, a merge candidate, and the intent to land one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maingate.ids import PatchId, RunId, WorkstreamId


@dataclass(frozen=True, kw_only=True)
class Tip:
    """A commit and its tree, as hexadecimal object ids."""

    commit: str
    tree: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A workstream merged onto the target's head, or onto the candidate before it in the queue.

    Args:
        onto: The commit that it was merged onto.
        tip: The merge result.
        commits: The commit of each patch on the way from ``onto`` to ``tip``.
        steps: Commits of patches that land as they are made by the merge, each with its patch, oldest first.
    """

    onto: Tip
    tip: Tip
    commits: Mapping[PatchId, str]
    steps: Sequence[tuple[PatchId, Tip]] = ()


@dataclass(frozen=True, kw_only=True)
class LandingIntent:
    """An intended move of the target, recorded before the target moves: from ``old`` to ``new``.

    Args:
        run: The run that the workstream is one of.
        commits: The commit of each patch that lands with it.
    """

    id: str
    run: RunId
    workstream: WorkstreamId
    old: str
    new: str
    commits: Mapping[PatchId, str]


@dataclass(frozen=True, kw_only=True)
class LandingInput:
    """A workstream that is ready to land.

    Args:
        run: The run that it is one of.
        workstream: The workstream.
        name: Its name.
        title: Its title; empty where the plan gives none.
        base: The commit that it began on.
        settled: The head of its own ref.
        commits: Each patch with its commit on that ref, oldest first.
        tasks: The name of the task of each patch.
        gates: The gates that must pass on the merged result.
        patch_gates: The gates that must pass on each patch by itself.
        intents: All recorded intents to land it, oldest first.
        open_intent: The intent that may have been carried out already; None without one.
    """

    run: RunId
    workstream: WorkstreamId
    name: str
    title: str
    base: Tip
    settled: Tip
    commits: Sequence[tuple[PatchId, str]]
    tasks: Mapping[PatchId, str]
    gates: tuple[str, ...]
    patch_gates: Mapping[PatchId, tuple[str, ...]]
    intents: Sequence[LandingIntent]
    open_intent: str | None
