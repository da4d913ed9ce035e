"""Repair of commits that git has removed while no process worked on a run.

The newest commits of a workstream may be recorded before any ref holds them, and refs can be deleted by hand.
After `git gc --prune=now` they are gone. Nothing is lost with them: the patches are recorded, and applied
again to the same commits they give the same trees, which is verified, and the same commits.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from maingate.commits import Tip
from maingate.errors import MissingObjectError
from maingate.ids import PatchId, WorkstreamId
from maingate.orchestrator.core.effect_inputs import RecordedChain, RecordedCommit
from maingate.reasons import Reason
from maingate.uet.step_values import Committed

TRIES: Final = 3
"""Attempts at a chain before its workstream is given up."""

ApplyAgain = Callable[[RecordedCommit, Tip, Tip], Committed | Reason]
"""Applies the recorded patch of a commit again, in a workstream with a base, to a commit."""


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """The result of a repair.

    Args:
        tips: The commits of the patches of each repaired workstream; one may have another id than recorded,
            with the same tree.
        broken: The workstreams of which a commit cannot be made again, and why.
    """

    tips: Mapping[WorkstreamId, Mapping[PatchId, Tip]] = field(default_factory=dict)
    broken: Mapping[WorkstreamId, Exception] = field(default_factory=dict)


def repair(
    chains: Sequence[RecordedChain],
    *,
    is_there: Callable[[str], bool],
    apply_again: ApplyAgain,
    warn: Callable[[str], None],
) -> Repaired:
    """Make the recorded commits of workstreams again that are gone from the repository.

    Args:
        chains: The recorded commits.
        is_there: Returns whether the repository has a commit.
        apply_again: Applies a patch again.
        warn: Told which commits were made again.
    """
    tips: dict[WorkstreamId, Mapping[PatchId, Tip]] = {}
    broken: dict[WorkstreamId, Exception] = {}
    for chain in chains:
        try:
            found, made = _tried(chain, is_there, apply_again)
        except Exception as error:  # noqa: BLE001 - one workstream never stops the others
            broken[chain.workstream] = error
            continue
        tips[chain.workstream] = found
        if made:
            warn(
                f"git had removed commits of workstream {chain.name}; they were made again from the "
                f"recorded patches: {', '.join(made)}"
            )
    return Repaired(tips=tips, broken=broken)


def _tried(
    chain: RecordedChain, is_there: Callable[[str], bool], apply_again: ApplyAgain
) -> tuple[Mapping[PatchId, Tip], Sequence[str]]:
    """Repair a chain in up to three attempts: an error may be one of the moment."""
    for _ in range(TRIES - 1):
        with suppress(Exception):
            return _repaired(chain, is_there, apply_again)
    return _repaired(chain, is_there, apply_again)


def _repaired(
    chain: RecordedChain, is_there: Callable[[str], bool], apply_again: ApplyAgain
) -> tuple[Mapping[PatchId, Tip], Sequence[str]]:
    """Return where each patch of a chain stands now, and the labels of the tasks whose commits were made."""
    if not chain.commits or is_there(chain.commits[-1].tip.commit):
        return {}, ()
    onto, tips, made = chain.base, {}, []
    for recorded in chain.commits:
        here = recorded.tip
        if not is_there(here.commit):
            here = _made_again(apply_again(recorded, chain.base, onto), recorded)
            made.append(recorded.task.label)
        tips[recorded.patch] = onto = here
    return tips, made


def _made_again(made: Committed | Reason, recorded: RecordedCommit) -> Tip:
    """Return the commit that was made again.

    Raises:
        MissingObjectError: The patch does not give the tree any more that its gates have seen.
    """
    was = recorded.tip
    if isinstance(made, Committed) and made.tree == was.tree:
        return Tip(commit=made.commit, tree=made.tree)
    why = made.message if isinstance(made, Reason) else f"it gives the tree {made.tree} instead of {was.tree}"
    raise MissingObjectError(
        f"commit {was.commit} of {recorded.task.label} is gone from the repository (was it pruned while no "
        f"process was at work?), and its recorded patch does not give it again: {why}"
    )
