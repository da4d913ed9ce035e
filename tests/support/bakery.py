"""A bakery's repository and one plan for it in which everything happens that can happen to a plan.

A chapter is a workstream; its patches are files of the menu. Where the story waits for its teller, a command
writes a mark when it begins, and goes on when it is let.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.crashing import World, wait_until
from support.landing import write_plan

LANDED: Final = "landed"
ROLLED_BACK: Final = "rolled back"
DONE: Final = "done"

OUTCOMES: Final = {
    "bread/cheaper": LANDED,
    "bread/rolls": LANDED,
    "baker/pie": LANDED,
    "apprentice/tart": LANDED,
    "sleeper/nap": "failed: tool_timeout",
    "oven/pretzel": LANDED,
    "quarrel/dearer": "refused: conflict",
    "spy/recipe": "refused: policy_violation",
    "careless/air": "refused: gate_failed",
    "supplier/flour": LANDED,
    "kitchen/knead": DONE,
    "trend/kale": ROLLED_BACK,
    "night/lights": LANDED,
}
"""The end of each task."""

INCIDENTS: Final = {
    "breakers that opened": 1,
    "tasks tried again: execution_failed": 3,
    "tasks tried again: worker_lost": 1,
    "decisions about a circuit_breaker": 1,
    "rollbacks": 1,
}
"""What went wrong on the way, and how often."""

MENU: Final = ["bread", "flour", "lights", "pie", "pretzel", "roll", "tart"]
"""What is on the menu in the end."""

UNIT: Final = (
    'for item in menu/*; do test -s "prices/${item#menu/}" || { echo "no price: $item"; exit 1; }; done'
)
BAKES: Final = "mkdir -p menu prices && echo {item} > menu/{item} && echo 500 > prices/{item}"
"""What a tool does that works."""

ENVIRONMENT: Final = {
    "MAINGATE_RETRY_DELAY": "0.01",
    "MAINGATE_RETRY_DELAY_MAX": "0.05",
    "MAINGATE_BREAKER_THRESHOLD": "2",
    "MAINGATE_BREAKER_COOLDOWN": "1h",
    "MAINGATE_KILL_GRACE": "0.2",
}
"""Settings with which what is tried again is tried again soon, and a breaker is closed by a person alone."""


@dataclass(frozen=True, kw_only=True)
class Bakery:
    """The world of the story.

    Args:
        world: The repository, and the command line in it.
    """

    world: World

    @classmethod
    def create(cls, folder: Path, **environment: str) -> "Bakery":
        """Make the repository, and the plan of the story.

        Args:
            folder: Where everything is.
            **environment: More variables for every command.
        """
        world = World.create(folder, {"menu/bread": "bread\n", "prices/bread": "300\n"})
        world.environment = {**ENVIRONMENT, **environment}
        bakery = cls(world=world)
        (folder / "marks").mkdir()
        bakery._write_plan()
        return bakery

    def let(self, name: str) -> None:
        """Let a command go on."""
        self._mark(f"{name}.go").touch()

    def until_begun(self, name: str, times: int = 1) -> None:
        """Wait until a command has begun so many times."""
        mark = self._mark(f"{name}.begun")
        wait_until(lambda: mark.exists() and len(mark.read_text().split()) >= times, f"{name}, {times} times")

    def _mark(self, name: str) -> Path:
        return self.world.folder / "marks" / name

    def _waits(self, name: str) -> str:
        """Return a command that says that it has begun, and goes on when it is let."""
        begun, go = self._mark(f"{name}.begun"), self._mark(f"{name}.go")
        return f"echo begun >> {begun}; until test -e {go}; do sleep 0.01; done"

    def _at_first(self, name: str, fails: str) -> str:
        """Return a command that fails until a file is there, which it writes itself."""
        mark = self._mark(name)
        return f"test -e {mark} || {{ touch {mark}; {fails}; }}"

    # -- the plan --------------------------------------------------------------------------------------------

    def _write_plan(self) -> None:
        patches = {
            "cheaper.patch": self._diff({"prices/bread": "250\n"}),
            "rolls.patch": self._diff(_item("roll")),
            "pretzel.patch": self._diff(_item("pretzel")),
            "dearer.patch": self._diff({"prices/bread": "900\n"}),
            "recipe.patch": self._diff({"secrets/recipe": "more butter\n"}),
            "air.patch": self._diff({"menu/air": "air\n"}),
            "kale.patch": self._diff(_item("kale")),
            "lights.patch": self._diff(_item("lights")),
        }
        plan = {
            "name": "the bakery",
            "target": "main",
            "gates": self._gates(),
            "tools": self._tools(),
            "workstreams": {name: _signed(name, chapter) for name, chapter in self._chapters().items()},
        }
        write_plan(self.world.plan.parent, plan, patches)

    def _diff(self, files: Mapping[str, str]) -> bytes:
        return self.world.repo.diff_of({**files})

    def _gates(self) -> dict[str, Any]:
        return {
            "lint": {"type": "LINT", "run": "! grep -rn ' $' menu prices"},
            "unit": {"run": UNIT, "needs": ["lint"]},
            "taste": {"run": self._at_first("taste", "exit 1"), "retries": 1, "on": []},
            "inspection": {"type": "INTEGRATION", "run": self._waits("inspection"), "on": []},
        }

    def _tools(self) -> dict[str, Any]:
        repaired = self._mark("supplier.go")
        return {
            "baker": {"run": BAKES.format(item="pie")},
            "apprentice": {"run": f"{self._at_first('tart', 'exit 1')} && {BAKES.format(item='tart')}"},
            "sleeper": {"run": "sleep 600", "timeout": 0.3},
            "supplier": {"run": f"test -e {repaired} && {BAKES.format(item='flour')}"},
        }

    def _chapters(self) -> dict[str, Any]:
        """Return the workstreams; those that may fail are not critical."""
        return {
            "bread": {"tasks": {"cheaper": _ready("cheaper"), "rolls": _ready("rolls", needs=["cheaper"])}},
            "baker": {"tasks": {"pie": _made_by("baker")}},
            "apprentice": {"tasks": {"tart": _made_by("apprentice")}},
            "sleeper": {"critical": False, "tasks": {"nap": _made_by("sleeper", max_retries=0)}},
            "oven": {"tasks": {"pretzel": _ready("pretzel", gates=["lint", "unit", "taste"])}},
            "quarrel": {"critical": False, "tasks": {"dearer": _ready("dearer")}},
            "spy": {"critical": False, "tasks": {"recipe": _ready("recipe")}},
            "careless": {"critical": False, "tasks": {"air": _ready("air")}},
            "supplier": {"tasks": {"flour": _made_by("supplier", max_retries=5)}},
            "kitchen": {"needs": ["supplier"], "tasks": {"knead": {"command": self._waits("knead")}}},
            "trend": {"tasks": {"kale": _ready("kale")}},
            "night": {
                "needs": ["kitchen", "trend"],
                "gates": ["unit", "inspection"],
                "tasks": {"lights": _ready("lights")},
            },
        }


def _item(name: str) -> dict[str, str]:
    """Return an item with its price."""
    return {f"menu/{name}": f"{name}\n", f"prices/{name}": "500\n"}


def _signed(name: str, chapter: dict[str, Any]) -> dict[str, Any]:
    """Have the commit of each patch named like its task."""
    tasks = {
        task: keys if "command" in keys else {"message": f"{name}/{task}", **keys}
        for task, keys in chapter["tasks"].items()
    }
    return {**chapter, "tasks": tasks}


def _ready(patch: str, **task: Any) -> dict[str, Any]:
    return {"patch": f"{patch}.patch", **task}


def _made_by(tool: str, **task: Any) -> dict[str, Any]:
    return {"tool": tool, "prompt": "bake", **task}
