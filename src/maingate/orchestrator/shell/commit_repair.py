"""Making good what git has collected while no process was at work on a run.

The newest commits of a workstream may be on record before any ref holds them, and refs can be deleted by
hand. After `git gc --prune=now` they are gone. Nothing is lost with them: the patches are on record, and
applied again to what they were applied to they give the same trees, which is verified, and the same commits.
"""

from collections.abc import Callable, Sequence

from maingate.errors import MissingObjectError
from maingate.orchestrator.core.commits import Tip
from maingate.orchestrator.core.snapshot import PatchNode, TaskNode, WorkstreamNode
from maingate.reasons import Reason
from maingate.state.patch_ledger import PatchState
from maingate.uet.executor import Committed

ApplyAgain = Callable[[TaskNode, PatchNode, Tip], Committed | Reason]
"""Applies a task's recorded patch again, to what it was applied to."""


def heal(
    workstream: WorkstreamNode, *, is_there: Callable[[str], bool], apply_again: ApplyAgain
) -> Sequence[str]:
    """Make the commits of a workstream again that are on record and gone; return the names of their tasks.

    Args:
        workstream: The workstream as it was loaded. Where a commit came out with another id, though with
            the same tree, it stands there from now on.
        is_there: Tells whether the repository has a commit.
        apply_again: Applies a patch again.

    Raises:
        MissingObjectError: A patch does not give the tree any more that its gates have seen.
    """
    chain = _on_record(workstream)
    if not chain or workstream.base is None or is_there(chain[-1][2].commit):
        return ()
    onto, made = workstream.base, []
    for task, patch, tip in chain:
        here = tip
        if not is_there(tip.commit):
            here = _made_again(apply_again(task, patch, onto), task, tip)
            made.append(task.label)
        if workstream.settled == tip:
            workstream.settled = here
        patch.commit, onto = here.commit, here
    return made


def let_go(workstream: WorkstreamNode) -> None:
    """Stand on nothing of what is gone, in a workstream that is to be ended for it."""
    workstream.settled = None
    for _, patch, _ in _on_record(workstream):
        patch.commit = patch.tree = None


def _on_record(workstream: WorkstreamNode) -> Sequence[tuple[TaskNode, PatchNode, Tip]]:
    """Give what stands on the workstream's ref, oldest first: what is settled, then the front."""
    if workstream.has_ended:
        return ()
    return [
        (task, task.patch, Tip(commit=task.patch.commit, tree=task.patch.tree))
        for task in workstream.patch_tasks()
        if task.patch is not None
        and task.patch.state in {PatchState.VERIFIED, PatchState.APPLIED}
        and task.patch.commit is not None
        and task.patch.tree is not None
    ]


def _made_again(made: Committed | Reason, task: TaskNode, was: Tip) -> Tip:
    if isinstance(made, Committed) and made.tree == was.tree:
        return Tip(commit=made.commit, tree=made.tree)
    why = made.message if isinstance(made, Reason) else f"it gives the tree {made.tree} instead of {was.tree}"
    raise MissingObjectError(
        f"commit {was.commit} of {task.label} is gone from the repository (was it pruned while no process "
        f"was at work?), and its recorded patch does not give it again: {why}"
    )
