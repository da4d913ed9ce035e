"""The recorded commits of the workstreams, to be compared with the repository before the core begins."""

from collections.abc import Mapping, Sequence

from maingate.commits import Tip
from maingate.ids import PatchId
from maingate.orchestrator.core.effect_inputs import RecordedChain, RecordedCommit
from maingate.orchestrator.core.snapshot import PatchNode, RunNode, WorkstreamNode
from maingate.state.patch_ledger import PatchState


def chains_of(run: RunNode) -> list[RecordedChain]:
    """Return the recorded commits of each workstream that has some and has not ended."""
    return [chain for workstream in run.order if (chain := _chain(workstream)) is not None]


def correct(workstream: WorkstreamNode, tips: Mapping[PatchId, Tip]) -> None:
    """Set where patches stand now: a commit that was made again may have another id, with the same tree."""
    for patch, tip in _recorded(workstream):
        here = tips.get(patch.id, tip)
        if workstream.settled == tip:
            workstream.settled = here
        patch.commit = here.commit


def forget(workstream: WorkstreamNode) -> None:
    """Remove the recorded commits of a workstream that is to be ended because one of them is gone."""
    workstream.settled = None
    for patch, _ in _recorded(workstream):
        patch.commit = patch.tree = None


def _chain(workstream: WorkstreamNode) -> RecordedChain | None:
    recorded = {patch.id: tip for patch, tip in _recorded(workstream)}
    if workstream.base is None or not recorded:
        return None
    return RecordedChain(
        workstream=workstream.id,
        name=workstream.name,
        base=workstream.base,
        commits=tuple(
            RecordedCommit(task=task.input, patch=task.patch.id, tip=recorded[task.patch.id])
            for task in workstream.patch_tasks()
            if task.patch is not None and task.patch.id in recorded
        ),
    )


def _recorded(workstream: WorkstreamNode) -> Sequence[tuple[PatchNode, Tip]]:
    """Return the patches on the workstream's own ref, oldest first: the settled ones, then the front."""
    if workstream.has_ended:
        return ()
    return [
        (patch, Tip(commit=patch.commit, tree=patch.tree))
        for task in workstream.patch_tasks()
        if (patch := task.patch) is not None
        and patch.state in {PatchState.VERIFIED, PatchState.APPLIED}
        and patch.commit is not None
        and patch.tree is not None
    ]
