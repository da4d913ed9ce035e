"""Equal requests that wait at the same time share an answer that is made after they came."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from maingate.api.shared_answers import Answer, SharedTurns


class Kitchen:
    """Makes answers, each when it is let; an answer is its number."""

    def __init__(self) -> None:
        self.begun = 0
        self._gates: list[asyncio.Event] = []

    async def make(self) -> Answer:
        """Make the next answer."""
        number, gate = self.begun, asyncio.Event()
        self.begun += 1
        self._gates.append(gate)
        await gate.wait()
        if number == 2:
            raise RuntimeError("spilt")
        return [{"type": str(number)}]

    def let(self, number: int) -> None:
        """Let an answer be done."""
        self._gates[number].set()


async def settled() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def played(story: Callable[[SharedTurns, Kitchen], Awaitable[None]]) -> None:
    """Play a story."""

    async def play() -> None:
        await story(SharedTurns(), Kitchen())

    asyncio.run(play())


def test_requests_that_come_meanwhile_are_answered_together_by_the_next() -> None:
    """Never by the one under way, which may have read the record before they came."""

    async def story(turns: SharedTurns, kitchen: Kitchen) -> None:
        first = asyncio.create_task(turns.answer("a", kitchen.make))
        await settled()
        later = [asyncio.create_task(turns.answer("a", kitchen.make)) for _ in range(5)]
        other = asyncio.create_task(turns.answer("b", kitchen.make))
        await settled()
        assert kitchen.begun == 2  # the first of each kind
        kitchen.let(0)
        kitchen.let(1)
        assert (await first, await other) == ([{"type": "0"}], [{"type": "1"}])
        await settled()
        assert kitchen.begun == 3
        newest = asyncio.create_task(turns.answer("a", kitchen.make))
        await settled()
        kitchen.let(2)
        for each in later:
            with pytest.raises(RuntimeError, match="spilt"):
                await each
        await settled()
        kitchen.let(3)
        assert await newest == [{"type": "3"}]
        last = asyncio.create_task(turns.answer("a", kitchen.make))
        await settled()
        kitchen.let(4)
        assert await last == [{"type": "4"}]

    played(story)


def test_a_client_that_leaves_takes_no_answer_from_the_others() -> None:
    """The answer is made to its end, also when no client waits for it any more."""

    async def story(turns: SharedTurns, kitchen: Kitchen) -> None:
        leaving = asyncio.create_task(turns.answer("a", kitchen.make))
        await settled()
        waiting = asyncio.create_task(turns.answer("a", kitchen.make))
        await settled()
        leaving.cancel()
        await settled()
        kitchen.let(0)
        await settled()
        kitchen.let(1)
        assert await waiting == [{"type": "1"}]

    played(story)
