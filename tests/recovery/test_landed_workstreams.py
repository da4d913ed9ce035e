"""The landed part of a run: which patches can be taken back, and which gates the rest must pass."""

from collections.abc import Sequence

import pytest

from maingate.db.dao.patches import PatchRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.errors import UsageError
from maingate.plan.model import Plan
from maingate.recovery.landed_workstreams import LandedRun
from maingate.state.patch_ledger import PatchState
from support.database_factories import NOW, make_patch, make_run, make_task, make_workstream

PLAN = Plan.model_validate(
    {
        "maingate": 1,
        "gates": {"unit": {"run": "true"}, "fixed": {"run": "true", "red_on_base": True}},
        "workstreams": {
            "a": {"gates": ["unit"], "tasks": {"x": {"patch": "x.patch"}, "y": {"patch": "y.patch"}}},
            "b": {"gates": ["unit", "fixed"], "tasks": {"z": {"patch": "z.patch"}}},
        },
    }
)


def tasks_of(stream: WorkstreamRow) -> list[TaskRow]:
    """Make the tasks of a workstream, in another order than the plan's."""
    return [make_task(stream, name=name) for name in reversed(list(PLAN.workstreams[stream.name].tasks))]


def landed(task: TaskRow) -> PatchRow:
    """Make the patch of a task, which has landed."""
    return make_patch(task, id=f"patch_{task.name}", state=PatchState.COMMITTED, committed_at=NOW)


@pytest.fixture(name="run")
def _run() -> LandedRun:
    """Make a run of which everything has landed."""
    row = make_run(landing="merge")
    streams = [
        make_workstream(row, name=name, landed_commit=f"landing of {name}") for name in PLAN.workstreams
    ]
    tasks = [task for stream in streams for task in tasks_of(stream)]
    return LandedRun(
        row=row,
        plan=PLAN,
        workstreams=streams,
        ledger=[landed(task) for task in tasks],
        names={task.id: task.name for task in tasks},
    )


def test_a_workstream_has_its_patches_in_the_plans_order(run: LandedRun) -> None:
    """They were applied in that order, and are taken back in the other."""
    [stream] = run.holding(["patch_y"])
    assert [stream.label_of(patch) for patch in stream.patches] == ["a/x", "a/y"]


@pytest.mark.parametrize(("wanted", "said"), [(["patch_x"], "patch_x is rolled_back"), (["none"], "nothing")])
def test_only_patches_on_the_target_can_be_taken_back(
    run: LandedRun, wanted: Sequence[str], said: str
) -> None:
    """One that is gone already is named with its state."""
    gone = [
        make_patch(make_task(run.workstreams[0]), id="patch_x", state=PatchState.ROLLED_BACK)
        if row.id == "patch_x"
        else row
        for row in run.ledger
    ]
    changed = LandedRun(row=run.row, plan=run.plan, workstreams=run.workstreams, ledger=gone, names=run.names)
    with pytest.raises(UsageError, match=said):
        changed.holding(wanted)


@pytest.mark.parametrize(
    ("removed", "gates"),
    [
        (["patch_x"], ["unit", "fixed"]),
        (["patch_x", "patch_y"], ["unit", "fixed"]),
        (["patch_z"], ["unit"]),
        (["patch_x", "patch_y", "patch_z"], ["unit"]),
    ],
)
def test_a_gate_that_was_red_before_is_required_while_its_workstream_stays(
    run: LandedRun, removed: Sequence[str], gates: Sequence[str]
) -> None:
    """Without the workstream that made it green it is red again, and that is no fault of the rollback."""
    assert run.required_gates(removed) == gates


def test_gates_of_a_workstream_that_has_not_landed_are_not_required(run: LandedRun) -> None:
    """Its patches are not on the target."""
    open_one = make_workstream(run.row, name="b")
    changed = LandedRun(
        row=run.row,
        plan=run.plan,
        workstreams=[run.workstreams[0], open_one],
        ledger=run.ledger,
        names=run.names,
    )
    assert changed.required_gates(["patch_x"]) == ["unit"]
