"""The belief about flakes: how often a failure is seen before a workstream is refused for it."""

import pytest

from maingate.orchestrator.core.queue.flake_record import FlakeRecord
from maingate.orchestrator.train.belief import failures_needed
from maingate.orchestrator.train.record import GatePast, TrainRecord
from support.flaky_trains import play


@pytest.mark.parametrize(
    ("flakes", "passes", "needed"),
    [
        *((0, 0, 4), (0, 4, 4), (0, 5, 3), (0, 24, 3), (0, 25, 2), (0, 10_000, 2)),
        *((1, 0, 6), (1, 3, 5), (1, 100, 2), (9, 9, 6), (99, 1, 6)),
    ],
)
def test_what_was_seen_of_a_gate_decides_how_often_it_must_fail(
    flakes: int, passes: int, needed: int
) -> None:
    """Two to six times: a gate without a past is believed at its fourth failure."""
    assert failures_needed(flakes=flakes, passes=passes) == needed


def test_each_pass_lets_a_failure_be_believed_sooner_and_each_flake_later() -> None:
    """Whatever was seen before."""
    for flakes in range(12):
        for passes in range(0, 120, 7):
            needed = failures_needed(flakes=flakes, passes=passes)
            assert failures_needed(flakes=flakes, passes=passes + 1) <= needed
            assert failures_needed(flakes=flakes + 1, passes=passes) >= needed


def test_the_past_of_a_gate_counts_but_not_for_ever() -> None:
    """A gate that passed ten thousand times and flakes from today on is confirmed more often before long."""
    record = FlakeRecord(
        TrainRecord(gates={"unit": GatePast(passes=10_000), "e2e": GatePast(passes=9, flakes=9)})
    )
    assert [record.failures_needed([gate]) for gate in ("unit", "e2e", "new")] == [2, 6, 4]
    assert record.failures_needed(["unit", "e2e"]) == 6
    record.passed("unit", failures=12)
    assert record.failures_needed(["unit"]) > 2


@pytest.mark.parametrize(
    ("items", "flake_rate", "most"), [(20, 0.0, 0), (20, 0.05, 0), (1, 0.2, 0), (20, 0.2, 1)]
)
def test_innocents_are_seldom_refused_by_gates_that_are_not_known_to_flake(
    items: int, flake_rate: float, most: int
) -> None:
    """Of fifty queues without a past; every culprit is refused, and no position is ever red."""
    innocents = 0
    for seed in range(50):
        train, bad = play(items=items, risk=0.05, flake_rate=flake_rate, seed=seed)
        assert all(bad.isdisjoint(position) for position in train.positions)
        if train.pause is None:
            assert bad <= set(train.refused)
        innocents += len(set(train.refused) - bad)
    assert innocents <= most
