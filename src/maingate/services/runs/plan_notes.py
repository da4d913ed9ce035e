"""Notes about a plan that may be run and may not do what its author meant, the same by whatever way it comes.

The command line prints them at `run`, `run --server` and `plan check`; the HTTP interface has them in its
answers to a plan, from which other programs take them.
"""

from maingate.db.dao import runs
from maingate.errors import RepositoryError
from maingate.git.repository import Repository
from maingate.plan.loader import LoadedPlan
from maingate.plan.model import Plan
from maingate.queries.runs.plan_summary import NO_GATES, has_no_gate
from maingate.repository_context import RepositoryContext
from maingate.services.runs.target_notes import note_on_target
from maingate.services.runs.worktree_notes import notes_on_worktrees


def notes_on_run(repository: Repository, plan: Plan) -> list[str]:
    """Return what a person should know before a run of a plan, the gravest first."""
    ungated = NO_GATES if has_no_gate(plan) else None
    notes = (ungated, note_on_target(repository, plan))
    return [*filter(None, notes), *notes_on_worktrees(repository, plan)]


def notes_on_plan(loaded: LoadedPlan) -> list[str]:
    """Return the notes on a run of a plan, those about its repository only where that can be opened."""
    ungated = [NO_GATES] if has_no_gate(loaded.plan) else []
    if loaded.root is None:
        return ungated
    try:
        repository = Repository.open(loaded.root)
    except RepositoryError:  # the run is refused for that
        return ungated
    with repository:
        return notes_on_run(repository, loaded.plan)


def notes_on_admitted(context: RepositoryContext, run_id: str) -> list[str]:
    """Return the notes on a run that was made of a plan."""
    with context.database.read() as conn:
        plan = Plan.from_json(runs.get(conn, run_id).plan)
    return notes_on_run(context.repository, plan)
