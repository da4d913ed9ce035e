"""The delay before another attempt: exponential, limited, with a jitter that is the attempt's own."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.recovery.retry_handler import RetryPolicy

SECOND = timedelta(seconds=1)
POLICY = RetryPolicy(delay=SECOND, ceiling=60 * SECOND)


@pytest.mark.parametrize(
    ("failures", "longest"),
    [
        (1, SECOND),
        (2, 2 * SECOND),
        (3, 4 * SECOND),
        (6, 32 * SECOND),
        (7, 60 * SECOND),
        (8, 60 * SECOND),
        (10_000, 60 * SECOND),
    ],
)
def test_the_longest_delay_doubles_up_to_the_ceiling(failures: int, longest: timedelta) -> None:
    """Among many subjects some wait nearly that long, and some hardly at all."""
    waits = [POLICY.wait(f"task_{number}", failures) for number in range(200)]
    assert max(waits) <= longest
    assert max(waits) > 0.9 * longest
    assert min(waits) < 0.1 * longest


@pytest.mark.parametrize(
    ("policy", "longest"),
    [
        (RetryPolicy(delay=timedelta(0)), timedelta(0)),
        (RetryPolicy(delay=SECOND, ceiling=timedelta(0)), timedelta(0)),
        (RetryPolicy(delay=10 * SECOND, ceiling=SECOND), SECOND),
    ],
)
def test_a_delay_is_never_longer_than_the_policy_says(policy: RetryPolicy, longest: timedelta) -> None:
    """A policy without a delay has none, and a low ceiling counts from the first attempt on."""
    assert all(timedelta(0) <= policy.wait("task_1", failures) <= longest for failures in range(1, 9))


@given(st.text(), st.integers(1, 10_000))
def test_an_attempt_always_waits_equally_long(subject: str, failures: int) -> None:
    """A process that is started anew decides as the one before."""
    assert POLICY.wait(subject, failures) == POLICY.wait(subject, failures)


def test_attempts_that_failed_together_are_not_retried_together() -> None:
    """Each subject, and each failure of one, has a share of its own."""
    assert len({POLICY.wait(f"task_{number}", 8) for number in range(100)}) == 100
    assert len({POLICY.wait("task_1", failures) for failures in range(8, 108)}) == 100
