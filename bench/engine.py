"""The engine beside DBOS and Huey and beside what the machine gives at most, all durable, all on SQLite.

Everyone runs in a fresh process and an empty folder, at the same level of durability as those beside it.
"""

import json
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench import repository
from bench.figures import Figure, Limit, rates

TASKS = {"independent": 2000, "dag": 1000, "chain": 200, "subprocess": 200}
CASES = (*TASKS, "floor", "growth")
LEVELS = ("FULL", "NORMAL")
PATIENCE = 600
HERE = Path(__file__).parent.parent

PEERS: Mapping[str, Mapping[str, float]] = {
    "independent": {"dbos": 5.0, "huey": 1.5},
    "dag": {"dbos": 5.0},
    "chain": {"dbos": 4.0, "huey": 3.0},
    "subprocess": {"huey": 1.2, "floors": 1 / 2.5},
}
"""What Maingate's rate should be, as a multiple of each peer's; the last is a time of at most 2.5 times."""

FLOORS = {"one by one": 5_000, "batched": 40_000}
MANY, FEW = 50_000, 1_000
GOES_ON = 1_000
"""As many new tasks completed after a restart show that work goes on."""
POLL = 0.02
_COMPLETED = (
    "SELECT count(*) FILTER (WHERE entity_type = 'task' AND to_state = 'completed'), max(seq)"
    " FROM state_transitions WHERE seq > ?"
)


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Figure | Limit]:
    """Measure the cases asked for."""
    figures: list[Figure | Limit] = []
    for case, count in TASKS.items():
        if case in cases:
            for level in LEVELS:
                figures += _compare(case, level, count, folder=folder, rounds=rounds)
    if "floor" in cases:
        for level in LEVELS:
            figures += _floor(level, folder=folder, rounds=rounds)
    if "growth" in cases:
        figures += _growth(folder=folder, rounds=rounds)
    return figures


def _compare(case: str, level: str, count: int, *, folder: Path, rounds: int) -> Sequence[Figure]:
    def seconds(name: str) -> float:
        return _run(name, case, level, count, folder)["seconds"]

    return rates(
        f"{case}, {count} tasks, {level}",
        count=count,
        unit="tasks/s",
        maingate=partial(seconds, "maingate"),
        peers={peer: partial(seconds, peer) for peer in PEERS[case]},
        rounds=rounds,
        asked=PEERS[case],
    )


def _floor(level: str, *, folder: Path, rounds: int) -> Sequence[Figure]:
    """Compare the transitions per second of independent tasks with those of bare ``sqlite3``."""

    def ours() -> float:
        done = _run("maingate", "independent", level, TASKS["independent"], folder)
        return done["seconds"] / done["transitions"]

    def bare(way: str, count: int) -> float:
        return _run("floors", way, level, count, folder)["seconds"] / count

    peers: Mapping[str, Callable[[], float]] = {
        f"sqlite3 {way}": partial(bare, way, count) for way, count in FLOORS.items()
    }
    return rates(
        f"transitions, {level}", count=1, unit="transitions/s", maingate=ours, peers=peers, rounds=rounds
    )


def _growth(*, folder: Path, rounds: int) -> Sequence[Limit]:
    """Measure many tasks against few, the memory for many, and going on in the middle of many."""
    slower: list[float] = []
    memory: list[float] = []
    first: list[float] = []
    going: list[float] = []
    for _ in range(rounds):
        few = _run("maingate", "independent", "NORMAL", FEW, folder)
        many = _run("maingate", "independent", "NORMAL", MANY, folder)
        slower.append((many["seconds"] / MANY) / (few["seconds"] / FEW))
        memory.append(many["megabytes"])
        for each, took in zip((first, going), _restart(folder), strict=True):
            each.append(took)
    limits = (
        (f"time for a task, {MANY} tasks against {FEW}", slower, 1.3, "times"),
        (f"memory of the process, {MANY} tasks", memory, 400.0, "MB"),
        (f"restart at half of {MANY}, first task completed", first, 5.0, "s"),
        (f"restart at half of {MANY}, {GOES_ON} tasks completed", going, 5.0, "s"),
    )
    return [
        Limit(case=case, maingate=statistics.median(values), asked=asked, unit=unit)
        for case, values, asked, unit in limits
    ]


def _restart(parent: Path) -> tuple[float, float]:
    """Kill a run half way, start a process to go on with it, and tell when it completed more tasks."""
    with tempfile.TemporaryDirectory(prefix="restart-", dir=parent) as name:
        folder = Path(name)
        place = folder / "repository" / ".git" / "maingate" / "maingate.db"
        killed = _start("maingate", "independent", "NORMAL", MANY, folder)
        try:
            _wait(killed, place, MANY // 2)
        finally:
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
        before, last = _completed(place)
        if not MANY // 4 < before < MANY * 3 // 4:
            raise SystemExit(f"{before} of {MANY} tasks were done at the kill; that is not half")
        began = time.perf_counter()
        resumed = _start("maingate", "resume", "NORMAL", MANY, folder)
        first = _wait(resumed, place, 1, after=last) - began
        going = _wait(resumed, place, GOES_ON, after=last) - began
        _told(resumed)
        return first, going


def _wait(process: "subprocess.Popen[bytes]", place: Path, completed: int, *, after: int = 0) -> float:
    """Wait until so many tasks were completed after a transition, and return the time."""
    until = time.monotonic() + PATIENCE
    while _completed(place, after=after)[0] < completed:
        if process.poll() is not None:
            _told(process)
            raise SystemExit(f"the run ended before {completed} tasks were seen completed")
        if time.monotonic() > until:
            raise SystemExit(f"{completed} tasks were not completed in {PATIENCE} s")
        time.sleep(POLL)
    return time.perf_counter()


def _completed(place: Path, *, after: int = 0) -> tuple[int, int]:
    """Return how many tasks were completed after a transition, and the number of the last transition.

    There are none as long as there is no database.
    """
    if not place.exists():
        return 0, after
    database = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
    try:
        found = database.execute(_COMPLETED, (after,)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return 0, after
    finally:
        database.close()
    return int(found[0]), int(found[1] or after)


def _run(name: str, case: str, level: str, count: int, parent: Path) -> Mapping[str, float]:
    """Have one of those who take part do a case in a fresh process and folder, and return what it tells."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=parent) as folder:
        return _told(_start(name, case, level, count, Path(folder)))


def _start(name: str, case: str, level: str, count: int, folder: Path) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", f"bench.engines.{name}", case, level, str(folder), str(count)]
    environment = {**repository.environment(), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(words, cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _told(process: "subprocess.Popen[bytes]") -> Mapping[str, float]:
    """Return what a process told when it ended."""
    try:
        out, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise SystemExit(f"{process.args!r} did not end in {PATIENCE} s") from error
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed:\n{errors.decode(errors='replace')}")
    told: Mapping[str, float] = json.loads(out)
    return told
