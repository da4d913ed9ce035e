"""The progress of a run is drawn in its loop, and read in other threads."""

import asyncio
import threading
from datetime import timedelta

from maingate.clock import ManualClock
from maingate.ids import RunId
from maingate.orchestrator.progress import GateProgress, Progress
from maingate.orchestrator.shared_progress import SHARE, SharedProgress
from maingate.state.run import RunState


class Drawing:
    """Draws the progress of a run of which one more task ends each time; each drawing may take a while."""

    def __init__(self, clock: ManualClock, takes: float = 0.0) -> None:
        self.clock, self.takes = clock, takes
        self.drawn = 0
        self.threads: set[int] = set()

    def __call__(self) -> Progress:
        """Draw it."""
        self.threads.add(threading.get_ident())
        self.drawn += 1
        self.clock.advance(timedelta(seconds=self.takes))
        return Progress(
            run_id=RunId("run_1"),
            name="demo",
            state=RunState.RUNNING,
            tasks_ended=self.drawn,
            tasks_total=9,
            seconds=1.0,
            workstreams=(),
            gates=(GateProgress(name="unit", subject="a", seconds=2.0),),
        )


def test_a_reader_gets_the_last_picture_and_the_loop_draws_the_next() -> None:
    """Readers are other threads, and never draw; times go on between two pictures."""

    async def look() -> None:
        draw = Drawing(ManualClock())
        shared = SharedProgress(draw, draw.clock)
        first = await asyncio.to_thread(shared.progress)
        assert (first.tasks_ended, first.seconds) == (1, 1.0)
        await asyncio.sleep(0)  # the loop's turn
        draw.clock.advance(timedelta(seconds=3))
        second = await asyncio.to_thread(shared.progress)
        assert (second.tasks_ended, second.seconds, second.gates[0].seconds) == (2, 4.0, 5.0)
        assert draw.threads == {threading.get_ident()}

    asyncio.run(look())


def test_nothing_is_drawn_without_a_reader_and_once_for_several() -> None:
    """The cost of a picture follows the looks."""

    async def look() -> None:
        draw = Drawing(ManualClock())
        shared = SharedProgress(draw, draw.clock)
        await asyncio.sleep(0)
        assert draw.drawn == 1
        for _ in range(5):
            shared.progress()
        await asyncio.sleep(0)
        assert draw.drawn == 2

    asyncio.run(look())


def test_a_large_picture_is_drawn_more_rarely() -> None:
    """Drawing takes a small share of the loop's time."""

    async def look() -> None:
        draw = Drawing(ManualClock(), takes=0.5)
        shared = SharedProgress(draw, draw.clock)
        shared.progress()
        await asyncio.sleep(0)
        assert draw.drawn == 1
        draw.clock.advance(timedelta(seconds=SHARE * draw.takes))
        shared.progress()
        await asyncio.sleep(0)
        assert draw.drawn == 2

    asyncio.run(look())


def test_the_last_picture_stays_when_the_loop_has_ended() -> None:
    """A screen may be drawn once more after the run."""
    draw = Drawing(ManualClock())

    async def shared_of_a_run() -> SharedProgress:
        shared = SharedProgress(draw, draw.clock)
        shared.renew()
        return shared

    shared = asyncio.run(shared_of_a_run())
    assert [shared.progress().tasks_ended for _ in range(2)] == [2, 2]
