"""The commit that the lane of a workstream of tools is laid on when a process begins with its run."""

import pytest

from maingate.commits import LandingIntent, Tip
from maingate.git.repository import Repository
from maingate.ids import RunId, WorkstreamId
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.lane_bases import base_of, head_of
from maingate.plan.model import Plan
from orchestrator.core.test_core import picture_of
from support.factories import GitRepo

TWO_TOOLS = {"t": {"tool": "agent", "prompt": "begin"}, "u": {"tool": "agent", "prompt": "go on"}}


@pytest.fixture
def workstream() -> WorkstreamNode:
    """Return a workstream of two tools, the second of which goes on from the patch of the first."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "plan",
            "tools": {"agent": {"run": ["agent"]}},
            "workstreams": {"w": {"tasks": TWO_TOOLS}},
        }
    )
    [found] = picture_of(plan).order
    return found


class Story:
    """A branch that moves on, and the lane of a workstream that was laid on it."""

    def __init__(self, repo: GitRepo) -> None:
        self.repo = repo
        self.recorded = repo.commit({"a": "a\n"})
        self.newer = repo.commit({"b": "b\n"})
        repo.git("switch", "-qc", "lane")
        self.first, self.second = repo.commit({"t": "t\n"}), repo.commit({"u": "u\n"})
        repo.git("switch", "-q", "main")

    def base(self, workstream: WorkstreamNode, *made_on: str) -> str:
        """Return the base, as a process finds it now."""
        repository = Repository.open(self.repo.path)
        head = head_of(repository, "refs/heads/main")
        return base_of(repository, workstream, recorded=self.recorded, made_on=made_on, head=head)

    def land(self, *style: str) -> LandingIntent:
        """Land the lane, and return what was intended."""
        old = self.repo.head("main")
        self.repo.git("merge", "-q", *style, "lane")
        return LandingIntent(
            id="intent_1",
            run=RunId("run_1"),
            workstream=WorkstreamId("ws_1"),
            old=old,
            new=self.repo.head("main"),
            commits={},
        )


@pytest.fixture
def story(repo: GitRepo) -> Story:
    """Return a branch of two commits, and a lane of two on the second."""
    return Story(repo)


def test_a_tool_that_went_on_from_another_patch_tells_where_the_lane_was_laid(
    story: Story, workstream: WorkstreamNode
) -> None:
    """Its commit is no commit of the branch; the one that the lane leaves the branch at is."""
    assert story.base(workstream) == story.recorded
    assert story.base(workstream, story.newer) == story.newer
    assert story.base(workstream, story.recorded, story.first) == story.newer
    assert story.base(workstream, "f" * 40) == story.recorded


@pytest.mark.parametrize("style", ["--no-ff", "--ff-only"])
@pytest.mark.parametrize("moves_on", [False, True])
def test_what_the_workstream_has_landed_itself_is_no_base_of_it(
    story: Story, workstream: WorkstreamNode, style: str, moves_on: bool
) -> None:
    """Another process may have landed it while its own was gone."""
    if moves_on and style == "--no-ff":
        story.repo.commit({"c": "c\n"})
    workstream.intents = [story.land(style, "--no-edit")]
    if moves_on:
        story.repo.commit({"d": "d\n"})
    assert story.base(workstream, story.newer, story.first) == story.newer


def test_without_a_branch_the_record_tells(story: Story, workstream: WorkstreamNode) -> None:
    """A process that begins where the target is gone says so later, and breaks nothing here."""
    repository = Repository.open(story.repo.path)
    base = base_of(repository, workstream, recorded=story.recorded, made_on=[story.newer], head=None)
    assert base == story.recorded
    gone = Tip(commit="f" * 40, tree="f" * 40)
    base = base_of(repository, workstream, recorded=story.recorded, made_on=[story.newer], head=gone)
    assert base == story.recorded
