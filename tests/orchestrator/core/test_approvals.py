"""Patches that people have to approve before they are applied."""

import asyncio
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import patches
from maingate.ids import PatchId
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.events import ApprovalsRead
from maingate.orchestrator.progress import SilentListener
from maingate.orchestrator.run_orchestrator import INBOX_INTERVAL
from maingate.plan.choices import TaskKind
from maingate.plan.loader import load_plan
from maingate.state.holds import HoldCode
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from orchestrator.core.test_core import World, outcome_of, picture_of, plan_of
from support.factories import GitRepo
from support.landing import write_plan


def begun(reviewers: int, *, settings: int = 0) -> tuple[World, Core]:
    """Begin a run of two patches, the first of which has reviewers, as far as it gets by itself."""
    plan = plan_of({"a": {"tasks": {"t1": {"patch": "x"}, "t2": {"patch": "x"}}}})
    picture = picture_of(plan)
    picture.workstreams["a"].by_name["t1"].reviewers = reviewers
    core = Core(
        picture, RunLimits(worker_id="wrk_1", capacity={TaskKind.PATCH: 2}, window=3, reviewers=settings)
    )
    world = World(plan, {}, seed=1)
    play(world, core, core.begin())
    return world, core


def play(world: World, core: Core, decision: Decision) -> None:
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
    play(world, core, core.handle(ApprovalsRead(counts={patch_id: 1})))
    assert list(core.unapproved) == [patch_id]
    assert outcome_of(core)[0] == "running"
    play(world, core, core.handle(ApprovalsRead(counts={patch_id: 2})))
    assert not core.unapproved
    assert outcome_of(core)[0] == "succeeded"
    assert core.run.tip.tree == "base|base+a/t1+a/t2"


def test_it_is_known_how_many_people_a_patch_waits_for() -> None:
    """The stricter of plan and settings counts; what waits for nobody wants none."""
    _, core = begun(2, settings=3)
    (first, _) = core.unapproved
    assert core.approvals_wanted(first) == ("a/t1", 3)
    assert core.approvals_wanted(PatchId("patch_none")) == ("", 0)


@pytest.mark.parametrize(("settings", "given", "missing"), [(0, 0, 2), (0, 1, 1), (3, 1, 2)])
def test_the_approvals_that_a_patch_lacks_are_published(settings: int, given: int, missing: int) -> None:
    """The plan's policy or the settings', whichever is stricter, less those who have approved it."""
    _, core = begun(2, settings=settings)
    patch_id = core.unapproved[0]
    core.handle(ApprovalsRead(counts={patch_id: given}))
    hold = core.take_holds()[patch_id]
    assert hold is not None
    assert (hold.code, hold.about) == (HoldCode.APPROVALS, {"missing": missing})


class Reviewers(SilentListener):
    """Two people who read that a patch waits; the second approves it some looks later than the first."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[str] = []
        self._folder = folder

    def notice(self, text: str) -> None:
        """Approve what waits."""
        self.heard.append(text)
        if len(self.heard) == 1:
            self._approve("ada")
            asyncio.get_running_loop().call_later(2.5 * INBOX_INTERVAL.total_seconds(), self._approve, "bob")

    def _approve(self, name: str) -> None:
        with Maingate.open(self._folder) as maingate:
            with maingate.database.read() as conn:
                (patch,) = patches.listed(conn)
            maingate.operator.approve_patch(patch.id, message="", operator=name)


def test_people_are_told_that_a_run_waits_for_them(repo: GitRepo, tmp_path: Path) -> None:
    """Once, with the patch, how many are missing, and what to type."""
    repo.commit({"a.txt": "1\n"})
    streams = {"w": {"tasks": {"t": {"patch": "p"}}}}
    plan = {"repo": str(repo.path), "policy": {"reviewers": 2}, "workstreams": streams}
    path = write_plan(tmp_path / "plan", plan, {"p": repo.diff_of({"a.txt": "2\n"})})
    reviewers = Reviewers(repo.path)
    loaded = load_plan(path)
    with Maingate.for_plan(loaded) as maingate:
        state = maingate.execution.execute(maingate.admission.admit(loaded), workers=1, listener=reviewers)
    assert state is RunState.SUCCEEDED
    assert reviewers.heard[0] == "w/t waits for 2 more approvals: `maingate patch approve w/t`"
    assert [text for text in reviewers.heard if text.startswith("w/t waits")] == reviewers.heard[:1]


def test_the_settings_may_want_more_than_the_plan() -> None:
    """Then every patch waits."""
    _, core = begun(0, settings=1)
    assert len(core.unapproved) == 2


def test_nobody_is_waited_for_where_nobody_has_to_approve() -> None:
    """The run ends by itself."""
    _, core = begun(0)
    assert core.run.state is RunState.SUCCEEDED
