"""Effects under way: their events come into the queue of the core, whatever becomes of the effect."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from maingate.commits import Tip
from maingate.errors import GitError
from maingate.ids import TaskId
from maingate.orchestrator.core.effects import ApplyPatches, RunNoop, StopJudging, TakePatch, WaitForRetry
from maingate.orchestrator.core.events import AttemptEnd, AttemptEnded, CoreEvent, RetryDue
from maingate.orchestrator.effect_tasks import LOT, EffectTasks
from maingate.plan.model import Plan
from maingate.verdicts.repeated_executions import DrainedError
from orchestrator.core.test_core import picture_of

TASK = TaskId("task_1")
PLAN = {"maingate": 1, "workstreams": {"w": {"tasks": {"t": {"patch": "1.patch"}}}}}
DONE = AttemptEnded(task=TASK, attempt=1, end=AttemptEnd.DONE)


class PlayedAttendant:
    """Carries nothing out: it answers as it is told to."""

    def __init__(self, answer: Callable[[], Awaitable[CoreEvent | None]]) -> None:
        self.answer, self.taken = answer, 0
        self.lots: list[int] = []

    async def carry_out(self, _: object) -> CoreEvent | None:
        """Give the answer."""
        return await self.answer()

    async def take_patches(self, effects: list[TakePatch]) -> list[CoreEvent]:
        """Take nothing."""
        self.taken += len(effects)
        return []

    async def apply_patches(self, effects: list[ApplyPatches]) -> list[CoreEvent]:
        """Answer for each of them."""
        self.lots.append(len(effects))
        return [DONE for _ in effects]


class Play:
    """Effect tasks with a played attendant, and what came of them."""

    def __init__(self, answer: Callable[[], Awaitable[CoreEvent | None]], *, is_wanted: bool = True) -> None:
        self.events: asyncio.Queue[CoreEvent | None] = asyncio.Queue()
        self.failed: list[BaseException] = []
        self.attendant = PlayedAttendant(answer)
        attendant: Any = self.attendant
        self.tasks = EffectTasks(
            attendant, self.events, is_wanted=lambda _: is_wanted, failed=self.failed.append
        )

    def heard(self) -> list[CoreEvent | None]:
        """Return what is in the queue."""
        return [self.events.get_nowait() for _ in range(self.events.qsize())]


async def nothing() -> None:
    """Answer that there is no event."""


async def done() -> CoreEvent:
    """Answer with an event."""
    return DONE


async def failing() -> None:
    """Fail for a reason that is not the item's."""
    raise GitError("the disk is full")


async def drained() -> None:
    """Answer as gates do that are not run any more."""
    raise DrainedError


async def endless() -> None:
    """Never answer."""
    await asyncio.Event().wait()


def take() -> TakePatch:
    """Make the effect of taking a ready patch in."""
    [task] = picture_of(Plan.model_validate(PLAN)).workstreams["w"].tasks
    return TakePatch(input=task.input, file="1.patch", base=Tip(commit="c", tree="t"))


def test_a_task_that_does_nothing_is_done_at_once() -> None:
    """It is neither carried out nor waited for."""

    async def play() -> None:
        it = Play(failing)
        it.tasks.speculate([RunNoop(task=TASK, attempt=1)])
        assert it.heard() == [DONE]
        assert it.tasks.is_idle

    asyncio.run(play())


def test_effects_start_when_their_decision_is_durable() -> None:
    """A kill before leaves no effect of a decision that is not on record."""

    async def play() -> None:
        it = Play(done)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        it.tasks.start_when(durable, [StopJudging(commit="c")])
        await asyncio.sleep(0)
        assert it.events.empty()
        durable.set_result(None)
        assert await it.events.get() == DONE
        assert await it.events.get() is None, "the loop is told that nothing is under way any more"

    asyncio.run(play())


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_patch_that_is_not_wanted_any_more_is_not_taken_in(*, is_wanted: bool) -> None:
    """Its task ended while the decision was being written."""

    async def play() -> None:
        it = Play(nothing, is_wanted=is_wanted)
        it.tasks.start_when(None, [take()])
        assert await it.events.get() is None
        assert it.attendant.taken == int(is_wanted)

    asyncio.run(play())


def test_a_failure_that_is_nobodys_is_told_to_the_loop() -> None:
    """The loop ends the run on it."""

    async def play() -> None:
        it = Play(failing)
        it.tasks.speculate([StopJudging(commit="c")])
        assert await it.events.get() is None
        assert [str(error) for error in it.failed] == ["the disk is full"]

    asyncio.run(play())


def test_gates_that_are_not_run_any_more_are_no_failure() -> None:
    """The run is stopping; the next process runs them."""

    async def play() -> None:
        it = Play(drained)
        it.tasks.speculate([StopJudging(commit="c")])
        assert await it.events.get() is None
        assert it.failed == []

    asyncio.run(play())


def test_a_timer_rings_as_an_event() -> None:
    """It keeps no run from ending that has nothing else to do."""

    async def play() -> None:
        it = Play(nothing)
        it.tasks.start_when(None, [WaitForRetry(task=TASK, attempt=1, seconds=0.0)])
        heard = [await it.events.get(), await it.events.get()]
        assert RetryDue(task=TASK, attempt=1) in heard
        assert it.tasks.is_idle

    asyncio.run(play())


def test_stopping_ends_effects_and_timers() -> None:
    """Nothing of the run goes on when its loop has ended, and that is no failure."""

    async def play() -> None:
        it = Play(endless)
        it.tasks.speculate([StopJudging(commit="c")])
        it.tasks.start_when(None, [WaitForRetry(task=TASK, attempt=1, seconds=3600)])
        await asyncio.sleep(0)
        await it.tasks.stop()
        assert it.tasks.is_idle
        assert (it.heard()[-1], it.failed) == (None, [])

    asyncio.run(play())


def test_patches_of_many_workstreams_are_applied_in_few_goes() -> None:
    """The core decides once about all that a go has applied, so a decision is not made for each."""

    async def scenario() -> None:
        it = Play(nothing)
        onto = Tip(commit="c", tree="t")
        it.tasks.speculate([ApplyPatches(patches=(), onto=onto) for _ in range(2 * LOT + 1)])
        heard = [await it.events.get() for _ in range(2 * LOT + 1)]
        assert sum(it.attendant.lots) == 2 * LOT + 1
        assert len(it.attendant.lots) == 3
        assert heard == [DONE] * (2 * LOT + 1)

    asyncio.run(scenario())
