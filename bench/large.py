"""Commands on large plans and runs, beside the floor of the same run: a Python that imports SQLAlchemy.

Whole commands are measured by the processor time that they take, start-up included, so that other work on the
machine disturbs less.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bench import repository
from bench.figures import Limit

WORKSTREAMS, TASKS, RECORDED, PAIRS, QUEUED = 300, 5_000, 50_000, 900, 1_000
ASKED: Mapping[str, float] = {
    "status": 2.0,
    "status-json": 2.0,
    "runs": 2.0,
    "dry-run": 5.0,
    "check": 25.0,
    "scopes": 5.0,
    "simulate": 40.0,
    "import": 60.0,
    "status-recorded": 30.0,
    "patches": 6.0,
    "events": 6.0,
    "audit": 60.0,
}
"""How many times the floor each may take at most."""
CASES = tuple(ASKED)

Command = Callable[[Path], Sequence[str]]


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Limit]:
    """Measure each command in turn with the floor."""
    small = (
        _recorded(folder / "small", _noops(WORKSTREAMS, 1))
        if {"status", "status-json", "runs"} & set(cases)
        else folder
    )
    recorded = {"status-recorded", "patches", "events", "audit"} & set(cases)
    large = _recorded(folder / "large", _noops(50, RECORDED // 50)) if recorded else folder
    plans = _plans(folder / "plans")
    told: dict[str, tuple[str, Path, Sequence[str]]] = {
        "status": (f"status, {WORKSTREAMS} workstreams", small, ["status"]),
        "status-json": (f"status --json, {WORKSTREAMS} workstreams", small, ["status", "--json"]),
        "runs": ("runs", small, ["runs"]),
        "dry-run": (f"run --dry-run, {TASKS:,} patches", plans, ["run", "--dry-run", "patches.json"]),
        "check": (f"plan check, {TASKS:,} workstreams", plans, ["plan", "check", "streams.json"]),
        "scopes": (
            f"plan check, {PAIRS} tools that may all write one file",
            plans,
            ["plan", "check", "tools.json"],
        ),
        "simulate": (
            f"plan simulate, {QUEUED:,} workstreams",
            plans,
            ["plan", "simulate", "queue.json"],
        ),
        "import": (
            f"plan import series, {TASKS:,} mails",
            plans,
            ["plan", "import", "series", "series.mbox", "-o", "{new}"],
        ),
        "status-recorded": (f"status, {RECORDED:,} tasks", large, ["status"]),
        "patches": (f"patch list, {RECORDED:,} tasks", large, ["patch", "list"]),
        "events": (f"events, {RECORDED:,} tasks", large, ["events", "--limit", "20"]),
        "audit": (f"audit verify, {RECORDED:,} tasks", large, ["audit", "verify"]),
    }
    return [_limit(case, *told[case], rounds=rounds) for case in cases]


def _limit(case: str, title: str, folder: Path, words: Sequence[str], *, rounds: int) -> Limit:
    ratios = []
    for turn in range(rounds + 1):
        new = folder / f"{case}-{turn}.yaml"
        floor = processor_time([sys.executable, "-c", "import sqlalchemy"], folder)
        command = [word.replace("{new}", str(new)) for word in words]
        took = processor_time([sys.executable, "-m", "maingate", *command], folder)
        if turn:
            ratios.append(took / floor)
    return Limit(
        case=title, maingate=statistics.median(ratios), asked=ASKED[case], unit="x import sqlalchemy"
    )


def processor_time(words: Sequence[str], folder: Path) -> float:
    """Run a command and return the seconds of processor time that it and its children took."""
    child = subprocess.Popen(
        words, cwd=folder, env=repository.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    said = child.stderr.read()
    child.stderr.close()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{words} failed:\n{said.decode(errors='replace')}")
    return used.ru_utime + used.ru_stime


def _noops(workstreams: int, tasks: int) -> dict[str, Any]:
    each = {f"t{number}": {"noop": True} for number in range(tasks)}
    return {"maingate": 1, "workstreams": {f"w{number}": {"tasks": each} for number in range(workstreams)}}


def _recorded(folder: Path, plan: Mapping[str, Any]) -> Path:
    """Make a repository in which a plan was run."""
    made = repository.make(folder)
    (made / "a.txt").write_text("a\n")
    repository.commit(made, "base")
    (folder.parent / f"{folder.name}.json").write_text(json.dumps(plan))
    processor_time([sys.executable, "-m", "maingate", "run", f"../{folder.name}.json"], made)
    return made


def _plans(folder: Path) -> Path:
    """Make a repository with large plans in it: ready patches in one workstream and in many, and tools."""
    made = repository.make(folder)
    (made / "a.txt").write_text("a\n")
    repository.commit(made, "base")
    (folder / "p").mkdir()
    diffs = [
        f"diff --git a/{name} b/{name}\nnew file mode 100644\n"
        f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n"
        for name in (f"d{number % 50}/n{number}" for number in range(TASKS))
    ]
    for number, diff in enumerate(diffs):
        (folder / "p" / f"{number}.diff").write_text(diff)
    patches = {f"t{n}": {"patch": f"p/{n}.diff"} for n in range(TASKS)}
    scopes = {f"t{n}": {"tool": "x", "scope": [f"/d/{n}/**", "src/*.py"]} for n in range(PAIRS)}
    streams = {f"w{n}": {"tasks": {"t": patch}} for n, patch in enumerate(patches.values())}
    _write(folder / "patches.json", {"w": {"tasks": patches}})
    _write(folder / "streams.json", streams)
    _write(folder / "queue.json", dict(islice(streams.items(), QUEUED)), gates={"unit": {"run": "true"}})
    _write(folder / "tools.json", {"w": {"tasks": scopes}}, tools={"x": {"run": "true"}})
    (folder / "series.mbox").write_text("".join(map(_mail, range(TASKS), diffs)))
    repository.commit(made, "plans")
    return made


def _write(path: Path, workstreams: Mapping[str, Any], **keys: Any) -> None:
    path.write_text(json.dumps({"maingate": 1, **keys, "workstreams": workstreams}))


def _mail(number: int, diff: str) -> str:
    return (
        f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: Ada Example <ada@example.org>\n"
        f"Date: Mon, 6 May 2024 07:08:09 +0200\nSubject: [PATCH] add {number}\n\n---\n\n{diff}-- \n2.40.0\n\n"
    )
