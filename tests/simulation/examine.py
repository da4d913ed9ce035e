"""Run a seed with troubles, and say what is wrong: in itself, or against the same plan without troubles."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from simulation.invariants import Outcome, outcome_of, own_faults, violations
from simulation.simulated_maingate import Scene
from simulation.simulation import Simulation, Troubles, make_template, make_troubles
from simulation.virtual_loop import DeadlockError

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it

SEEDS_PER_PLAN = 5
"""How many seeds share a plan, so that its calm run is made once for all of them."""


@dataclass(frozen=True, kw_only=True)
class Calm:
    """How a plan runs when nothing goes wrong."""

    outcome: Outcome
    places: int
    seconds: float
    wrong: list[str]


@lru_cache(maxsize=1)
def _workshop() -> tuple["tempfile.TemporaryDirectory[str]", Path]:
    folder = tempfile.TemporaryDirectory(
        prefix="maingate-simulation-", dir=MEMORY if MEMORY.is_dir() else None
    )
    atexit.register(folder.cleanup)
    return folder, make_template(Path(folder.name) / "template.db")


@lru_cache(maxsize=4)
def _calm(plan: int) -> Calm:
    base, template = _workshop()
    folder = Path(base.name) / f"calm-{plan}"
    try:
        ended = Simulation(f"{plan} calm", plan, folder, template, Troubles()).run()
        return Calm(
            outcome=outcome_of(ended),
            places=ended.places,
            seconds=ended.seconds,
            wrong=[*violations(ended), *own_faults(ended)],
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def forget_calm_runs() -> None:
    """Discard the calm runs that were kept: they were played by a program that a test had broken."""
    _calm.cache_clear()


def examine(
    seed: int, *, traces: bool = False, prepare: Callable[[Scene], None] = lambda _: None
) -> list[str]:
    """Return what is wrong with a seed.

    Args:
        seed: Which.
        traces: Whether everything that happens is printed.
        prepare: Breaks something on purpose.
    """
    base, template = _workshop()
    plan = seed // SEEDS_PER_PLAN
    calm = _calm(plan)
    if calm.wrong:
        return [f"without troubles: {problem}" for problem in calm.wrong]
    troubles = make_troubles(Random(f"{seed} troubles"), places=calm.places, seconds=calm.seconds)
    if traces:
        print(troubles)  # noqa: T201
    folder = Path(tempfile.mkdtemp(dir=base.name)) / "run"
    try:
        run = Simulation(f"{seed}", plan, folder, template, troubles, traces=traces, prepare=prepare)
        ended = run.run()
        found = violations(ended)
        if not troubles.changes_outcome and not found and (got := outcome_of(ended)) != calm.outcome:
            found.append(f"it came to {got}, without troubles to {calm.outcome}")
    except DeadlockError as error:
        return [f"it never ends: {error}"]
    else:
        return found
    finally:
        shutil.rmtree(folder.parent)
