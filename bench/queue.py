"""Landing branches by one command, beside a shell loop that merges and tests them one by one.

Whole commands are timed on a fresh clone. After each run the files on the branch are compared with those that
are due, so a figure of a run that landed something else does not exist.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import repository
from bench.figures import Figure, Limit

CASES = ("branches", "green", "failing", "twenty", "sixteen", "ten")

_LOOP = (
    'for b in $(git for-each-ref --format="%(refname:short)" refs/heads/agent); do '
    'git merge -q --no-ff -m "merge $b" "$b" >/dev/null 2>&1 || { git merge --abort; continue; }; '
    'sh -c "$GATE" || git reset -q --hard HEAD~1; done'
)

_PART_THAT_FAILS = 20
"""One of so many branches fails, in `failing`."""


@dataclass(frozen=True, kw_only=True)
class Branches:
    """A repository with branches of one commit, and what is to be on the target in the end.

    Args:
        origin: The repository.
        due: The files that land.
        gate: The gate's command; none where it is empty.
        workers: Runs of the gate at once.
        refused: Whether some are refused, so that the command ends with 1.
    """

    origin: Path
    due: Sequence[str]
    gate: str = ""
    workers: int = 2
    refused: bool = False


@dataclass(kw_only=True)
class Timed:
    """Rounds of one contender.

    Args:
        seconds: The time of each.
        runs: The gate's executions in each.
    """

    seconds: list[float] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Figure | Limit]:
    """Measure landing with and without gates, with branches that are right and some that are not."""
    figures: list[Figure | Limit] = []
    if "branches" in cases:
        stage = _stage(folder / "branches", {f"b{at:03}": {f"new/{at}": "x\n"} for at in range(512)})
        figures += _compare("512 branches, 600 files, no gate", stage, rounds=rounds, asked=1 / 0.3)
    right = {f"b{at:02}": {f"new/{at}": "x\n"} for at in range(64)}
    if "green" in cases:
        stage = _stage(folder / "green", right, gate="sleep 0.3", workers=8)
        figures += _compare("64 right branches, gate 0.3 s, 8 workers", stage, rounds=rounds, asked=20)
    if "failing" in cases:
        wrong = {f"b{at:02}": {f"bad/{at}": "x\n"} for at in range(9, 64, _PART_THAT_FAILS)}
        stage = _stage(
            folder / "failing", right | wrong, gate="sleep 0.3; ! test -e bad", workers=4, left_out=[*wrong]
        )
        figures += _compare(
            "64 branches of which 3 are red, gate 0.3 s, 4 workers", stage, rounds=rounds, asked=6
        )
    if "twenty" in cases:
        stage = _twenty(folder / "twenty")
        figures += _compare(
            "20 branches of which 16 are right, gate 1 s, 2 workers",
            stage,
            rounds=rounds,
            asked=1 / 0.8,
            runs=22,
        )
    if "sixteen" in cases:
        stage = _stage(folder / "sixteen", dict(list(right.items())[:16]), gate="sleep 1")
        figures += _compare("16 right branches, gate 1 s, 2 workers", stage, rounds=rounds, runs=3)
    if "ten" in cases:
        stage = _stage(folder / "ten", dict(list(right.items())[:10]), gate="sleep 1", workers=8)
        figures += _at_once(stage, rounds=rounds)
    return figures


def _at_once(stage: Branches, *, rounds: int) -> Sequence[Figure | Limit]:
    """Start a command for each branch at one moment, beside one after the other, and beside dry runs at once.

    The dry runs land nothing: they are the floor, ten programs that start and read the repository.
    """
    command = f"{sys.executable} -m maingate land $b --into main"
    gate = f"--gate 'unit={stage.gate}' --workers {stage.workers}"
    each = 'for b in $(git for-each-ref --format="%(refname:short)" refs/heads/agent); do'
    at_once = "& done; for p in $(jobs -p); do wait $p || exit 1; done"
    scripts = {
        "ours": f"{each} {command} {gate} >/dev/null {at_once}",
        "in turn": f"{each} {command} {gate} >/dev/null || exit 1; done",
        "floor": f"{each} {command} {gate} --dry-run >/dev/null {at_once}",
    }
    timed = {name: Timed() for name in scripts}
    for turn in range(rounds + 1):
        for name, script in scripts.items():
            due = () if name == "floor" else stage.due
            seconds, _ = _timed(replace(stage, due=due), ["bash", "-c", script], codes={0})
            if turn:
                timed[name].seconds.append(seconds)
    ours, others = timed["ours"].seconds, {"one by one": "in turn", "dry runs at once": "floor"}
    case = "10 commands at once, gate 1 s, 8 workers each"
    figures = [
        Figure(
            case=case,
            maingate=statistics.median(ours),
            peer=peer,
            other=statistics.median(timed[name].seconds),
            ratio=statistics.median(
                theirs / mine for mine, theirs in zip(ours, timed[name].seconds, strict=True)
            ),
            asked=None,
            unit="s",
        )
        for peer, name in others.items()
    ]
    return [*figures, Limit(case=f"{case}: in all", maingate=statistics.median(ours), asked=2.5, unit="s")]


def _twenty(folder: Path) -> Branches:
    """Make 20 branches: two are red, one conflicts with another, and one is red only with another."""
    edits: dict[str, dict[str, str]] = {f"b{at:02}": {f"new/{at}": "x\n"} for at in range(20)}
    edits["b04"] = {"bad/4": "x\n"}
    edits["b13"] = {"bad/13": "x\n"}
    edits["b07"] = {"shared": "seven\n"}
    edits["b09"] = {"shared": "nine\n"}
    edits["b11"] = {"left": "x\n"}
    edits["b16"] = {"right": "x\n"}
    gate = "sleep 1; ! test -e bad && ! { test -e left && test -e right; }"
    return _stage(folder, edits, gate=gate, left_out=["b04", "b09", "b13", "b16"])


def _compare(
    case: str, stage: Branches, *, rounds: int, asked: float | None = None, runs: int | None = None
) -> Sequence[Figure | Limit]:
    """Run the command and the loop in turn, after a warm-up of each."""
    ours, loop = Timed(), Timed()
    for turn in range(rounds + 1):
        for timed, run in ((ours, _maingate), (loop, _shell_loop)):
            seconds, executions = run(stage)
            if turn:
                timed.seconds.append(seconds)
                timed.runs.append(executions)
    figure = Figure(
        case=case,
        maingate=statistics.median(ours.seconds),
        peer="shell loop",
        other=statistics.median(loop.seconds),
        ratio=statistics.median(
            theirs / mine for mine, theirs in zip(ours.seconds, loop.seconds, strict=True)
        ),
        asked=asked,
        unit="s",
    )
    if runs is None:
        return [figure]
    limit = Limit(case=f"{case}: gate runs", maingate=max(ours.runs), asked=runs, unit="runs")
    return [figure, limit]


def _maingate(stage: Branches) -> tuple[float, int]:
    gates = ["--gate", f"unit={stage.gate}", "--workers", str(stage.workers)] if stage.gate else ["--no-gate"]
    words = [sys.executable, "-m", "maingate", "land", "agent/*", "--into", "main", "--json", *gates]
    seconds, said = _timed(stage, words, codes={int(stage.refused)})
    return seconds, json.loads(said)["gates"]["run"]


def _shell_loop(stage: Branches) -> tuple[float, int]:
    seconds, _ = _timed(stage, ["sh", "-c", _LOOP], codes={0, 1})
    return seconds, 0


def _timed(stage: Branches, words: Sequence[str], *, codes: Collection[int]) -> tuple[float, str]:
    """Run a command in a copy of the repository, check what landed, and return its seconds and output."""
    with tempfile.TemporaryDirectory(prefix="round-", dir=stage.origin.parent) as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["cp", "-r", str(stage.origin), str(clone)], check=True)
        environment = repository.environment() | {"GATE": stage.gate or "true"}
        began = time.perf_counter()
        done = subprocess.run(words, cwd=clone, capture_output=True, check=False, env=environment)
        took = time.perf_counter() - began
        if done.returncode not in codes:
            raise SystemExit(f"{words[:6]} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
        landed = repository.git(clone, "ls-tree", "-r", "--name-only", "main").splitlines()
        new = [path for path in landed if not path.startswith("d")]
        if sorted(new) != sorted(stage.due):
            raise SystemExit(
                f"{words[:6]} landed {sorted(set(new) ^ set(stage.due))[:9]} too much or too little"
            )
        return took, done.stdout.decode()


def _stage(
    folder: Path,
    edits: dict[str, dict[str, str]],
    *,
    gate: str = "",
    workers: int = 2,
    left_out: Collection[str] = (),
) -> Branches:
    """Make a repository of 600 files, and a branch of one commit for each edit."""
    origin = repository.make(folder / "origin")
    for at in range(600):
        path = origin / f"d{at % 20}" / f"f{at}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{at}\n")
    repository.commit(origin, "base")
    base = repository.git(origin, "rev-parse", "HEAD")
    stream = "".join(_commit(name, base, files) for name, files in edits.items())
    words = ["git", "fast-import", "--quiet"]
    subprocess.run(words, cwd=origin, input=stream.encode(), check=True)
    due = [path for name, files in edits.items() if name not in left_out for path in files]
    return Branches(origin=origin, due=due, gate=gate, workers=workers, refused=bool(left_out))


def _commit(name: str, base: str, files: dict[str, str]) -> str:
    changes = "".join(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items())
    who = "Bench <bench@example.org> 1700000000 +0000"
    return (
        f"commit refs/heads/agent/{name}\ncommitter {who}\ndata {len(name)}\n{name}\nfrom {base}\n{changes}\n"
    )
