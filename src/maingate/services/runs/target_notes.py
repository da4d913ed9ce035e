"""Notes about the branch that a plan lands on without naming it."""

from maingate.git.repository import Repository
from maingate.git.targets import read_head, short_name
from maingate.plan.model import Plan


def note_on_target(repository: Repository, plan: Plan) -> str | None:
    """Return a note where a plan lands on the branch of a linked work tree without naming it.

    An agent's work tree has the agent's branch checked out; most plans are meant for another one.
    """
    if plan.target is not None or repository.opened_at == repository.git_dir:
        return None
    here, main = read_head(repository.opened_at), read_head(repository.git_dir)
    if here is None or here == main:
        return None
    other = f"; the main work tree is at {short_name(main)}" if main else ""
    return (
        f"the plan names no target, so it lands on {short_name(here)}, the branch of this linked work tree"
        f"{other} (`target: NAME` in the plan decides)"
    )
