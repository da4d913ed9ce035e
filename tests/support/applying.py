"""Applying a patch on what is checked out, as an executor does on the head of a workstream."""

from maingate.git.repository import Repository
from maingate.patches.apply import apply
from maingate.patches.apply.outcomes import Applied, NotApplied
from maingate.patches.apply.preimages import Preimages
from maingate.patches.intake import Intake


def apply_patch(
    repository: Repository,
    tree: str,
    intake: Intake,
    *,
    onto: str = "HEAD",
) -> Applied | NotApplied:
    """Apply a patch to a tree; the files of that commit's history are those it may be merged by."""
    history = Preimages(repository, repository.resolve_commit(onto))
    return apply.apply_patch(repository, tree, intake, history=history)


__all__ = ["apply_patch"]
