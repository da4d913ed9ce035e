"""Warnings about a plan that is valid and may not do what its author meant, on standard error."""

from typing import TYPE_CHECKING

from maingate.cli.output import console
from maingate.cli.text import safe

if TYPE_CHECKING:
    from maingate.git.repository import Repository
    from maingate.plan.loader import LoadedPlan


def print_warnings(loaded: "LoadedPlan", *, no_gate: bool, repository: "Repository | None" = None) -> None:
    """Print the warnings about a plan.

    Args:
        loaded: The plan.
        no_gate: Whether a plan without gates is meant to be one.
        repository: The opened repository; by default that of the plan is opened.
    """
    from maingate.queries.runs.plan_summary import NO_GATES, has_no_gate

    if has_no_gate(loaded.plan) and not no_gate:
        console(stderr=True).print(f"warning: {NO_GATES}", soft_wrap=True, style="bold")
    for note in _notes(loaded, repository):
        console(stderr=True).print(f"note: {safe(note)}", soft_wrap=True)


def _notes(loaded: "LoadedPlan", repository: "Repository | None") -> list[str]:
    from maingate.git.repository import Repository
    from maingate.services.runs.proof_notes import note_on_proof
    from maingate.services.runs.target_notes import note_on_target
    from maingate.services.runs.worktree_notes import notes_on_worktrees

    if repository is None:
        if loaded.root is None:
            return []
        with Repository.open(loaded.root) as opened:
            return _notes(loaded, opened)
    notes = (note_on_target(repository, loaded.plan), note_on_proof(loaded.plan))
    return [*filter(None, notes), *notes_on_worktrees(repository, loaded.plan)]
