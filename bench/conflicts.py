"""Conflicts of branches before anything runs, beside the floor of the same run: `git merge-tree` for each.

Whole commands are measured by the processor time that they and their children take, start-up included. The
floor merges each branch with the target alone, in one process for each; `land --dry-run` reads their patches,
judges them, and merges them with one another as well.
"""

import statistics
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import repository
from bench.figures import Limit
from bench.large import processor_time

BRANCHES, FILES, LINES = 200, 600, 20
ASKED: Final[Mapping[str, float]] = {"apart": 4.0, "moved": 4.0, "together": 6.0}
"""How many times the floor each may take at most."""
CASES = tuple(ASKED)
_TITLES: Final = {
    "apart": "each branch changes a file of its own",
    "moved": "the target has changed the same files in other places",
    "together": "all branches change one line of one file",
}
_GIT: Final = (
    'for branch in $(git for-each-ref --format="%(refname)" refs/heads/agent); do '
    'git merge-tree --write-tree main "$branch"; done'
)


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Limit]:
    """Measure the dry run of 200 branches in turn with the floor."""
    return [_limit(case, _stage(folder / case, case), rounds=rounds) for case in CASES if case in cases]


def _limit(case: str, stage: Path, *, rounds: int) -> Limit:
    command = [sys.executable, "-m", "maingate", "land", "agent/*", "--dry-run", "--json"]
    ratios = []
    for turn in range(rounds + 1):
        floor = processor_time(["sh", "-c", _GIT], stage)
        took = processor_time(command, stage)
        if turn:
            ratios.append(took / floor)
    return Limit(
        case=f"land --dry-run, {BRANCHES} branches: {_TITLES[case]}",
        maingate=statistics.median(ratios),
        asked=ASKED[case],
        unit="x git merge-tree of each",
    )


def _stage(folder: Path, case: str) -> Path:
    """Make a repository with branches that were begun on a commit which the target has left behind."""
    made = repository.make(folder)
    (made / "maingate.toml").write_text('[gates.noop]\nrun = "true"\n')
    for number in range(FILES):
        path = made / _name(number)
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(_lines(number)))
    repository.commit(made, "base")
    base = repository.git(made, "rev-parse", "HEAD")
    branches = [_commit(f"refs/heads/agent/{n:03}", base, *_change(case, n)) for n in range(BRANCHES)]
    _import(made, branches)
    for number in range(BRANCHES if case == "moved" else 1):
        _edit(made / _name(number if case == "moved" else FILES - 1), 17, "moved")
    repository.commit(made, "moved on")
    return made


def _change(case: str, number: int) -> tuple[str, str]:
    """Return the file that a branch changes, and its new text."""
    at = 0 if case == "together" else number
    lines = _lines(at)
    lines[3] = f"branch {number}\n"
    return _name(at), "".join(lines)


def _name(number: int) -> str:
    return f"d{number % 20}/f{number}.txt"


def _lines(number: int) -> list[str]:
    return [f"line {line} of {number}\n" for line in range(LINES)]


def _edit(path: Path, line: int, text: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines[line] = f"{text}\n"
    path.write_text("".join(lines))


def _commit(ref: str, base: str, name: str, text: str) -> str:
    head = f"commit {ref}\ncommitter Bench <bench@example.org> 1700000000 +0000\ndata 7\nchange\n"
    return f"{head}\nfrom {base}\nM 100644 inline {name}\ndata {len(text)}\n{text}\n"


def _import(folder: Path, commits: Sequence[str]) -> None:
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input="".join(commits).encode(), check=True)
