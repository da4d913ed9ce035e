"""Imported plans as tests look at them, and what they do when git applies them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from maingate.errors import PlanError
from maingate.importers.series.series import ImportedPlan
from maingate.plan.loader import load_plan
from maingate.plan.model import Plan, TaskPlan
from support.factories import GitRepo


def tasks_of(made: ImportedPlan) -> list[tuple[str, TaskPlan]]:
    """Return the tasks of an imported plan, which must be in order, by name."""
    plan = load_plan(made.path).plan
    return [
        (name, workstream.tasks[name])
        for workstream in (plan.workstreams[key] for key in plan.workstream_order())
        for name in workstream.task_order()
    ]


def diffs_of(made: ImportedPlan) -> list[bytes]:
    """Return the patches of an imported plan, in order."""
    loaded = load_plan(made.path)
    return [
        loaded.patch_path(key, name).read_bytes()
        for key in loaded.plan.workstream_order()
        for name in loaded.plan.workstreams[key].task_order()
    ]


def tree_after(repo: GitRepo, base: str | None, diffs: list[bytes]) -> str:
    """Apply diffs with git, one after another, to a private index and return the tree id."""
    env = {**os.environ, "GIT_INDEX_FILE": str(repo.path / ".git" / "import-test-index")}

    def git(*args: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *args], cwd=repo.path, env=env, input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    git("read-tree", base or "--empty")
    for diff in diffs:
        git("apply", "--cached", "--whitespace=nowarn", "-", stdin=diff)
    return git("write-tree")


def sound_plan(path: Path) -> Plan:
    """Return a plan that was written, which must be in order."""
    return load_plan(path).plan


def order_of(plan: Plan) -> dict[str, list[str]]:
    """Return what each task waits for: tasks of its workstream, and then the workstreams that come first."""
    return {
        f"{name}/{task}": [*workstream.tasks[task].needs, *workstream.needs]
        for name, workstream in plan.workstreams.items()
        for task in workstream.tasks
    }


def problems_of(run: Callable[[], object]) -> list[str]:
    """Return what is wrong with an input that is refused, one line each, files without their folders."""
    with pytest.raises(PlanError) as refused:
        run()
    return [
        str(problem).replace(problem.file, Path(problem.file).name, 1) for problem in refused.value.problems
    ]
