"""The fault of a failed effect: what comes before and after a tool is done again, the tool itself is not."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from maingate.commits import Tip
from maingate.orchestrator.core.effects import RunTool, TakePatch
from maingate.orchestrator.core.events import (
    AttemptEnd,
    AttemptEnded,
    CoreEvent,
    NoPatchTaken,
    ToolEnd,
    ToolEnded,
)
from maingate.orchestrator.shell import failed_effects
from maingate.orchestrator.shell.effect_steps import EffectStep
from maingate.orchestrator.shell.failed_effects import TRIES, Attendant
from maingate.orchestrator.shell.items_in_hand import InHand
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from orchestrator.core.test_core import picture_of

PLAN = {
    "maingate": 1,
    "tools": {"sh": {"run": "true"}},
    "workstreams": {"w": {"tasks": {"t": {"tool": "sh", "prompt": "do it"}}}},
}


class FailingJobs:
    """Effects in three steps, of which the second is done once; each fails a number of times at first."""

    def __init__(self, **failures: int) -> None:
        self.failures, self.done = failures, list[str]()

    def steps_of(self, _: RunTool) -> Sequence[EffectStep]:
        """Return the steps."""
        return [
            EffectStep(call=partial(self._do, "prepare")),
            EffectStep(call=partial(self._do, "run"), is_once=True),
            EffectStep(call=partial(self._do, "conclude")),
        ]

    async def _do(self, name: str, given: Any) -> Any:
        self.done.append(name)
        if self.failures.get(name, 0):
            self.failures[name] -= 1
            raise OSError(f"the disk hiccups: {name}")
        if name != "conclude":
            return given
        return AttemptEnded(task=given.task, attempt=given.attempt, end=AttemptEnd.DONE)

    def missing_commits(self, _: RunTool) -> Sequence[str]:
        """Miss none."""
        return ()


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


def test_steps_around_a_tool_that_fail_cost_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is done again by itself, and the tool once: what it has made is concluded, not made again."""
    jobs = FailingJobs(prepare=TRIES - 1, conclude=TRIES - 1)
    assert isinstance(attended(tmp_path, jobs, monkeypatch), AttemptEnded)
    assert jobs.done == [*["prepare"] * TRIES, "run", *["conclude"] * TRIES]


@pytest.mark.parametrize(
    ("failing", "done"),
    [
        ("prepare", ["prepare"] * TRIES),
        ("run", ["prepare", "run"]),
        ("conclude", ["prepare", "run", *["conclude"] * TRIES]),
    ],
)
def test_a_step_that_fails_again_and_again_ends_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, done: Sequence[str]
) -> None:
    """With the fault as its reason. The tool itself is run once: it costs money, or has changed things."""
    jobs = FailingJobs(**{failing: TRIES})
    ended = attended(tmp_path, jobs, monkeypatch)
    assert isinstance(ended, ToolEnded)
    assert (ended.end, jobs.done) == (ToolEnd.FAILED, done)
    assert f"the disk hiccups: {failing}" in ended.reason.message


DEATH = 9
GONE = Reason(code=ReasonCode.PATCH_UNREADABLE, message="there is no such file")


class Reader:
    """Takes patches in; the process ends with the one that is named."""

    def __init__(self, deadly: str) -> None:
        self.deadly = deadly

    def steps_of(self, effect: TakePatch) -> Sequence[EffectStep]:
        """Return the one step."""

        async def read(_: Any) -> CoreEvent:
            [taken] = await self.take_patches([effect])
            return taken

        return [EffectStep(call=read)]

    async def take_patches(self, effects: Sequence[TakePatch]) -> Sequence[CoreEvent]:
        """Take them in."""
        if any(effect.file == self.deadly for effect in effects):
            os._exit(DEATH)
        return [NoPatchTaken(task=effect.task, reason=GONE) for effect in effects]

    def missing_commits(self, _: TakePatch) -> Sequence[str]:
        """Miss none."""
        return ()


def test_a_patch_that_ends_the_process_each_time_is_given_up_alone(tmp_path: Path) -> None:
    """The other patches that were read with it are read by the next process, which reads one at a time."""
    tasks = {name: {"patch": name} for name in "abcde"}
    plan = Plan.model_validate({"maingate": 1, "workstreams": {"w": {"tasks": tasks}}})
    effects = [
        TakePatch(input=task.input, file=task.name, base=Tip(commit="c", tree="t"))
        for task in picture_of(plan).workstreams["w"].tasks
    ]

    async def examine() -> None:
        """Find nothing."""

    def process() -> Sequence[CoreEvent]:
        hand = InHand(tmp_path / "in-hand")
        jobs: Any = Reader("b")
        attendant = Attendant(jobs, examine=examine, warn=lambda _: None, in_hand=hand, losses=3)
        return asyncio.run(attendant.take_patches(effects))

    for _ in range(3):
        child = os.fork()
        if not child:
            process()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == DEATH
    taken = process()
    reasons = [each.reason for each in taken if isinstance(each, NoPatchTaken)]
    assert [reason is GONE for reason in reasons] == [True, False, True, True, True]
    assert "the process died 3 times" in reasons[1].message
