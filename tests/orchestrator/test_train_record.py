"""What a train expects by the past of a repository."""

import pytest

from maingate.orchestrator.train.record import GatePast, TrainRecord
from maingate.orchestrator.train.values import confirmations


@pytest.mark.parametrize(
    ("past", "own", "risk"),
    [
        ((0, 0), (0, 0), 1 / 20),
        ((0, 0), (1, 0), 2 / 21),
        ((0, 80), (0, 0), 1 / 100),
        ((40, 40), (0, 0), 41 / 100),
        ((4_000, 4_000), (0, 0), 51 / 120),
        ((4_000, 4_000), (0, 880), 51 / 1_000),
    ],
)
def test_the_past_is_where_the_risk_begins(past: tuple[int, int], own: tuple[int, int], risk: float) -> None:
    """One in twenty without any; a long past counts for a hundred workstreams, a run's own for each."""
    record = TrainRecord(refused=past[0], landed=past[1])
    assert record.risk(refused=own[0], landed=own[1]) == pytest.approx(risk)


def test_the_time_of_gates_is_their_sum() -> None:
    """A gate that never ran is like the others; without any past all workstreams are alike."""
    record = TrainRecord(gates={"a": GatePast(seconds=2.0), "b": GatePast(seconds=4.0)})
    assert [record.seconds_of(gates) for gates in ((), ("a",), ("a", "b"), ("b", "new"))] == [0, 2, 6, 7]
    assert {TrainRecord().seconds_of(gates) for gates in ((), ("a",), ("a", "b"))} == {1.0}


def test_a_gate_without_a_time_on_record_is_like_the_others() -> None:
    """It may have passed without one having been kept."""
    record = TrainRecord(gates={"a": GatePast(seconds=2.0), "b": GatePast(passes=3)})
    assert record.seconds_of(["b"]) == 2
    assert record.failures_per_second("b") == pytest.approx(1 / 23 / 2)
    assert record.failures_per_second("new", passed=3, failed=1) == pytest.approx(2 / 24 / 2)


@pytest.mark.parametrize(
    ("passes", "flakes", "confirmed"),
    [(0, 0, 1), (500, 0, 1), (1, 1, 3), (80, 10, 3), (80, 40, 5), (9, 9, 5)],
)
def test_flakes_on_record_decide_how_often_a_failure_is_confirmed(
    passes: int, flakes: int, confirmed: int
) -> None:
    """A single flake does not make a gate one that always flakes."""
    record = TrainRecord(gates={"a": GatePast(passes=passes, flakes=flakes)})
    assert confirmations(record.flake_rate_of(["a", "new"])) == confirmed


def test_any_of_several_gates_may_flake() -> None:
    """Each by itself."""
    gates = {name: GatePast(passes=80, flakes=50) for name in ("a", "b")}
    assert TrainRecord(gates=gates).flake_rate_of(gates) == pytest.approx(0.75)
