"""Buckets empty by one a request and fill up again with time, each by itself."""

from datetime import timedelta

from maingate.api.guard.rates import Rate, RateLimiter
from maingate.clock import ManualClock


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """The seconds to wait are rounded up, and suffice."""
    clock = ManualClock()
    limiter = RateLimiter(Rate(per_second=0.5, burst=2), clock)
    assert [limiter.take("a") for _ in range(3)] == [None, None, 2]
    assert limiter.take("b") is None
    clock.advance(timedelta(seconds=1))
    assert limiter.take("a") == 1
    clock.advance(timedelta(seconds=1))
    assert [limiter.take("a") for _ in range(2)] == [None, 2]


def test_a_bucket_holds_no_more_than_its_burst() -> None:
    """Long silence buys no more than the burst."""
    clock = ManualClock()
    limiter = RateLimiter(Rate(per_second=10, burst=2), clock)
    clock.advance(timedelta(days=1))
    assert [limiter.take("a") for _ in range(3)] == [None, None, 1]


def test_buckets_of_many_callers_do_not_pile_up() -> None:
    """The one that was used least recently goes first."""
    limiter = RateLimiter(Rate(per_second=1, burst=1), ManualClock())
    limiter.take("first")
    for each in range(10_000):
        limiter.take(str(each))
    assert limiter.take("first") is None
    assert limiter.take("9999") == 1
