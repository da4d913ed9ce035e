"""Commits of the target by the patches that landed with them."""

from maingate.db.dao import patches
from maingate.repository_context import RepositoryContext
from maingate.state.patch_ledger import PatchState


def states_of_patches(context: RepositoryContext, commit: str) -> set[PatchState]:
    """Return the states of the patches that landed with a commit; none when no patch did."""
    with context.database.read() as conn:
        return {row.state for row in patches.of_commit(conn, commit)}
