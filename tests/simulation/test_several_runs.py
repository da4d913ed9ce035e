"""Several runs on one target in a world in which everything goes wrong: hand-overs, deaths, foreign pushes.

A seed that fails says how to replay it, and more of them are played as in ``test_simulation``.
"""

from typing import Final

import pytest

from maingate.orchestrator.core.queue.hand_over import HandOver
from maingate.orchestrator.queue_order_watch import QueueOrderWatch
from maingate.orchestrator.shared_queue import SharedQueue
from simulation.examine import examine, forget_calm_runs, kill_everywhere, replay_command
from simulation.simulated_maingate import Scene
from simulation.stubborn import fails_for_ever
from support.examples import thorough
from support.seeds import BLOCKS_OF_SEVERAL, STUBBORN

STEPS: Final = 40
"""Of so many places at which a process may be killed the suite tries one."""


def _replay(seed: int, problems: list[str]) -> str:
    told = "\n".join(f"  {problem}" for problem in problems)
    return f"seed {seed}: {replay_command(seed, several=True)}\n{told}"


@pytest.mark.simulation
@pytest.mark.parametrize("seeds", BLOCKS_OF_SEVERAL, ids=str)
def test_whatever_happens_each_run_ends_as_if_it_were_alone(seeds: range) -> None:
    """Innocent workstreams land once, culprits are refused in their own run, and the branch stays green."""
    found = {seed: examine(seed, several=True) for seed in seeds}
    wrong = [_replay(seed, problems) for seed, problems in found.items() if problems]
    assert not wrong, "\n".join(wrong)


@pytest.mark.simulation
@pytest.mark.parametrize("seeds", [STUBBORN[::2], STUBBORN[1::2]], ids=str)
def test_what_fails_for_ever_with_one_workstream_ends_that_whichever_process_lands_it(seeds: range) -> None:
    """The other runs come to what they come to alone, also the one whose process meets the failure."""
    wrong = []
    for seed in seeds:
        victims: list[str] = []

        def prepare(scene: Scene, seed: int = seed, victims: list[str] = victims) -> None:
            fails_for_ever(seed)(scene)
            victims.append(f"simulated{scene.effects._victim[0]} came to ")  # type: ignore[attr-defined]

        found = examine(seed, several=True, prepare=prepare)
        wrong += [_replay(seed, [each]) for each in found if not each.startswith(tuple(victims))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.simulation
@pytest.mark.parametrize("plan", [17, 25])
@pytest.mark.parametrize("start", [0, *(thorough(start) for start in range(1, STEPS))])
def test_each_process_may_be_killed_at_each_place(plan: int, start: int) -> None:
    """Of two runs that begin together one is killed once: before, amid and after each hand-over."""
    assert kill_everywhere(plan, start=start, step=STEPS) == {}


def _is_caught(told: str, *, since: int) -> bool:
    """Return whether one of many seeds says so; one that is known to do is the first, to save time."""
    try:
        return any(
            told in problem for seed in range(since, since + 200) for problem in examine(seed, several=True)
        )
    finally:
        forget_calm_runs()


def test_it_shows_when_nobody_asks_what_a_dead_process_has_landed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that takes the target over has to find out, for the runs of others too."""
    monkeypatch.setattr(SharedQueue, "_is_in_doubt", lambda *_: False)
    assert _is_caught("is pending", since=28)


def test_it_shows_when_a_hand_over_is_never_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that stays when its answer was drawn is taken for another hand-over by the next process."""
    monkeypatch.setattr(HandOver, "over", lambda _, workstream: setattr(workstream, "is_offered", False))
    assert _is_caught("is still handed over", since=4)


def test_it_shows_when_a_process_does_not_hear_of_orders_about_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A queue that is paused or frozen lands nothing."""
    monkeypatch.setattr(QueueOrderWatch, "news", lambda _: None)
    assert _is_caught("though nothing was to", since=50)
