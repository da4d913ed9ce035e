"""A run whose process fails is tried again, each time later, and at once when it is handed over anew."""

from datetime import timedelta

import pytest

from maingate.clock import ManualClock
from maingate.ids import RunId
from maingate.server.crash_backoff import FIRST_PAUSE, LONGEST_PAUSE, RunAttempts
from maingate.server.run_process import BUSY, DONE, FAULT

RUN = RunId("run_01ARZ3NDEKTSV4RRFFQ69G5FAV")


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands."""
    return ManualClock()


def test_pauses_double_with_each_failure_up_to_a_limit(clock: ManualClock) -> None:
    """Success, and a target that is busy, do not count."""
    attempts, pauses = RunAttempts(clock), []
    for code in (BUSY, FAULT, FAULT, -9, *[FAULT] * 9):
        attempts.begun(RUN, 0)
        attempts.ended(RUN, code)
        pauses.append(0.0)
        while not attempts.may_start(RUN, 0):
            clock.advance(timedelta(seconds=FIRST_PAUSE))
            pauses[-1] += FIRST_PAUSE
    assert pauses[:5] == [1.0, 1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE
    attempts.ended(RUN, DONE)
    assert not attempts.has_failed(RUN)
    clock.advance(timedelta(seconds=FIRST_PAUSE))
    assert not attempts.may_start_again(RUN)


def test_a_new_hand_over_counts_at_once_and_begins_anew(clock: ManualClock) -> None:
    """A person who resumes a run does not wait for the pause."""
    attempts = RunAttempts(clock)
    attempts.begun(RUN, 5)
    attempts.ended(RUN, FAULT)
    assert (attempts.may_start(RUN, 5), attempts.may_start_again(RUN)) == (False, False)
    assert attempts.may_start(RUN, 9)
    attempts.begun(RUN, 9)
    assert not attempts.has_failed(RUN)


def test_runs_that_have_ended_are_forgotten(clock: ManualClock) -> None:
    """A run that is unknown may start."""
    attempts = RunAttempts(clock)
    attempts.begun(RUN, 0)
    attempts.ended(RUN, FAULT)
    attempts.forget_others(set())
    assert attempts.may_start(RUN, 0)
