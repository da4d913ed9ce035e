"""A run on a virtual clock: exact where nothing is left to chance, and the same for the same seed."""

from dataclasses import replace

import pytest

from maingate.orchestrator.train.virtual_run import (
    LOOK_AHEAD,
    ONE_AT_A_TIME,
    RunEffort,
    RunLoad,
    TaskLoad,
    TimeSpread,
    WorkstreamLoad,
    play,
    shape,
)

MINUTE = TimeSpread(p50=60, p90=60)
HOUR = TimeSpread(p50=3600, p90=3600)


def run_of(*workstreams: WorkstreamLoad, failure_rate: float = 0.0) -> RunLoad:
    """Return a run whose one gate takes a minute."""
    return RunLoad(workstreams=workstreams, gate_times={"unit": MINUTE}, failure_rate=failure_rate)


def ready(name: str, *needs: str) -> WorkstreamLoad:
    """Return a workstream with a ready patch, which only the gate of its landing judges."""
    return WorkstreamLoad(id=name, needs=needs, tasks=(TaskLoad(id=f"{name}/t"),), gates=("unit",))


def made(name: str, *needs: str) -> WorkstreamLoad:
    """Return a workstream whose tool takes an hour, with a gate on its patch."""
    task = TaskLoad(id=f"{name}/t", work=HOUR, gates=("unit",))
    return replace(ready(name, *needs), tasks=(task,))


FOUR = tuple(ready(name) for name in "abcd")


@pytest.mark.parametrize("workers", [1, 4])
def test_one_at_a_time_is_the_sum_of_all_landings(workers: int) -> None:
    """More workers do not help landings that wait for each other."""
    found = play(run_of(*FOUR), workers=workers, window=ONE_AT_A_TIME, seed="")
    assert found == RunEffort(seconds=240, gate_runs=4, landed=4)


def test_the_train_proves_a_healthy_queue_by_one_run() -> None:
    """Without failures a single run of the gate vouches for all."""
    found = play(run_of(*FOUR), workers=4, window=LOOK_AHEAD, seed="")
    assert found == RunEffort(seconds=60, gate_runs=1, landed=4)


@pytest.mark.parametrize("window", [ONE_AT_A_TIME, LOOK_AHEAD])
@pytest.mark.parametrize(("workers", "seconds"), [(1, 2 * 3660 + 2 * 60), (2, 3660 + 60)])
def test_tasks_and_landings_share_the_workers(window: int, workers: int, seconds: float) -> None:
    """One worker does all in turn; on two, tasks run beside each other, and the train needs one run."""
    found = play(run_of(made("a"), made("b")), workers=workers, window=window, seed="")
    together = window == LOOK_AHEAD or workers == 1
    assert found.seconds == (seconds if together else seconds + 60)
    assert found.landed == 2


def test_a_workstream_starts_when_those_it_needs_have_landed() -> None:
    """A chain of needs takes the sum of its parts for any number of workers."""
    found = play(run_of(made("a"), made("b", "a")), workers=8, window=LOOK_AHEAD, seed="")
    assert found == RunEffort(seconds=2 * 3720, gate_runs=4, landed=2)


@pytest.mark.parametrize("window", [ONE_AT_A_TIME, LOOK_AHEAD])
def test_workstreams_fall_with_those_that_they_need(window: int) -> None:
    """If all fail, those that need another one never start."""
    run = run_of(ready("a"), ready("b", "a"), ready("c", "b"), failure_rate=1.0)
    found = play(run, workers=2, window=window, seed="")
    assert found == RunEffort(seconds=60, gate_runs=1, landed=0)


def test_a_seed_decides_everything() -> None:
    """The same failures for both orders and any workers, and the same answer each time."""
    varied = replace(
        run_of(*(ready(f"w{n}") for n in range(40)), failure_rate=0.2),
        gate_times={"unit": TimeSpread(p50=60, p90=120)},
    )
    efforts = [
        play(varied, workers=n, window=w, seed="7") for n in (1, 4) for w in (ONE_AT_A_TIME, LOOK_AHEAD)
    ]
    assert efforts == [
        play(varied, workers=n, window=w, seed="7") for n in (1, 4) for w in (ONE_AT_A_TIME, LOOK_AHEAD)
    ]
    assert len({effort.landed for effort in efforts}) == 1
    assert 20 < efforts[0].landed < 40
    assert play(varied, workers=1, window=ONE_AT_A_TIME, seed="8") != efforts[0]


def test_the_shape_of_a_run_is_its_longest_chain_and_its_breadth() -> None:
    """The critical path is by median times; a job that ends makes room for the next."""
    found = shape(run_of(made("a"), ready("b"), made("c", "a"), ready("d", "a", "b")))
    assert (found.seconds, found.path, found.most) == (2 * 3720, ("a", "c"), 2)
    assert found.work == 2 * 3720 + 2 * 60
