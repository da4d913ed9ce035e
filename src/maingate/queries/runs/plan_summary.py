"""The summary of a plan: the run that it defines, in the public JSON form, and remarks about it."""

from collections.abc import Sequence
from typing import Any, Final

from maingate.plan.loader import LoadedPlan
from maingate.plan.model import Plan, WorkstreamPlan
from maingate.plan.paths.overlapping_scopes import overlapping
from maingate.wording import listed

NO_GATES: Final = (
    "NO GATES: nothing of this plan is tested, all that applies lands. Add `gates:` to the plan or "
    "[gates.NAME] to maingate.toml, or say --no-gate"
)
_NAMES: Final = 5
"""Maximum gates on a line."""


def plan_summary(loaded: LoadedPlan, notes: Sequence[str]) -> dict[str, Any]:
    """Return the run that a plan defines, in the public JSON form.

    Args:
        loaded: The plan.
        notes: The notes on a run of it.
    """
    plan = loaded.plan
    return {
        "name": plan.name,
        "target": plan.target,
        "landing": str(plan.landing),
        "gates": list(plan.gates),
        "workstreams": [
            {
                "name": name,
                "needs": list(plan.workstreams[name].needs),
                "gates": plan.landing_gates(name),
                "tasks": [
                    {
                        "name": task,
                        "kind": str(workstream.tasks[task].kind),
                        "gates": plan.task_gates(name, task),
                    }
                    for task in workstream.task_order()
                ],
            }
            for name, workstream in in_order(loaded)
        ],
        "serial": [["/".join(task) for task in pair] for pair in overlapping(plan)],
        "notes": [*notes, *notes_about(plan)],
    }


def has_no_gate(plan: Plan) -> bool:
    """Return whether a plan has patches and no gate at all, so that all that applies lands untested."""
    gives = any(
        task.kind.gives_a_patch for stream in plan.workstreams.values() for task in stream.tasks.values()
    )
    return gives and not plan.gates


def notes_about(plan: Plan) -> list[str]:
    """Return warnings about settings that are valid but probably unintended."""
    if plan.keep.paths and not plan.prepare and not plan.keep.shared:
        nothing = "`keep` has no effect without `prepare`: there is nothing for jobs to find there"
        notes = [f"{nothing} (`keep: {{paths: [...], shared: true}}`: each job finds what the last one left)"]
    elif plan.prepare and not plan.keep.paths:
        notes = ["`prepare` runs before every job; with its results listed in `keep` it runs once"]
    else:
        notes = []
    if idle := _idle_gates(plan):
        why = "they are `on` nothing, and no workstream or task lists them"
        notes.append(f"{listed(idle, _NAMES)} will never run: {why}")
    return notes


def _idle_gates(plan: Plan) -> list[str]:
    """Return the gates that will never run."""
    used = set()
    for name, workstream in plan.workstreams.items():
        used.update(plan.landing_gates(name))
        for task in workstream.tasks:
            used.update(plan.task_gates(name, task))
    return [name for name in plan.gates if name not in used]


def in_order(loaded: LoadedPlan) -> list[tuple[str, WorkstreamPlan]]:
    """Return the workstreams of a plan by name, in the order in which they land."""
    return [(name, loaded.plan.workstreams[name]) for name in loaded.plan.workstream_order()]
