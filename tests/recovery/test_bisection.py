"""The first red state is found, whatever is known before, with few questions."""

import asyncio
from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from maingate.recovery.bisection import first_bad


@given(st.data())
def test_the_first_red_state_is_found_with_few_questions(data: st.DataObject) -> None:
    """A gate that passes until some place and fails from there is asked about no place twice, and rarely."""
    count = data.draw(st.integers(1, 200))
    broken_at = data.draw(st.integers(0, count))
    places = data.draw(st.sets(st.integers(0, count - 1), max_size=10))
    known = {place: place < broken_at for place in places}
    asked: list[int] = []

    async def ask(place: int) -> bool:
        asked.append(place)
        return place < broken_at

    found = asyncio.run(first_bad(count, known, ask))
    assert found == (None if broken_at == count else broken_at)
    assert len(asked) == len(set(asked))
    assert len(asked) <= 2 + ceil(log2(count) if count > 1 else 1)
    assert not set(asked) & known.keys()


def test_what_is_known_on_both_sides_needs_no_question() -> None:
    """Stored verdicts come first."""

    async def ask(place: int) -> bool:
        raise AssertionError(f"asked about {place}")

    assert asyncio.run(first_bad(4, {0: True, 1: True, 2: False, 3: False}, ask)) == 2
    assert asyncio.run(first_bad(4, {3: True}, ask)) is None
