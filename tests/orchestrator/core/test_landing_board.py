"""The places of workstreams on the board."""

from datetime import timedelta

import pytest

from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.queue.board import LandingBoard
from maingate.orchestrator.core.snapshot import RunNode
from maingate.orchestrator.core.turn import Turn
from maingate.plan.model import Plan
from maingate.state.workstream import WorkstreamState
from orchestrator.core.test_core import picture_of

TOOL = {"tasks": {"t": {"tool": "x", "prompt": "p"}}}
READY = {"tasks": {"t": {"patch": "p.diff"}}}


@pytest.fixture
def run() -> RunNode:
    """Give a run that was resumed: two workstreams of tools are done, and a ready one between them is not."""
    plan = {
        "maingate": 1,
        "tools": {"x": {"run": "true"}},
        "workstreams": {"late": TOOL, "ready": READY, "early": TOOL},
    }
    run = picture_of(Plan.model_validate(plan))
    for name, minutes in {"late": 20, "early": 10}.items():
        node = run.workstreams[name]
        node.state, node.done_since = WorkstreamState.VALIDATING, run.admitted + timedelta(minutes=minutes)
    run.workstreams["ready"].state = WorkstreamState.EXECUTING
    return run


def board_of(run: RunNode) -> LandingBoard:
    """Make the board of a run."""
    return LandingBoard(run, Approvals(Turn(run, run.admitted), reviewers=0))


def test_a_workstream_of_tools_keeps_its_place_when_its_run_is_resumed(run: RunNode) -> None:
    """It has that of the time at which it was done, not the plan's; ready ones stay ahead of it."""
    board = board_of(run)
    assert board.look() == []
    assert board.blocker is run.workstreams["ready"]
    run.workstreams["ready"].state = WorkstreamState.VALIDATING
    assert [each.name for each in board.look()] == ["ready", "early", "late"]
    assert board.place_of(run.workstreams["early"]) < board.place_of(run.workstreams["late"])
    began = run.admitted + timedelta(minutes=15)
    since = int(began.timestamp() * 1_000_000)
    places = [board.place_of(run.workstreams[name])[0] for name in ("ready", "early", "late")]
    assert places[1] < since < places[2]


def test_the_next_to_be_done_comes_behind_those_that_were(run: RunNode) -> None:
    """Also where the clock has jumped back meanwhile."""
    run.workstreams["late"].state = WorkstreamState.EXECUTING
    board = board_of(run)
    board.put(run.workstreams["late"], run.admitted)
    assert board.place_of(run.workstreams["late"]) > board.place_of(run.workstreams["early"])
