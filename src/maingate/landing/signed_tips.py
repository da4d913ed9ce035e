"""Signed commits: where git's configuration merges signed commits only, an unsigned branch is refused.

`git merge`, with `--squash` too, checks the commit that it is given, and no other. So does a landing as a
merge or a squash: it checks the newest commit that the patches of a workstream are of. `git rebase` and
`git am` check none. So a landing as a rebase does not, nor do patches that are of no commit: Maingate makes
their commits, and signs them as the configuration says (`git.commit_rules`).
"""

from collections.abc import Mapping
from typing import Final

from maingate.git.repository import Repository
from maingate.plan.choices import LandingStyle
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode

_SHOWN: Final = 12


def tips_to_check(plan: Plan) -> Mapping[tuple[str, str], str]:
    """Return the commits that a plan would merge, each by its workstream and task."""
    if plan.landing is LandingStyle.REBASE:
        return {}
    return {(name, tip[0]): tip[1] for name in plan.workstreams if (tip := _tip_of(plan, name)) is not None}


def unsigned(repository: Repository, commit: str, *, into: str) -> Reason | None:
    """Return the refusal of a commit that git would not merge for its signature; None where it would.

    Args:
        repository: The repository that has the commit.
        commit: The commit.
        into: Full name of the branch that it would be merged into.

    Raises:
        GitError: The check did not come to an end.
    """
    check = repository.merge_rules.signature_check(into)
    fault = None if check is None else check.fault_of(repository, commit)
    if check is None or fault is None:
        return None
    return Reason(
        code=ReasonCode.SIGNATURE_INVALID,
        message=f"commit {commit[:_SHOWN]} {fault}, and git merges signed commits only here "
        f"({check.asked_by}): sign it with `git commit --amend -S` and land the branch again, or set "
        f"{check.asked_by} to land it without",
        detail={"commit": commit, "setting": check.asked_by},
    )


def _tip_of(plan: Plan, workstream: str) -> tuple[str, str] | None:
    """Return the newest commit that patches of a workstream are of, after the name of its task."""
    stream = plan.workstreams[workstream]
    tips = [(name, commit) for name in stream.task_order() if (commit := stream.tasks[name].commit)]
    return tips[-1] if tips else None
