"""The fault of a failed effect: a tool that has not begun is begun again, one that has begun is not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maingate.commits import Tip
from maingate.orchestrator.core.effects import RunTool
from maingate.orchestrator.core.events import AttemptEnd, AttemptEnded, CoreEvent, ToolEnd, ToolEnded
from maingate.orchestrator.shell import failed_effects
from maingate.orchestrator.shell.failed_effects import TRIES, Attendant
from maingate.orchestrator.shell.items_in_hand import InHand
from maingate.orchestrator.shell.job_effects import NotBegunError
from maingate.plan.model import Plan
from orchestrator.core.test_core import picture_of

PLAN = {
    "maingate": 1,
    "tools": {"sh": {"run": "true"}},
    "workstreams": {"w": {"tasks": {"t": {"tool": "sh", "prompt": "do it"}}}},
}


class FailingJobs:
    """Fails with these errors in turn, then ends the attempt."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self.errors, self.carried_out = list(errors), 0

    async def carry_out(self, effect: RunTool) -> CoreEvent:
        """Fail, or end."""
        self.carried_out += 1
        if self.errors:
            raise self.errors.pop(0)
        return AttemptEnded(task=effect.task, attempt=effect.attempt, end=AttemptEnd.DONE)

    def missing_commits(self, _: RunTool) -> Sequence[str]:
        """Miss none."""
        return ()


def not_begun() -> NotBegunError:
    """Return the failure of a preparation."""
    error = NotBegunError("the disk hiccups")
    error.__cause__ = OSError("the disk hiccups")
    return error


def attended(folder: Path, jobs: Any, monkeypatch: pytest.MonkeyPatch) -> CoreEvent | None:
    """Have a tool's attempt carried out where all that items need works."""
    monkeypatch.setattr(failed_effects, "PAUSE", 0)
    [task] = picture_of(Plan.model_validate(PLAN)).workstreams["w"].tasks
    effect = RunTool(input=task.input, attempt=1, tip=Tip(commit="c", tree="t"), request="do it")

    async def examine() -> None:
        """Find nothing."""

    hand = InHand(folder / "in-hand")
    attendant = Attendant(jobs, examine=examine, warn=lambda _: None, in_hand=hand, losses=3)
    return asyncio.run(attendant.carry_out(effect))


def test_a_preparation_that_fails_costs_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was started, so it is prepared again."""
    jobs = FailingJobs([not_begun(), not_begun()])
    assert isinstance(attended(tmp_path, jobs, monkeypatch), AttemptEnded)
    assert jobs.carried_out == TRIES


def test_a_preparation_that_fails_again_and_again_ends_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names the fault, not the preparation."""
    jobs = FailingJobs([not_begun() for _ in range(TRIES)])
    ended = attended(tmp_path, jobs, monkeypatch)
    assert isinstance(ended, ToolEnded)
    assert (ended.end, jobs.carried_out) == (ToolEnd.FAILED, TRIES)
    assert "the disk hiccups" in ended.reason.message


def test_a_tool_that_has_begun_is_not_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs money, and may have changed things."""
    jobs = FailingJobs([OSError("its log is gone")])
    ended = attended(tmp_path, jobs, monkeypatch)
    assert isinstance(ended, ToolEnded)
    assert (ended.end, jobs.carried_out) == (ToolEnd.FAILED, 1)
