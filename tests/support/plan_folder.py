"""Plans that tests write and load, or are refused."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from maingate.errors import PlanError
from maingate.plan.loader import LoadedPlan, load_plan


@dataclass(frozen=True)
class PlanFolder:
    """Where a plan and its patches are written."""

    path: Path

    def write(self, text: str, *, name: str = "plan.yaml") -> Path:
        """Write a plan file."""
        file = self.path / name
        file.write_text(dedent(text), encoding="utf-8")
        return file

    def load(
        self, text: str, *, name: str = "plan.yaml", environ: dict[str, str] | None = None
    ) -> LoadedPlan:
        """Write and load a plan."""
        return load_plan(self.write(text, name=name), cwd=self.path, environ=environ)

    def problems(
        self, text: str, *, name: str = "plan.yaml", environ: dict[str, str] | None = None
    ) -> list[str]:
        """Write a plan that is refused and return what is wrong with it, one line each."""
        with pytest.raises(PlanError) as refused:
            self.load(text, name=name, environ=environ)
        return [str(problem).replace(f"{self.path}/", "") for problem in refused.value.problems]

    def one_task(self, task: str, *, head: str = "") -> str:
        """Return a plan with one task, written in flow style."""
        return f"maingate: 1\n{head}\nworkstreams: {{w: {{tasks: {{t: {task}}}}}}}\n"
