"""Applying a patch on what is checked out, as an executor does on the head of a workstream."""

from maingate.uet import apply
from maingate.uet.apply import Applied, Refused
from maingate.uet.intake import Intake
from maingate.uet.preimages import Preimages
from maingate.uet.repository import Repository


def apply_patch(
    repository: Repository, tree: str, intake: Intake, *, onto: str = "HEAD"
) -> Applied | Refused:
    """Apply a patch to a tree; the files of that commit's history are those it may be merged by."""
    history = Preimages(repository, repository.resolve_commit(onto))
    return apply.apply_patch(repository, tree, intake, history=history)


__all__ = ["apply_patch"]
