"""Preview of a run: where it would land and in which order, with nothing created."""

import os
from pathlib import Path
from typing import Any

from maingate.git.repository import Repository
from maingate.plan.loader import LoadedPlan
from maingate.services.runs.admission import examine


def repository_of(loaded: LoadedPlan) -> Path:
    """Return the folders in which to look for the plan's repository."""
    return loaded.root or loaded.repository_candidates(Path.cwd())[-1]


def preview(loaded: LoadedPlan) -> dict[str, Any]:
    """Return a preview of a plan's run, after all checks that could refuse it.

    Raises:
        PlanError: The plan cannot be run.
        RepositoryError: There is no repository, or its target is missing or checked out with changes.
    """
    with Repository.open(repository_of(loaded)) as repository:
        admitted = examine(repository, loaded, is_trial=True)
    loaded, target = admitted.loaded, admitted.target
    plan = loaded.plan
    return {
        "name": plan.name,
        "repository": os.fspath(repository.root),
        "target": {"ref": target.ref, "commit": target.commit},
        "landing": str(plan.landing),
        "workstreams": [_preview_workstream(loaded, name) for name in plan.workstream_order()],
        "gates": {
            name: {"type": str(gate.type), "run": gate.run if isinstance(gate.run, str) else list(gate.run)}
            for name, gate in plan.gates.items()
        },
    }


def _preview_workstream(loaded: LoadedPlan, name: str) -> dict[str, Any]:
    plan = loaded.plan
    stream = plan.workstreams[name]
    return {
        "name": name,
        "title": stream.title,
        "needs": list(stream.needs),
        "gates": plan.landing_gates(name),
        "tasks": [
            {
                "name": f"{name}/{task}",
                "from": os.fspath(stream.tasks[task].patch or stream.tasks[task].tool or ""),
                "gates": plan.task_gates(name, task),
            }
            for task in stream.task_order()
        ],
    }
