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
        repository: The opened repository; by default it is opened for a plan that names no target.
    """
    from maingate.queries.runs.plan_summary import NO_GATES, has_no_gate

    if has_no_gate(loaded.plan) and not no_gate:
        console(stderr=True).print(f"warning: {NO_GATES}", soft_wrap=True, style="bold")
    note = _note(loaded, repository)
    if note is not None:
        console(stderr=True).print(f"note: {safe(note)}", soft_wrap=True)


def _note(loaded: "LoadedPlan", repository: "Repository | None") -> str | None:
    from maingate.services.runs.target_notes import note_on_target

    if loaded.plan.target is not None or (repository is None and loaded.root is None):
        return None
    if repository is not None:
        return note_on_target(repository, loaded.plan)
    from maingate.git.repository import Repository

    assert loaded.root is not None  # noqa: S101 - returned above
    with Repository.open(loaded.root) as opened:
        return note_on_target(opened, loaded.plan)
