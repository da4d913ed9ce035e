"""Landing plans for real in tests: a plan and its patches on disk, a whole run, the public report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maingate.bootstrap import Maingate
from maingate.services.runs.plan_loading import load_plan
from support.factories import GitRepo


@dataclass(frozen=True)
class Landed:
    """A finished run, by its public report."""

    report: Mapping[str, Any]
    repo: GitRepo

    @property
    def state(self) -> str:
        """The run's state."""
        return str(self.report["state"])

    def workstream(self, name: str) -> Mapping[str, Any]:
        """Return a workstream of the report."""
        return next(ws for ws in self.report["workstreams"] if ws["name"] == name)

    def task(self, name: str) -> Mapping[str, Any]:
        """Return a task of the report, by ``workstream/task``."""
        return next(task for task in self.report["tasks"] if task["name"] == name)

    def code(self, name: str) -> str | None:
        """Return the reason code of a task, or of a workstream, or None."""
        found = self.task(name) if "/" in name else self.workstream(name)
        return None if found["reason"] is None else str(found["reason"]["code"])

    def patch_state(self, name: str) -> str | None:
        """Return the state of a task's patch."""
        patch = self.task(name)["patch"]
        return None if patch is None else str(patch["state"])


def write_plan(folder: Path, plan: Mapping[str, Any], patches: Mapping[str, bytes]) -> Path:
    """Write a plan (JSON is YAML) with its patches beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, diff in patches.items():
        (folder / name).write_bytes(diff)
    path = folder / "plan.yaml"
    path.write_text(json.dumps({"maingate": 1, **plan}, indent=1))
    return path


def one_each(patches: Mapping[str, bytes], **task: Any) -> dict[str, Any]:
    """Make workstreams of one task each, named like their patches."""
    return {name: {"tasks": {"t": {"patch": name, **task}}} for name in patches}


def land(
    repo: GitRepo,
    patches: Mapping[str, bytes],
    *,
    workstreams: Mapping[str, Any] | None = None,
    workers: int = 2,
    folder: Path | None = None,
    traceparent: str | None = None,
    **plan: Any,
) -> Landed:
    """Run a plan on a repository to its end and return what was reported."""
    described = {
        "repo": str(repo.path),
        "target": "main",
        "workstreams": workstreams or one_each(patches),
        **plan,
    }
    path = write_plan(folder or repo.path.parent / "plan", described, patches)
    loaded = load_plan(path)
    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded, traceparent=traceparent)
        maingate.execution.execute(run_id, workers=workers)
        return Landed(maingate.report(run_id), repo)


__all__ = ["Landed", "land", "one_each", "write_plan"]
