"""What a command takes besides its work, beside the floor of the same run: a Python that imports SQLAlchemy.

Each is the processor time of a whole command, start and end of the interpreter included, in a repository with
one small run, so that next to nothing is left but the start.
"""

import statistics
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bench import repository
from bench.figures import Limit
from bench.large import processor_time

READING, RUNNING = 1.5, 3.0
ASKED: Mapping[str, float] = {
    "version": 0.5,
    "status": READING,
    "status-json": READING,
    "runs": READING,
    "patch-show": READING,
    "events": READING,
    "quarantine": READING,
    "run": RUNNING,
}
"""How many times the floor each may take at most."""
CASES = tuple(ASKED)

_COMMANDS: Mapping[str, Sequence[str]] = {
    "version": ["--version"],
    "status": ["status"],
    "status-json": ["status", "--json"],
    "runs": ["runs"],
    "patch-show": ["patch", "show", "w/t"],
    "events": ["events"],
    "quarantine": ["quarantine"],
    "run": ["run", "../plan-{turn}.yaml"],
}


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Limit]:
    """Measure each command in turn with the floor."""
    made = repository.make(folder / "repository")
    (made / "a.txt").write_text("a\n")
    repository.commit(made, "base")
    _run(made, _plan(folder, "first"))
    return [_limit(case, made, rounds=rounds) for case in cases]


def _limit(case: str, made: Path, *, rounds: int) -> Limit:
    ratios = []
    for turn in range(rounds + 1):
        _plan(made.parent, str(turn))
        words = [word.replace("{turn}", str(turn)) for word in _COMMANDS[case]]
        floor = processor_time([sys.executable, "-c", "import sqlalchemy"], made)
        took = _run(made, words)
        if turn:
            ratios.append(took / floor)
    title = "run, one patch" if case == "run" else " ".join(_COMMANDS[case])
    ratio = statistics.median(ratios)
    return Limit(case=title, maingate=ratio, asked=ASKED[case], unit="x import sqlalchemy")


def _run(made: Path, words: Sequence[str]) -> float:
    return processor_time([sys.executable, "-m", "maingate", *words], made)


def _plan(folder: Path, name: str) -> Sequence[str]:
    """Write a plan of one patch without gates, and return the command that runs it."""
    header = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    (folder / f"{name}.diff").write_text(f"{header}@@ -0,0 +1 @@\n+x\n")
    plan = folder / f"plan-{name}.yaml"
    plan.write_text(f"maingate: 1\nworkstreams:\n  w:\n    tasks:\n      t: {{patch: {name}.diff}}\n")
    return ["run", f"../{plan.name}"]
