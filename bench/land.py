"""Landing ready patches, beside ``git am`` and beside a shell loop of ``git apply``, gate and ``git commit``.

Whole commands are timed, from a fresh clone to the last patch on the branch, start-up included.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import repository
from bench.figures import Figure, rates

PATCHES = 500
GATED_PATCHES = 600
FILES_IN_A_DIRECTORY = 40
LINES = 60
SEED = 20260101
GATE = "true"
SIZES = {"small": 300, "large": 5500}
CASES = (*SIZES, "gated")
LOOP = (
    f'for p in "$1"/*.patch; do git apply --index "$p" && sh -c {GATE} && '
    'git commit -qm "$(basename "$p")" || exit 1; done'
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A repository, and patches in order as loose diffs and as a mailbox; all give the same final tree."""

    origin: Path
    patches: Path
    mailbox: Path
    plan: str
    tree: str


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Figure]:
    """Measure landing without gates on two sizes of repository, and with a gate that does nothing."""
    figures: list[Figure] = []
    for size, files in SIZES.items():
        if size in cases:
            stage = _stage(folder / size, files=files, patches=PATCHES, gate=False)
            figures += rates(
                f"{PATCHES} patches, {files} files, no gate",
                count=PATCHES,
                unit="patches/s",
                maingate=partial(_maingate, stage),
                peers={"git am": partial(_git_am, stage)},
                rounds=rounds,
            )
    if "gated" in cases:
        stage = _stage(folder / "gated", files=300, patches=GATED_PATCHES, gate=True)
        figures += rates(
            f"{GATED_PATCHES} patches, 300 files, no-op gate, 2 workers",
            count=GATED_PATCHES,
            unit="patches/s",
            maingate=partial(_maingate, stage),
            peers={"shell loop": partial(_shell_loop, stage)},
            rounds=rounds,
        )
    return figures


def _maingate(stage: Stage) -> float:
    command = [sys.executable, "-m", "maingate", "run", "{clone}/../plan.yaml", "--workers", "2", "--json"]
    return _timed(stage, command, plan=True)


def _git_am(stage: Stage) -> float:
    return _timed(stage, ["git", "am", "-q", str(stage.mailbox)])


def _shell_loop(stage: Stage) -> float:
    return _timed(stage, ["sh", "-c", LOOP, "loop", str(stage.patches)])


def _timed(stage: Stage, command: Sequence[str], *, plan: bool = False) -> float:
    """Run a command in a fresh clone; make sure that it did the work; return the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="round-", dir=stage.origin.parent) as folder:
        clone = Path(folder) / "clone"
        repository.git(stage.origin, "clone", "-q", str(stage.origin), str(clone))
        if plan:
            (clone.parent / "plan.yaml").write_text(stage.plan.replace("{clone}", str(clone)))
        words = [word.replace("{clone}", str(clone)) for word in command]
        began = time.perf_counter()
        done = subprocess.run(
            words, cwd=clone, capture_output=True, check=False, env=repository.environment()
        )
        took = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{words} failed:\n{done.stderr.decode(errors='replace')}")
        tree = repository.git(clone, "rev-parse", "HEAD^{tree}")
        if tree != stage.tree:
            raise SystemExit(f"{words[:4]} made the tree {tree}, not {stage.tree}")
        return took


def _stage(folder: Path, *, files: int, patches: int, gate: bool) -> Stage:
    """Make a repository of text files and a series of edits to one or two of them each."""
    chance = random.Random(SEED)  # noqa: S311 - the same repository every time
    origin = repository.make(folder / "origin")
    names = [f"d{at // FILES_IN_A_DIRECTORY}/f{at}.txt" for at in range(files)]
    for name in names:
        path = origin / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"line {line} {chance.random()}\n" for line in range(LINES)))
    repository.commit(origin, "base")
    base = repository.git(origin, "rev-parse", "HEAD")
    for number in range(patches):
        for name in chance.sample(names, chance.choice((1, 1, 2))):
            lines = (origin / name).read_text().splitlines(keepends=True)
            lines[chance.randrange(len(lines))] = f"patch {number} {chance.random()}\n"
            (origin / name).write_text("".join(lines))
        repository.commit(origin, f"patch {number}")
    tree = repository.git(origin, "rev-parse", "HEAD^{tree}")
    out = folder / "patches"
    repository.git(origin, "format-patch", "-q", "--full-index", "-o", str(out), f"{base}..HEAD")
    mailbox = folder / "series.mbox"
    mailbox.write_bytes(b"".join(path.read_bytes() for path in sorted(out.iterdir())))
    repository.git(origin, "reset", "-q", "--hard", base)
    repository.git(origin, "gc", "-q")
    return Stage(origin=origin, patches=out, mailbox=mailbox, plan=_plan(out, gate=gate), tree=tree)


def _plan(patches: Path, *, gate: bool) -> str:
    """Make the plan: one workstream, a task for every patch, in order."""
    tasks = {path.stem.split("-")[0]: {"patch": str(path)} for path in sorted(patches.iterdir())}
    plan = {
        "maingate": 1,
        "name": "bench",
        "repo": "{clone}",
        "target": "main",
        "gates": {"noop": {"run": GATE}} if gate else {},
        "workstreams": {"series": {"tasks": tasks}},
    }
    return json.dumps(plan, indent=1)
