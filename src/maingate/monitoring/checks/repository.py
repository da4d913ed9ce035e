"""The check of the repository: it is there, git answers, and the branches to land on exist."""

from collections.abc import Sequence
from typing import Final

from maingate.db.dao import runs
from maingate.git.command import require_git, run_git
from maingate.monitoring.finding import CheckFinding, HealthState, Trouble, command_in
from maingate.repository_context import RepositoryContext

_GIT_SECONDS: Final = 2.0


def check_repository(context: RepositoryContext) -> CheckFinding:
    """Check that git reads the repository, and the branch of every run that has not ended."""
    repository = context.repository
    version = ".".join(map(str, require_git()))
    doctor = command_in(repository.root, "doctor")
    if not repository.git_dir.is_dir():
        return CheckFinding.failed(f"{repository.git_dir} is gone; restore it, or serve another path", doctor)
    done = run_git(
        "for-each-ref",
        "--format=%(refname) %(objecttype)",
        *(targets := _targets(context)) or ["refs/none"],
        git_dir=repository.git_dir,
        check=False,
        timeout=_GIT_SECONDS,
    )
    if done.code != 0:
        why = done.stderr.strip() or f"exit code {done.code}"
        return CheckFinding.failed(f"git does not answer on {repository.git_dir}: {why}", doctor)
    found = {line.split()[0] for line in done.stdout.decode(errors="replace").splitlines()}
    missing = [_missing(context, ref) for ref in targets if ref not in found]
    return CheckFinding(
        summary=f"git {version} answers; the branches of runs under way are there",
        troubles=missing,
        detail={"root": str(repository.root), "git": version, "targets": list(targets)},
    )


def _targets(context: RepositoryContext) -> Sequence[str]:
    """Return the branches of the runs that have not ended."""
    with context.database.read() as conn:
        waiting = [run for run in runs.unfinished(conn) if context.is_own(run)]
    return sorted({run.target_ref for run in waiting})


def _missing(context: RepositoryContext, ref: str) -> Trouble:
    short = ref.removeprefix("refs/heads/")
    reason = f"the branch {short} is gone, and runs that have not ended land on it; create it again"
    command = command_in(context.repository.root, "runs")
    return Trouble(state=HealthState.FAILED, reason=reason, command=command)
