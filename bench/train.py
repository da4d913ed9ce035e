"""The train against other merge queues and against bounds, on a virtual clock: rounds and runs of gates.

All tests take one round, so rounds are time. An item fails by itself with probability p; the planners know p
and not which. Each cell is the mean over the same random queues for all planners.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.figures import Limit
from bench.trains.peers import EACH_COMMIT, PEERS, UNPROVEN
from bench.trains.target import Target
from maingate.orchestrator.train.chains import ChainRun
from maingate.orchestrator.train.facts import TrainFacts, TrainState
from maingate.orchestrator.train.planner import plan_train
from maingate.orchestrator.train.values import SPECULATION, TrainItem, TrainPolicy, WantedRun
from maingate.orchestrator.train.virtual_clock import VirtualTrain
from maingate.plan.choices import Proof

CASES: Final = ("rounds64", "rounds256", "thresholds", "troubles", "step")
RISKS: Final = (0.0, 0.02, 0.05, 0.1, 0.2)
WORKERS: Final = (1, 2, 4, 8, 16)
THRESHOLDS: Final = (0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.9)
FLAKE_RATE: Final = 0.2

REF: Final = TrainPolicy(confirms=False)
COMMIT: Final = TrainPolicy(confirms=False, proof=Proof.COMMIT, theta=SPECULATION["fast"])
CONFIRMED: Final = TrainPolicy()
CHAINS: Final = TrainPolicy(confirms=False, scouts=False)


@dataclass(frozen=True, kw_only=True)
class TrainRow:
    """A row of a table; the first one prints the heading, too.

    Args:
        case: The table.
        cells: Texts by column.
    """

    case: str
    cells: Mapping[str, str]
    is_first: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {"case": self.case, **self.cells}

    def line(self, width: int) -> str:
        """Return the row of a Markdown table, padded to no width."""
        del width
        row = f"| {' | '.join(self.cells.values())} |"
        if not self.is_first:
            return row
        return f"\n{self.case}\n\n| {' | '.join(self.cells)} |\n|{'---|' * len(self.cells)}\n{row}"


@dataclass(frozen=True)
class Effort:
    """Means over queues: rounds until all items have landed or are refused, and runs of gates."""

    rounds: float
    runs: float

    def __str__(self) -> str:
        """Return both, as the tables have them."""
        return f"{self.rounds:.1f} / {self.runs:.0f}"


Figures = list[TrainRow | Limit]


def measure(
    cases: Collection[str], *, folder: Path, rounds: int, seeds: int = 150
) -> Sequence[TrainRow | Limit]:
    """Play the cases asked for; the folder and the alternating rounds are not needed."""
    del folder, rounds
    figures: Figures = []
    for count in (64, 256):
        if f"rounds{count}" in cases:
            figures += _rounds(count, seeds)
    if "thresholds" in cases:
        figures += _thresholds(seeds)
    if "troubles" in cases:
        figures += _troubles(seeds)
    if "step" in cases:
        figures += _steps()
    return figures


# -- rounds and runs -----------------------------------------------------------------------------------------


def _rounds(count: int, seeds: int) -> Figures:
    rows: Figures = []
    worst = dict.fromkeys(("ref", "commit", "unproven", "bound"), 0.0)
    for risk in RISKS:
        queues = [_culprits(count, risk, seed) for seed in range(seeds)]
        for workers in WORKERS:
            peers = {name: _peer(name, count, risk, workers, queues) for name in PEERS}
            ours = {
                "train, commit": _train(count, risk, workers, queues, COMMIT),
                "chains only": _train(count, risk, workers, queues, CHAINS),
                "train": _train(count, risk, workers, queues, REF),
                "train, confirmed": _train(count, risk, workers, queues, CONFIRMED),
            }
            bound = _chain_bound(count, risk, workers)
            clairvoyant = statistics.mean(_clairvoyant(count, bad, workers) for bad in queues)
            cells = {"p": f"{risk:.0%}", "K": str(workers)}
            cells |= {name: str(effort) for name, effort in (peers | ours).items() if name != "serial"}
            cells |= {"bound of chains": f"{bound:.1f}", "clairvoyant": f"{clairvoyant:.1f}"}
            rows.append(TrainRow(case=f"{count} items, rounds / runs", cells=cells, is_first=not rows))
            if workers >= 2:
                train = ours["train"].rounds
                proven = [peers[name].rounds for name in PEERS if name not in UNPROVEN]
                worst["ref"] = max(worst["ref"], train / min(proven))
                worst["unproven"] = max(
                    worst["unproven"], train / min(each.rounds for each in peers.values())
                )
                exact = min(peers[name].rounds for name in EACH_COMMIT)
                worst["commit"] = max(worst["commit"], ours["train, commit"].rounds / exact)
                worst["bound"] = max(worst["bound"], train / bound if bound else 0.0)
    return [
        *rows,
        _ratio(f"{count} items: rounds to the best peer that proves each position", worst["ref"], 1.0),
        _ratio(f"{count} items: rounds to the best peer that proves each commit", worst["commit"], 1.0),
        _ratio(f"{count} items: rounds to the best peer, also those without proof", worst["unproven"], 1.0),
        _ratio(f"{count} items: rounds to the bound of chains", worst["bound"], 1.15),
    ]


def _ratio(case: str, worst: float, asked: float) -> Limit:
    return Limit(case=f"{case}, worst cell with K >= 2", maingate=worst, asked=asked, unit="x")


def _culprits(count: int, risk: float, seed: int) -> frozenset[int]:
    draw = random.Random(f"{risk} {seed}")  # noqa: S311 - queues to try
    return frozenset(item for item in range(count) if draw.random() < risk)


def _peer(name: str, count: int, risk: float, workers: int, queues: Sequence[frozenset[int]]) -> Effort:
    played = []
    for bad in queues:
        target = _target(count, risk, workers, partial(_contains_any, bad))
        target.run(PEERS[name](target))
        if set(target.refused) != bad:
            raise ValueError(f"{name} refused {target.refused} instead of {sorted(bad)}")
        played.append(target)
    return Effort(statistics.mean(t.rounds for t in played), statistics.mean(t.runs for t in played))


def _contains_any(bad: frozenset[int], items: Sequence[int]) -> bool:
    return not bad.isdisjoint(items)


def _target(count: int, risk: float, workers: int, is_red: Callable[[Sequence[int]], bool]) -> Target:
    return Target(count=count, workers=workers, risk=risk, is_red=is_red)


def _train(
    count: int, risk: float, workers: int, queues: Sequence[frozenset[int]], policy: TrainPolicy
) -> Effort:
    played = []
    for bad in queues:
        names = {str(item) for item in bad}
        train = _played(count, risk, workers, policy, names.isdisjoint)
        if set(train.refused) != names:
            raise ValueError(f"the train refused {train.refused} instead of {sorted(bad)}")
        played.append(train)
    return Effort(statistics.mean(t.now for t in played), statistics.mean(t.runs.total() for t in played))


def _played(
    count: int, risk: float, workers: int, policy: TrainPolicy, answer: Callable[[Sequence[str]], bool]
) -> VirtualTrain:
    items = [TrainItem(id=str(item), risk=risk) for item in range(count)]
    train = VirtualTrain(items=items, answer=answer, workers=workers, policy=policy)
    train.play()
    return train


def _chain_bound(count: int, risk: float, workers: int) -> float:
    """Return the least rounds of a planner that tests nested chains: K of them have K + 1 outcomes."""
    if not risk:
        return 0.0
    entropy = -risk * math.log2(risk) - (1 - risk) * math.log2(1 - risk)
    return count * entropy / math.log2(workers + 1)


def _clairvoyant(count: int, bad: Collection[int], workers: int) -> int:
    """Return the rounds of a planner that knows the culprits, and proves them and the end to others."""
    chains = {count - len(bad)}
    for before, culprit in enumerate(sorted(bad)):
        chains.add(culprit - before)
    chains.discard(0)
    return math.ceil((len(chains) + len(bad)) / workers)


# -- thresholds ----------------------------------------------------------------------------------------------


def _thresholds(seeds: int, count: int = 64) -> Figures:
    """Compare, with each threshold, rounds and runs to those of the peers that prove each position."""
    rows: Figures = []
    beaten = asked = 0
    for risk in RISKS:
        queues = [_culprits(count, risk, seed) for seed in range(seeds)]
        for workers in WORKERS[1:]:
            efforts = {
                theta: _train(count, risk, workers, queues, TrainPolicy(confirms=False, theta=theta))
                for theta in THRESHOLDS
            }
            cells = {"p": f"{risk:.0%}", "K": str(workers)}
            cells |= {f"theta {theta}": str(effort) for theta, effort in efforts.items()}
            ahead = []
            for name in PEERS:
                if name in UNPROVEN:
                    continue
                peer = _peer(name, count, risk, workers, queues)
                asked += 1
                if any(e.rounds <= peer.rounds and e.runs <= peer.runs for e in efforts.values()):
                    beaten += 1
                else:
                    ahead.append(f"{name} {peer}")
            cells["peers that no threshold reaches in both"] = ", ".join(ahead)
            rows.append(TrainRow(case=f"{count} items by threshold", cells=cells, is_first=not rows))
    case = "cells and peers that no threshold reaches in rounds and runs"
    return [*rows, Limit(case=f"{case}, of {asked}", maingate=asked - beaten, asked=0, unit="")]


# -- flaky gates, and items that fail only together ----------------------------------------------------------


def _troubles(seeds: int, count: int = 64, workers: int = 8) -> Figures:
    rows = _flaky(seeds, count, workers)
    return [*rows, *_pairs(seeds, count, workers)]


def _flaky(seeds: int, count: int, workers: int) -> Figures:
    """Play gates that fail on any tree with a probability of 20 %."""
    rows: Figures = []
    false_blames = innocents = red = 0
    for proof in (Proof.COMMIT, Proof.REF):
        for risk in RISKS[1:]:
            wrong = right = rounds = runs = 0.0
            for seed in range(seeds):
                bad = {str(item) for item in _culprits(count, risk, seed)}
                draw = random.Random(f"flakes {seed}")  # noqa: S311 - flakes

                def answer(items: Sequence[str], bad: set[str] = bad, draw: random.Random = draw) -> bool:
                    return bad.isdisjoint(items) and draw.random() >= FLAKE_RATE

                policy = TrainPolicy(proof=proof, flake_rate=FLAKE_RATE)
                train = _played(count, risk, workers, policy, answer)
                wrong += len(set(train.refused) - bad)
                right += len(set(train.refused) & bad)
                innocents += count - len(bad)
                red += sum(not bad.isdisjoint(position) for position in train.positions)
                rounds += train.now / seeds
                runs += train.runs.total() / seeds
            false_blames += int(wrong)
            cells = {
                "proof": proof,
                "p": f"{risk:.0%}",
                "rounds / runs": str(Effort(rounds, runs)),
                "culprits refused": f"{right:.0f}",
                "innocents refused": f"{wrong:.0f}",
            }
            rows.append(
                TrainRow(case=f"a flake in 20 % of runs, K = {workers}", cells=cells, is_first=not rows)
            )
    return [
        *rows,
        Limit(
            case="flakes: innocents refused, of all",
            maingate=100 * false_blames / innocents,
            asked=0.1,
            unit="%",
        ),
        Limit(case="flakes: red positions of the target", maingate=red, asked=0, unit=""),
    ]


def _pairs(seeds: int, count: int, workers: int) -> Figures:
    """Play items that fail only in the company of one other: 6 such pairs among 64 items."""
    rows: Figures = []
    worst = 0
    for name in (*PEERS, *Proof):
        red = unproven = differs = rounds = 0.0
        for seed in range(seeds):
            draw = random.Random(f"pairs {seed}")  # noqa: S311 - pairs
            pairs = [frozenset(draw.sample(range(count), 2)) for _ in range(6)]

            def is_red(items: Sequence[int], pairs: Sequence[frozenset[int]] = pairs) -> bool:
                return any(pair <= set(items) for pair in pairs)

            if name in PEERS:
                target = _target(count, 0.05, workers, is_red)
                target.run(PEERS[name](target))
                red, unproven, rounds = red + target.red, unproven + target.unproven, rounds + target.rounds
                landed = target.landed
            else:
                policy = TrainPolicy(confirms=False, proof=Proof(name))
                train = _played(
                    count, 0.05, workers, policy, lambda items: not is_red([int(i) for i in items])
                )
                positions = [[int(item) for item in position] for position in train.positions]
                red, rounds = red + sum(is_red(position) for position in positions), rounds + train.now
                landed = [int(item) for item in train.landed]
                worst += sum(is_red(position) for position in positions)
            differs += landed != _serial(count, is_red)
        cells = {
            "planner": f"train, {name}" if name in list(Proof) else name,
            "rounds": f"{rounds / seeds:.1f}",
            "red positions": f"{red:.0f}",
            "positions without a test": f"{unproven:.0f}",
            "queues that differ from serial landing": f"{differs:.0f}",
        }
        rows.append(
            TrainRow(case=f"6 pairs that fail together, K = {workers}", cells=cells, is_first=not rows)
        )
    return [*rows, Limit(case="pairs: red positions of the train", maingate=worst, asked=0, unit="")]


def _serial(count: int, is_red: Callable[[Sequence[int]], bool]) -> list[int]:
    landed: list[int] = []
    for item in range(count):
        if not is_red([*landed, item]):
            landed.append(item)
    return landed


# -- time of a step ------------------------------------------------------------------------------------------


def _steps() -> Figures:
    return [
        Limit(
            case=f"step of the planner, {count} items, K = 16", maingate=_step(count), asked=asked, unit="ms"
        )
        for count, asked in ((1_000, 20), (10_000, 250))
    ]


def _step(count: int, workers: int = 16, steps: int = 60) -> float:
    """Return the longest processor time, in milliseconds, of the steps at the beginning of a long queue."""
    draw = random.Random(count)  # noqa: S311 - items to try
    items = [TrainItem(id=f"workstream-{at}", risk=draw.choice((0.02, 0.05, 0.1))) for at in range(count)]
    bad = {item.id for item in items if draw.random() < item.risk}
    facts, running = TrainFacts(), dict[str, WantedRun]()
    facts.root.record(ChainRun(id="base", passed=True, started=-1, ended=-1))
    took = []
    for step in range(steps):
        state = TrainState(
            facts=facts, items=items, running=running, workers=workers, policy=TrainPolicy(flake_rate=0.01)
        )
        before = time.process_time()
        plan = plan_train(state)
        took.append(1000 * (time.process_time() - before))
        running = {**plan.keep, **{f"run-{step}-{at}": wanted for at, wanted in enumerate(plan.start)}}
        for chain in plan.land:
            items = items[len(chain.items()) :]
            facts.landed(chain)
        if plan.blame is not None:
            items = [item for item in items if item.id != plan.blame]
            facts.left(plan.blame)
        if running:
            run_id = draw.choice(sorted(running))
            wanted = running.pop(run_id)
            passed = bad.isdisjoint(wanted.chain.items())
            facts.record(wanted, ChainRun(id=run_id, passed=passed, started=step - 0.5, ended=step))
    return max(took)
