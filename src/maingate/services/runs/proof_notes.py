"""Notes about commits that a plan's proof does not reach."""

from maingate.plan.choices import LandingStyle, Proof
from maingate.plan.model import Plan
from maingate.wording import listed

_NAMES = 5
"""Workstreams that are named."""


def note_on_proof(plan: Plan) -> str | None:
    """Return a note where commits are to be tested one by one, and some are made anew as they land."""
    if plan.promise is not Proof.COMMIT or plan.landing is not LandingStyle.REBASE:
        return None
    several = [
        name
        for name, workstream in plan.workstreams.items()
        if sum(task.kind.gives_a_patch for task in workstream.tasks.values()) > 1
    ]
    if not several:
        return None
    return (
        f"`proof: commit` with `landing: rebase`: of the several commits of {listed(several, _NAMES)} each "
        "is tested on the workstream's base; where the target has moved on they are made anew on it, and "
        "only the last one is tested there (`landing: merge` lands those that were)"
    )
