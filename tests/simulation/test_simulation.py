"""Many runs of the real shell, core and record in a world in which everything goes wrong.

A seed that fails says how to replay it. ``MAINGATE_SIMULATION_SEEDS=20000`` runs more of them, and
``MAINGATE_SIMULATION_FIRST=5000`` others.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from maingate.orchestrator.core.tasks import Tasks
from maingate.orchestrator.shell import landing_effects
from maingate.state.steps import tasks as task_steps
from simulation.examine import examine, forget_calm_runs, replay_command
from simulation.simulated_maingate import Scene
from simulation.stubborn import fails_for_ever
from support.seeds import BLOCKS, STUBBORN

TESTS: Final = Path(__file__).parents[1]


def _replay(seed: int, problems: list[str]) -> str:
    told = "\n".join(f"  {problem}" for problem in problems)
    return f"seed {seed}: {replay_command(seed)}\n{told}"


@pytest.mark.thorough
@pytest.mark.parametrize("seed", ["7", "11", "42", "7 several", "42 several"])
def test_a_seed_is_the_same_run_each_time(seed: str) -> None:
    """Whatever the order of hashes; only the ids of commits depend on the folder in which it is played."""
    told = [
        subprocess.run(
            [sys.executable, "-m", "simulation", *seed.split()],
            env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": str(hashes)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashes in (1, 2)
    ]
    first, second = (re.sub("[0-9a-f]{8,40}", "", each) for each in told)
    assert first == second
    assert "heard: " in first


@pytest.mark.simulation
@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_whatever_happens_the_record_and_the_target_are_right(seeds: range) -> None:
    """Rules 1-8, landing exactly once (§4), and the outcome of the undisturbed run.

    See docs/SPECIFICATION.md §1.
    """
    found = {seed: examine(seed) for seed in seeds}
    wrong = [_replay(seed, problems) for seed, problems in found.items() if problems]
    assert not wrong, "\n".join(wrong)


def _take_the_fence_down(scene: Scene) -> None:
    scene.fence = lambda _: None


def _is_caught(told: str, breaks: Callable[[Scene], None] = lambda _: None, *, since: int) -> bool:
    """Return whether one of many seeds says so; one that is known to do is the first, to save time.

    Calm runs of a program that a test has broken are kept from the tests that follow in the same process.
    """
    try:
        return any(
            told in problem for seed in range(since, since + 200) for problem in examine(seed, prepare=breaks)
        )
    finally:
        forget_calm_runs()


def test_it_shows_when_a_landing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resume that does not find what has landed takes it for the work of others."""
    monkeypatch.setattr(landing_effects, "newest_landed", lambda *_, **__: None)
    assert _is_caught("[] are committed, the target has", since=12)


def test_it_shows_when_nothing_keeps_an_overtaken_process_out() -> None:
    """Without the fence a process that was overtaken goes on to write, and is stopped by chance at best."""
    assert _is_caught("process 0 ended with StaleTransitionError", _take_the_fence_down, since=180)


def test_it_shows_when_what_a_killed_process_owes_is_not_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that forgets the tasks which were under way leaves a run that never ends."""
    monkeypatch.setattr(Tasks, "_take_up_task", lambda *_: None)
    assert _is_caught("it never ends", since=2)


def test_it_shows_when_what_a_process_knows_is_not_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count of attempts that is kept in memory alone is another one for whoever resumes the run."""
    counted = task_steps.retry
    monkeypatch.setattr(
        task_steps, "retry", lambda *args, **keys: counted(*args, **(keys | {"retry_count": None}))
    )
    assert _is_caught("on record is", since=0)


@pytest.mark.simulation
@pytest.mark.parametrize("seeds", [STUBBORN[::2], STUBBORN[1::2]], ids=str)
def test_what_fails_for_ever_with_one_workstream_ends_that_and_no_more(seeds: range) -> None:
    """Whatever else happens: no process ends for it, every run comes to its end, and the record is right."""
    wrong = []
    for seed in seeds:
        found = examine(seed, prepare=fails_for_ever(seed))
        wrong += [_replay(seed, [each]) for each in found if " came to " not in each]
    assert not wrong, "\n".join(wrong)
