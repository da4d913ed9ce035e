"""Many runs of the real shell, core and record in a world in which everything goes wrong.

A seed that fails says how to replay it. ``MAINGATE_SIMULATION_SEEDS=20000`` runs more of them, and
``MAINGATE_SIMULATION_FIRST=5000`` others.
"""

from collections.abc import Callable

import pytest

from maingate.orchestrator.core import Core
from seeds import BLOCKS
from simulation.examine import examine
from simulation.simulated_maingate import Scene, TracedEffects


def _replay(seed: int, problems: list[str]) -> str:
    told = "\n".join(f"  {problem}" for problem in problems)
    return f"seed {seed}: PYTHONPATH=tests python -m simulation {seed}\n{told}"


@pytest.mark.simulation
@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_whatever_happens_the_record_and_the_target_are_right(seeds: range) -> None:
    """SSOT rules 1-8, landing exactly once, and the outcome of the run in which nothing goes wrong."""
    found = {seed: examine(seed) for seed in seeds}
    wrong = [_replay(seed, problems) for seed, problems in found.items() if problems]
    assert not wrong, "\n".join(wrong)


class Forgetful(TracedEffects):
    """Does not see that something has landed."""

    def _holds(self, head: str, commit: str) -> bool:
        assert head
        assert commit
        return False


def _forget_landings(scene: Scene) -> None:
    scene.effects = Forgetful


def _take_the_fence_down(scene: Scene) -> None:
    scene.fence = lambda _: None


def _is_caught(told: str, breaks: Callable[[Scene], None] = lambda _: None) -> bool:
    """Tell whether one of the first seeds says so."""
    return any(told in problem for seed in range(200) for problem in examine(seed, prepare=breaks))


def test_it_shows_when_a_landing_is_forgotten() -> None:
    """A resume that does not find what has landed lands it again."""
    assert _is_caught("landed 2 times", _forget_landings)


def test_it_shows_when_nothing_keeps_an_overtaken_process_out() -> None:
    """Without the fence a process that was overtaken goes on to write, and is stopped by chance at best."""
    assert _is_caught("process 0 ended with StaleTransitionError", _take_the_fence_down)


def test_it_shows_when_what_a_killed_process_owes_is_not_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that forgets the tasks which were under way leaves a run that never ends."""
    monkeypatch.setattr(Core, "_take_up_task", lambda *_: None)
    assert _is_caught("it never ends")
