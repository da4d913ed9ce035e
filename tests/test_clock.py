"""The clock of timeouts: it goes while this process does, and stands still while it is stopped."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.clock import LOOK, RunningTime

PAUSES = st.lists(st.floats(min_value=0.0, max_value=100_000.0), max_size=30)


@given(PAUSES)
def test_of_a_time_between_readings_that_is_too_long_only_a_look_counts(pauses: list[float]) -> None:
    """A busy machine may look late; a longer pause was a stop."""
    moments = list(accumulate(pauses, initial=7.0))
    readings = iter(moments)
    clock = RunningTime(lambda: next(readings))
    read = [0.0, *(clock.now() for _ in pauses)]
    passed = [later - before for before, later in pairwise(read)]
    between = [later - before for before, later in pairwise(moments)]
    assert passed == pytest.approx([each if each <= 2 * LOOK else LOOK for each in between], abs=1e-6)


def test_looks_may_be_as_far_apart_as_is_said() -> None:
    """Work that looks rarely says so."""
    moments = iter((0.0, 14.0, 1000.0))
    clock = RunningTime(lambda: next(moments), look=10.0)
    assert [clock.now(), clock.now()] == [14.0, 24.0]
