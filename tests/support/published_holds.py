"""The holds that a core publishes, kept as the table keeps them, and held against what its picture says."""

from collections.abc import Mapping

from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.waiting_rules import first_open
from maingate.plan.choices import TaskKind
from maingate.state.holds import Hold, HoldCode
from maingate.state.patch_ledger import PatchState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

LANES = (WorkstreamState.READY, WorkstreamState.EXECUTING)


def take(core: Core, table: dict[str, Hold]) -> Mapping[str, Hold | None]:
    """Bring a table up to date as the recorder does; each change is one."""
    changes = core.take_holds()
    for key, hold in changes.items():
        before = table.pop(key, None)
        assert before is not None or hold is not None, "a hold that was never published is gone"
        if hold is not None:
            assert before is None or not before.is_same(hold), "an unchanged hold was published again"
            table[key] = hold
    return changes


def check(core: Core, table: Mapping[str, Hold]) -> None:
    """Check each published hold, and that none is missing."""
    if core.is_over:
        assert not table
        return
    assert dict(table) == {key: hold for key, hold in table.items() if key in _expected(core, table)}
    for key, about in _expected(core, table).items():
        assert about.items() <= table[key].about.items(), (key, about, table[key])


def _next(core: Core) -> dict[str, object]:
    """Return the first workstream of ready patches that is under way: those behind it wait for it."""
    under_way = (
        ws
        for ws in core.run.order
        if ws.state in LANES
        and not ws.is_applied
        and not (ws.may_defer_gates and not ws.defers_gates and ws.state is WorkstreamState.EXECUTING)
        and not any(task.kind is TaskKind.TOOL for task in ws.tasks)
        and not any(task.patch and task.patch.id in core.unapproved for task in ws.tasks)
    )
    first = next(under_way, None)
    return {"next": first.id} if first is not None else {}


def _expected(core: Core, table: Mapping[str, Hold]) -> dict[str, dict[str, object]]:
    """Return what each hold must be about, found anew."""
    expected: dict[str, dict[str, object]] = {core.run.id: _next(core)}
    for workstream in core.run.order:
        lane = workstream.patch_tasks()
        kept = [car.item for car in workstream.lane.kept] if workstream.lane is not None else []
        front = first_open([task for task in lane if task not in kept], lambda task: task.has_ended)
        if workstream.state in LANES and front is not None:
            expected[workstream.id] = {"first": front.id, "place": lane.index(front) + 1}
        for task in workstream.tasks:
            patch = task.patch
            if patch is not None and patch.state is PatchState.VALIDATED and patch.id in core.unapproved:
                expected[patch.id] = {}
            if patch is not None and task in kept:
                expected[patch.id] = {}
            if task.id in table:
                assert task.state is TaskState.QUEUED
                assert table[task.id].code in {HoldCode.TOOL, HoldCode.PATHS}
                expected[task.id] = {}
    return expected
