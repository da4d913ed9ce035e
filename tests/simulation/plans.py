"""Random small plans, with patches that are good, refused, red or in conflict."""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from headgate.plan.model import Plan

ALWAYS = 99
BASE = {"shared": "base", "readme": "hello"}


@dataclass(kw_only=True)
class PlanWorld:
    """A plan and what it is about.

    Args:
        plan: The plan.
        files: What is on the target at first.
        patches: The patch files by name.
        failures: How often each command fails before it ends well.
    """

    plan: Plan
    files: dict[str, str]
    patches: dict[str, bytes]
    failures: dict[str, int]


@dataclass
class _Maker:
    random: Random
    patches: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=lambda: dict(BASE))

    def chance(self, likely: float) -> bool:
        return self.random.random() < likely

    def some(self, names: list[str], likely: float) -> list[str]:
        return [name for name in names if self.chance(likely)]

    def plan(self) -> PlanWorld:
        gates: dict[str, Any] = {
            name: {"run": "true", "on": self.random.choice((["task"], ["landing"], ["task", "landing"]))}
            for name in ("lint", "unit")[: self.random.randint(0, 2)]
        }
        if len(gates) == 2 and self.chance(0.3):
            gates["unit"]["needs"] = ["lint"]
        for gate in gates.values():
            gate.update({"exclusive": self.chance(0.1), "retries": int(self.chance(0.2))})
        if gates and self.chance(0.03):
            self.files["readme"] = "red:lint"
        names = [f"w{number}" for number in range(self.random.choice((1, 2, 2, 3, 3, 4, 5)))]
        streams = {name: self.workstream(name, names[:at], list(gates)) for at, name in enumerate(names)}
        plan = {
            "headgate": 1,
            "name": "simulated",
            "target": "main",
            "landing": self.random.choice(("merge", "squash", "rebase")),
            "gates": gates,
            "workstreams": streams,
        }
        return PlanWorld(
            plan=Plan.model_validate(plan), files=self.files, patches=self.patches, failures=self.failures
        )

    def workstream(self, name: str, before: list[str], gates: list[str]) -> dict[str, Any]:
        tasks: dict[str, Any] = {}
        for number in range(self.random.choice((1, 1, 2, 2, 3, 4, 6))):
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
        name = f"{stream}-t{number}.patch"
        self.patches[name] = self.patch(stream, number, gates)
        return {"patch": name}

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
    """Make the plan of a seed."""
    return _Maker(Random(f"{seed} plan")).plan()
