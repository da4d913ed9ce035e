"""Notes about a plan that is valid and may not do what its author meant, on standard error."""

from collections.abc import Iterable

from maingate.cli.output import console
from maingate.cli.text import safe


def print_notes(notes: Iterable[str], *, no_gate: bool) -> None:
    """Print the notes about a plan.

    Args:
        notes: The notes.
        no_gate: Whether a plan without gates is meant to be one.
    """
    from maingate.queries.runs.plan_summary import NO_GATES

    for note in notes:
        if note != NO_GATES:
            console(stderr=True).print(f"note: {safe(note)}", soft_wrap=True)
        elif not no_gate:
            console(stderr=True).print(f"warning: {NO_GATES}", soft_wrap=True, style="bold")
