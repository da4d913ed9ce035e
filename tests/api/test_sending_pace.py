"""Followers of events get a share of a processor together, and turns in order."""

import asyncio

import pytest

from maingate.api.sending_pace import LEAST_SHARE, MOST_SHARE, SendingPace


class Hours:
    """A clock that only waiting advances."""

    def __init__(self) -> None:
        self.now = 100.0

    async def sleep(self, seconds: float) -> None:
        """Advance it."""
        self.now += seconds
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("idle", "share"), [(0.0, LEAST_SHARE), (0.4, 0.1), (2.0, MOST_SHARE), (64.0, MOST_SHARE)]
)
def test_followers_get_a_quarter_of_what_is_idle_but_never_nothing(idle: float, share: float) -> None:
    """Turns that cost a second in all take that many seconds, less the last of them."""
    hours, turns = Hours(), list[int]()
    pace = SendingPace(idle=lambda: idle, now=lambda: hours.now, sleep=hours.sleep)

    async def follow(number: int) -> None:
        async with pace.turn():
            turns.append(number)
            pace.spent(0.1)

    async def play() -> None:
        await asyncio.gather(*map(follow, range(11)))

    asyncio.run(play())
    assert turns == list(range(11))
    assert hours.now - 100 == pytest.approx(1 / share)


@pytest.mark.parametrize(("urgency", "share"), [(1, LEAST_SHARE), (3, 3 * LEAST_SHARE), (99, MOST_SHARE)])
def test_urgent_turns_have_a_larger_share_and_never_more_than_the_most(urgency: int, share: float) -> None:
    """The turn behind one that cost a second comes so much later."""
    hours = Hours()
    pace = SendingPace(idle=lambda: 0.0, now=lambda: hours.now, sleep=hours.sleep)

    async def play() -> None:
        async with pace.turn():
            pace.spent(1.0, urgency=urgency)
        async with pace.turn():
            pass

    asyncio.run(play())
    assert hours.now - 100 == pytest.approx(1 / share)


def test_turns_that_cost_little_wait_for_no_timer() -> None:
    """A few events for a few followers are sent at once, whatever else the processors do."""
    hours = Hours()
    pace = SendingPace(idle=lambda: 0.0, now=lambda: hours.now, sleep=hours.sleep)

    async def play() -> None:
        for _ in range(3):
            async with pace.turn():
                pace.sent(500)

    asyncio.run(play())
    assert hours.now == 100


def test_a_turn_that_is_given_up_holds_up_no_other() -> None:
    """The follower has left while it waited."""
    pace = SendingPace(idle=lambda: 0.0)

    async def wait() -> None:
        async with pace.turn():
            raise AssertionError

    async def play() -> None:
        async with pace.turn():
            pace.sent(0)
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
        async with asyncio.timeout(30), pace.turn():
            pass

    asyncio.run(play())
