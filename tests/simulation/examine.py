"""Run a seed with troubles, and say what is wrong: in itself, or against the same plans without troubles."""

import atexit
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from simulation.invariants import Outcome, changes_of, outcome_of, own_faults, violations
from simulation.plans import PlanWorld, make_plan, make_plans
from simulation.played_run import PlayedRun
from simulation.simulated_maingate import Scene
from simulation.simulation import Ended, Simulation, make_template
from simulation.troubles import Faults, Troubles, make_troubles, make_troubles_of_several
from simulation.virtual_loop import DeadlockError

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it

SEEDS_PER_PLAN = 5
"""How many seeds share their plans, so that the calm runs are made once for all of them."""


@dataclass(frozen=True, kw_only=True)
class Calm:
    """How a plan runs alone when nothing goes wrong."""

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


@lru_cache(maxsize=8)
def _calm(plan: int, letter: str = "") -> Calm:
    """Play a plan alone: that of a seed, or the one of several with this letter."""
    base, template = _workshop()
    folder = Path(base.name) / f"calm-{plan}{letter}"
    world = make_plan(plan) if not letter else make_plans(plan)["abcd".index(letter)]
    try:
        ended = Simulation(f"{plan} calm{letter}", [world], folder, template, Troubles()).run()
        [played] = ended.runs
        return Calm(
            outcome=outcome_of(ended, played),
            places=played.places,
            seconds=ended.seconds,
            wrong=[*violations(ended), *own_faults(ended)],
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def forget_calm_runs() -> None:
    """Discard the calm runs that were kept: they were played by a program that a test had broken."""
    _calm.cache_clear()


def examine(
    seed: int,
    *,
    several: bool = False,
    traces: bool = False,
    prepare: Callable[[Scene], None] = lambda _: None,
) -> list[str]:
    """Return what is wrong with a seed.

    Args:
        seed: Which.
        several: Whether it plays several runs on one target, instead of one.
        traces: Whether everything that happens is printed.
        prepare: Breaks something on purpose.
    """
    plan = seed // SEEDS_PER_PLAN
    plans = make_plans(plan) if several else [make_plan(plan)]
    calms = [_calm(plan, letter) for letter in ("abcd"[: len(plans)] if several else [""])]
    if wrong := [problem for calm in calms for problem in calm.wrong]:
        return [f"without troubles: {problem}" for problem in wrong]
    random = Random(f"{seed} troubles")
    if several:
        places, seconds = [calm.places for calm in calms], [calm.seconds for calm in calms]
        troubles = make_troubles_of_several(random, places=places, seconds=seconds)
    else:
        troubles = make_troubles(random, places=calms[0].places, seconds=calms[0].seconds)
    return play(f"{seed}", plans, troubles, calms, traces=traces, prepare=prepare)


def kill_everywhere(plan: int, *, start: int, step: int) -> dict[str, list[str]]:
    """Kill a process at each place that it passes, in a play of its own; return what is wrong with which.

    Args:
        plan: Which plans; their runs begin one shortly after the other, and nothing else goes wrong.
        start: The first place.
        step: How many places lie between one that is tried and the next.
    """
    plans = make_plans(plan)
    calms = [_calm(plan, letter) for letter in "abcd"[: len(plans)]]
    begins = [at * 0.03 for at in range(len(plans))]
    undisturbed: list[int] = []
    found = {"nothing": play("kills", plans, Troubles(begins=begins), calms, places=undisturbed)}
    for at, most in enumerate(undisturbed):
        for place in range(1 + start, 1 + most, step):
            faults: list[list[Faults]] = [[] for _ in plans]
            faults[at] = [{place: "crash"}]
            troubles = Troubles(begins=begins, faults=faults, rest=0.2 if place % 2 else 2.0)
            found[f"run {at}, killed at place {place}"] = play("kills", plans, troubles, calms)
    return {killed: wrong for killed, wrong in found.items() if wrong}


def play(
    seed: str,
    plans: Sequence[PlanWorld],
    troubles: Troubles,
    calms: Sequence[Calm],
    *,
    traces: bool = False,
    prepare: Callable[[Scene], None] = lambda _: None,
    places: list[int] | None = None,
) -> list[str]:
    """Return what is wrong with plans that are played with some troubles.

    Args:
        seed: Decides everything else.
        plans: The plans.
        troubles: What goes wrong.
        calms: How each of the plans runs alone when nothing does.
        traces: Whether everything that happens is printed.
        prepare: Breaks something on purpose.
        places: Gets the number of places that the first process of each run has passed.
    """
    base, template = _workshop()
    if traces:
        print(troubles)  # noqa: T201
    folder = Path(tempfile.mkdtemp(dir=base.name)) / "run"
    try:
        ended = Simulation(seed, plans, folder, template, troubles, traces=traces, prepare=prepare).run()
        if places is not None:
            places += [played.places for played in ended.runs]
        return violations(ended) or ([] if troubles.changes_outcome else list(_changes(ended, calms)))
    except DeadlockError as error:
        return [f"it never ends: {error}"]
    finally:
        shutil.rmtree(folder.parent)


def _changes(ended: Ended, calms: Sequence[Calm]) -> Iterator[str]:
    """Say what came out otherwise than without troubles.

    Each of several runs comes to what it comes to when it is alone on the target, unless something has landed
    that does not go with it. Where workstreams of it do not go together, the plan's order decides, or time.
    """
    for played, calm in zip(ended.runs, calms, strict=True):
        got, wanted = outcome_of(ended, played), calm.outcome
        if len(ended.runs) > 1:
            if _is_crossed(ended, played) or _is_for_the_quicker(played.plan):
                continue
            got, wanted = _own(got), _own(wanted)
        if got != wanted:
            yield f"{played.name} came to {got}, alone and without troubles to {wanted}"


def _own(outcome: Outcome) -> Outcome:
    """Leave out what others have done to the target, which is looked at position by position."""
    return Outcome(run=outcome.run, workstreams=outcome.workstreams, tasks=outcome.tasks, files={})


def _is_crossed(ended: Ended, played: PlayedRun) -> bool:
    """Tell whether something of another run has landed that does not go with something of this one."""
    with ended.scene.open() as maingate, maingate.database.read() as conn:
        landed = [
            (path, text)
            for other in ended.runs
            if other is not played
            for changes in changes_of(other, conn).values()
            for path, _, text in changes
        ]
    return any(not _go_together(mine, other) for mine in _patches_of(played.plan) for other in landed)


def _is_for_the_quicker(plan: PlanWorld) -> bool:
    """Tell whether a workstream with a tool, whose place is when that ends, does not go with another one."""
    streams = plan.plan.workstreams
    with_tools = [
        name for name, each in streams.items() if any(task.tool is not None for task in each.tasks.values())
    ]
    return any(
        not _go_together(mine, other)
        for name in with_tools
        for mine in _patches_of(plan, name)
        for another in streams
        if another != name
        for other in _patches_of(plan, another)
    )


def _patches_of(plan: PlanWorld, workstream: str = "") -> Iterator[tuple[str, str]]:
    """Return which file each patch of a plan, or of a workstream of it, makes, and what is in it."""
    for name, patch in plan.patches.items():
        if name.startswith(workstream) and patch.startswith(b"{"):
            read: Mapping[str, str] = json.loads(patch)
            yield read["path"], read["new"]


def _go_together(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Tell whether both can land: they change different files, and are no pair that gates refuse."""
    sides = dict(re.findall(r"(left|right):(\w+)", f"{one[1]} {other[1]}"))
    return one[0] != other[0] and sides.get("left", 1) != sides.get("right", 2)


def replay_command(seed: int, *, several: bool = False) -> str:
    """Return the command that plays a seed again; the order of hashes is named where it is not by chance."""
    hashes = os.environ.get("PYTHONHASHSEED", "random")
    given = "" if hashes == "random" else f"PYTHONHASHSEED={hashes} "
    return f"{given}PYTHONPATH=tests python -m simulation {seed}{' several' if several else ''}"
