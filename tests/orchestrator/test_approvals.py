"""Patches that people have to approve before they are applied."""

from headgate.orchestrator import messages as msg
from headgate.orchestrator.core import Core
from headgate.plan.model import TaskKind
from headgate.state.patch_ledger import PatchState
from headgate.state.run import RunState
from orchestrator.test_core import World, outcome_of, picture_of, plan_of


def begun(reviewers: int, *, settings: int = 0) -> tuple[World, Core]:
    """Begin a run of two patches, the first of which has reviewers, as far as it gets by itself."""
    plan = plan_of({"a": {"tasks": {"t1": {"patch": "x"}, "t2": {"patch": "x"}}}})
    picture = picture_of(plan)
    picture.workstreams["a"].by_name["t1"].reviewers = reviewers
    core = Core(picture, worker_id="wrk_1", capacity={TaskKind.PATCH: 2}, window=3, reviewers=settings)
    world = World(plan, {}, seed=1)
    play(world, core, core.begin())
    return world, core


def play(world: World, core: Core, decision: msg.Decision) -> None:
    """Do all that is to be done."""
    waiting = world.follow(decision)
    while waiting:
        event = world.answer(core, waiting.pop(0))
        if event is not None:
            waiting += world.follow(core.handle(event))


def test_a_patch_waits_until_as_many_have_approved_it_as_have_to() -> None:
    """One is not enough for two; those behind it in the lane wait with it."""
    world, core = begun(2)
    (patch_id,) = core.unapproved
    assert [task.patch.state for task in core.tasks if task.patch] == [
        PatchState.VALIDATED,
        PatchState.QUEUED,
    ]
    play(world, core, core.handle(msg.ApprovalsRead(counts={patch_id: 1})))
    assert list(core.unapproved) == [patch_id]
    assert outcome_of(core)[0] == "running"
    play(world, core, core.handle(msg.ApprovalsRead(counts={patch_id: 2})))
    assert not core.unapproved
    assert outcome_of(core)[0] == "succeeded"
    assert core.run.tip.tree == "base|base+t1+t2"


def test_the_settings_may_want_more_than_the_plan() -> None:
    """Then every patch waits."""
    _, core = begun(0, settings=1)
    assert len(core.unapproved) == 2


def test_nobody_is_waited_for_where_nobody_has_to_approve() -> None:
    """The run ends by itself."""
    _, core = begun(0)
    assert core.run.state is RunState.SUCCEEDED
