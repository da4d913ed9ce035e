"""Random small plans, one or several on one target: patches are good, refused, red or in conflict."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from maingate.plan.choices import Proof
from maingate.plan.model import Plan

ALWAYS = 99
BASE = {"shared": "base", "readme": "hello"}


LIMIT = "refused by the provider"
TOOL = {"run": ["agent", "{prompt_file}"], "rate_limit": [LIMIT]}


@dataclass(frozen=True, kw_only=True)
class Plays:
    """What comes of a tool, attempt by attempt.

    Args:
        bad: How it fails at first.
        is_hopeless: Whether it fails like the last time ever after.
        path: The file that it makes in the end.
        text: What is in it.
    """

    bad: tuple[str, ...]
    is_hopeless: bool
    path: str
    text: str

    def play(self, number: int) -> str:
        """Say how an attempt ends, from 0."""
        if number < len(self.bad):
            return self.bad[number]
        return self.bad[-1] if self.is_hopeless else "good"

    def left(self, play: str) -> bytes:
        """Return the diff that the tool leaves."""
        match play:
            case "failed" | "nothing" | "limited":
                return b""
            case "garbage":
                return b"garbage"
            case _:
                path = "secrets/key" if play == "forbidden" else self.path
                text = f"{self.text} {play}" if play.startswith("red:") else self.text
                return json.dumps({"path": path, "old": None, "new": text}).encode()


@dataclass(kw_only=True)
class PlanWorld:
    """A plan and what it is about.

    Args:
        plan: The plan.
        files: What is on the target at first.
        patches: The patch files by name.
        failures: How often each command fails before it ends well.
        plays: What each tool task's tool does.
    """

    plan: Plan
    files: dict[str, str]
    patches: dict[str, bytes]
    failures: dict[str, int]
    plays: dict[str, Plays]


@dataclass
class _Maker:
    """Makes a plan.

    Args:
        letter: What the names of its workstreams begin with, so that no two plans have the same.
        workstreams: How many it may have.
        tasks: How many each of them may have.
        proof: Which positions of the target must have passed.
    """

    random: Random
    letter: str = ""
    workstreams: Sequence[int] = (1, 2, 2, 3, 3, 4, 5)
    tasks: Sequence[int] = (1, 1, 2, 2, 3, 4, 6)
    proof: Proof = Proof.REF
    patches: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=lambda: dict(BASE))
    plays: dict[str, Plays] = field(default_factory=dict)
    on_tasks: list[str] = field(default_factory=list)

    def chance(self, likely: float) -> bool:
        return self.random.random() < likely

    def some(self, names: list[str], likely: float) -> list[str]:
        return [name for name in names if self.chance(likely)]

    def plan(self, given: Mapping[str, Any] | None = None) -> PlanWorld:
        """Make it, with gates that are given or with its own."""
        gates = self.gates() if given is None else given
        self.on_tasks = [name for name, gate in gates.items() if "task" in gate.get("on", ["task"])]
        if given is None and gates and self.chance(0.03):
            self.files["readme"] = "red:lint"
        names = [f"{self.letter}w{number}" for number in range(self.random.choice(self.workstreams))]
        streams = {name: self.workstream(name, names[:at], list(gates)) for at, name in enumerate(names)}
        plan = {
            "maingate": 1,
            "name": f"simulated{self.letter}",
            "target": "main",
            "landing": self.random.choice(("merge", "squash", "rebase")),
            "proof": self.proof,
            "gates": gates,
            "tools": {"one": TOOL, "two": TOOL | {"max_concurrent": 1}},
            "overlap": self.random.choice(("serial", "serial", "allow")),
            "workstreams": streams,
        }
        return PlanWorld(
            plan=Plan.model_validate(plan),
            files=self.files,
            patches=self.patches,
            failures=self.failures,
            plays=self.plays,
        )

    def gates(self) -> dict[str, Any]:
        """Make gates that all say on what they are run."""
        gates: dict[str, Any] = {
            name: {"run": "true", "on": self.random.choice((["task"], ["landing"], ["task", "landing"]))}
            for name in ("lint", "unit")[: self.random.randint(0, 2)]
        }
        if len(gates) == 2 and self.chance(0.3):
            gates["unit"]["needs"] = ["lint"]
        for gate in gates.values():
            gate.update({"exclusive": self.chance(0.1), "retries": int(self.chance(0.2))})
        return gates

    def workstream(self, name: str, before: list[str], gates: list[str]) -> dict[str, Any]:
        tasks: dict[str, Any] = {}
        for number in range(self.random.choice(self.tasks)):
            made = self.task(name, number, gates)
            tasks[f"t{number}"] = made | {
                "needs": self.some(list(tasks), 0.25),
                "critical": self.chance(0.75),
            }
        return {
            "tasks": tasks,
            "needs": self.some(before, 0.25),
            "critical": self.chance(0.7),
            "priority": self.random.choice((0, 0, 0, 1)),
        }

    def task(self, stream: str, number: int, gates: list[str]) -> dict[str, Any]:
        label = f"{stream}/t{number}"
        kind = self.random.random()
        if kind < 0.1:
            return {"noop": True}
        if kind < 0.25:
            self.failures[label] = self.random.choice((0, 0, 0, 1, 2, ALWAYS))
            return {"command": "true", "max_retries": 2}
        if kind < 0.4:
            return self.tool(stream, number, [name for name in gates if name in self.on_tasks])
        name = f"{stream}-t{number}.patch"
        self.patches[name] = self.patch(stream, number, gates)
        return {"patch": name}

    def tool(self, stream: str, number: int, gates: list[str]) -> dict[str, Any]:
        label = f"{stream}/t{number}"
        bad = ["failed", "nothing", "garbage", "forbidden", *(f"red:{gate}" for gate in gates)]
        count = self.random.choice((0, 0, 1, 1, 2, ALWAYS))
        plays = [self.random.choice(bad) for _ in range(min(count, 2))]
        if self.chance(0.2):
            plays.insert(0, "limited")
        self.plays[label] = Plays(
            bad=tuple(plays), is_hopeless=count == ALWAYS, path=f"{stream}/{number}", text=f"<{label}>"
        )
        task: dict[str, Any] = {"tool": self.random.choice(("one", "two")), "max_retries": 2}
        return task | {"scope": [f"{stream}/{number}"] if self.chance(0.6) else None}

    def patch(self, stream: str, number: int, gates: list[str]) -> bytes:
        kind = self.random.random()
        marker = f"<{stream}/t{number}>"
        path, old, new = f"{stream}/{number}", None, marker
        if kind < 0.04:
            return b"garbage"
        if kind < 0.07:
            path = "secrets/key"
        elif kind < 0.10:
            old = "what is not there"
        elif kind < 0.18:
            path, old = "shared", "base"
        elif kind < 0.28 and number:
            path, old = f"{stream}/{number - 1}", f"<{stream}/t{number - 1}>"
            new = old + marker
        elif kind < 0.36 and gates:
            new = f"{marker} red:{self.random.choice(gates)}"
        elif kind < 0.50 and gates:
            new = f"{marker} {self.random.choice(('left', 'right'))}:{self.random.choice(gates)}"
        return json.dumps({"path": path, "old": old, "new": new}).encode()


def make_plan(seed: int) -> PlanWorld:
    """Make the plan of a seed that plays one run."""
    return _Maker(Random(f"{seed} plan"), proof=_proof(seed)).plan()


def make_plans(seed: int) -> list[PlanWorld]:
    """Make the plans of a seed that plays several runs on one target; most have the same gates.

    A gate that does not say on what it is run is one of the merged result, and of patches once that is red.
    """
    random = Random(f"{seed} plans")
    makers = [
        _Maker(
            Random(f"{seed} plan {letter}"),
            letter=letter,
            workstreams=(1, 1, 2, 2, 3),
            tasks=(1, 1, 2, 3),
            proof=_proof(seed),
        )
        for letter in "abcd"[: random.choice((2, 2, 3, 3, 4))]
    ]
    common = makers[0].gates()
    for gate in common.values():
        if random.random() < 0.6:
            del gate["on"]
    if common and random.random() < 0.03:
        for maker in makers:
            maker.files["readme"] = "red:lint"
    return [maker.plan(maker.gates() if random.random() < 0.25 else deepcopy(common)) for maker in makers]


def _proof(seed: int) -> Proof:
    """Choose the proof of a seed's plans by a chance of its own, so that all else of the seed stays."""
    return Random(f"{seed} proof").choice((*[Proof.REF] * 5, *[Proof.COMMIT] * 2, Proof.LATER))
