"""The expected time of a queue, held against queues on the virtual clock."""

import random
from statistics import median

import pytest

from maingate.orchestrator.train.expected_time import ExpectedItem, expected_times
from maingate.orchestrator.train.values import TrainItem, TrainPolicy
from maingate.orchestrator.train.virtual_clock import VirtualTrain
from maingate.orchestrator.train.virtual_run import TimeSpread

MINUTE = TimeSpread(p50=60.0, p90=90.0)


def item(risk: float = 0.0, *, elapsed: float | None = None, times: TimeSpread = MINUTE) -> ExpectedItem:
    """Make an item."""
    return ExpectedItem(risk=risk, round_time=times, elapsed=elapsed)


def test_what_cannot_fail_lands_after_one_round() -> None:
    """However many there are."""
    assert expected_times([item()] * 50, workers=1) == [MINUTE] * 50


def test_a_test_under_way_takes_what_is_left_of_it() -> None:
    """One that takes longer than usual is still expected to take a while."""
    [half, late] = expected_times([item(elapsed=30.0), item(elapsed=600.0)], workers=1)
    assert half == TimeSpread(p50=30.0, p90=60.0)
    assert late == TimeSpread(p50=6.0, p90=9.0)


def test_the_slowest_gates_ahead_are_waited_for() -> None:
    """What is on a position is tested with all that is ahead of it."""
    slow = TimeSpread(p50=300.0, p90=400.0)
    found = expected_times([item(), item(times=slow), item()], workers=2)
    assert found == [MINUTE, slow, slow]


def test_nothing_to_run_takes_no_time() -> None:
    """Workstreams without gates land at once."""
    assert expected_times([item(times=TimeSpread(p50=0, p90=0))], workers=1) == [TimeSpread(p50=0, p90=0)]


def test_risk_and_flakes_take_time_and_workers_save_it() -> None:
    """The order of the estimates is that of the things that cost."""
    calm = expected_times([item(0.02)] * 40, workers=4)[-1]
    risky = expected_times([item(0.2)] * 40, workers=4)[-1]
    alone = expected_times([item(0.2)] * 40, workers=1)[-1]
    flaky = expected_times([item(0.02)] * 40, workers=4, flake_rate=0.9)[-1]
    assert calm.p50 < risky.p50 < alone.p50
    assert calm.p90 < risky.p90 < alone.p90
    assert calm.p90 < flaky.p90


@pytest.mark.parametrize("risk", [0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_queues_on_the_virtual_clock_land_within_the_band(risk: float, workers: int) -> None:
    """The median of many queues is near the estimate, and at most a fourth takes longer than the band."""
    size, seeds = 32, 60
    [*_, band] = expected_times([item(risk, times=TimeSpread(p50=1, p90=1))] * size, workers=workers)
    seconds = [_played(size, risk, workers, seed) for seed in range(seeds)]
    assert 0.5 * band.p50 <= median(seconds) <= 1.5 * band.p50 + 1
    assert sum(each > band.p90 + 1 for each in seconds) <= seeds / 4


def _played(size: int, risk: float, workers: int, seed: int) -> float:
    """Return how long a queue takes whose culprits are drawn by a seed; the last of it is none."""
    chance = random.Random(f"{seed} {risk}")
    names = [f"{place:03}" for place in range(size)]
    culprits = {name for name in names[:-1] if chance.random() < risk}
    train = VirtualTrain(
        items=[TrainItem(id=name, risk=risk) for name in names],
        answer=culprits.isdisjoint,
        workers=workers,
        policy=TrainPolicy(),
    )
    train.play()
    return train.now
