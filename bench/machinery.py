"""What each machinery for short commands is worth: the same run with it and without it, turn by turn.

Commands of 1 ms, 20 ms and 1 s run on two workers, as the commands of tasks or as gates of patches. A
machinery is taken out in the process of the run, or in the process that workers are forked from; nothing in
Maingate knows of it. Both are printed: wall time, which others on the machine disturb, and processor time of
the run with all that it started, which they disturb less.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import repository
from bench.figures import Figure

_FORK_SERVER: Final = "maingate.workers.local.fork_server"

IN_THE_RUN: Final[Mapping[str, str]] = {
    "ahead": "from maingate.orchestrator.core import tasks; tasks.COMMANDS_AHEAD = 1",
}
"""Code that takes a machinery out of the process of the run."""

IN_THE_SERVER: Final[Mapping[str, str]] = {
    "stillness": (
        "from maingate.uet.worktree import slot_tree; slot_tree.SlotTree._survey = lambda *_, **__: None"
    ),
    "fork": """
import os, signal
def be_worker(arguments, line, passed):
    os.setsid()
    for stream, fd in enumerate(passed[:3]):
        os.dup2(fd, stream)
    for fd in passed[3:]:
        os.set_inheritable(fd, True)
    program = [sys.executable, '-I', '-m', 'maingate.workers.local.uet_process']
    os.execv(sys.executable, [*program, *arguments, '--parent', str(os.getppid())])
server._be_worker = be_worker
""",
}
"""Code that takes a machinery out of the process that workers are forked from."""

CASES: Final = (*IN_THE_RUN, *IN_THE_SERVER)
LENGTHS: Final[Mapping[str, float]] = {"1 ms": 0.001, "20 ms": 0.02, "1 s": 1.0}
COMMANDS: Final[Mapping[str, int]] = {"1 ms": 300, "20 ms": 150, "1 s": 8}
PATCHES: Final[Mapping[str, int]] = {"1 ms": 12, "20 ms": 12, "1 s": 2}
GATES: Final = 4
FILES: Final = 200

_RUN: Final = """
import subprocess, sys, types
import {module} as fork_server
def start(words, **options):
    return subprocess.Popen([words[0], '-I', '-c', {server!r}, *words[4:]], **options)
fork_server.subprocess = types.SimpleNamespace(
    Popen=start, DEVNULL=subprocess.DEVNULL, PIPE=subprocess.PIPE
)
{run}
from maingate.cli.main import main
sys.argv = ['maingate', 'run', '../plan.json', '--workers', '2']
sys.exit(main())
"""
_SERVER: Final = """
import sys
import maingate.workers.local.fork_server_process as server
{patch}
server.main(int(sys.argv[1]))
"""


@dataclass(frozen=True, kw_only=True)
class Took:
    """Seconds that a run took."""

    wall: float
    processor: float


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Figure]:
    """Measure the machineries asked for."""
    figures: list[Figure] = []
    for length in LENGTHS:
        for kind, names in (("commands", IN_THE_RUN), ("gates", IN_THE_SERVER)):
            asked = [name for name in names if name in cases]
            if asked:
                made = _stage(folder / f"{kind} {length}", kind, length)
                figures += _compare(made, f"{kind} of {length}", asked, rounds=rounds)
    return figures


def _compare(made: Path, case: str, names: Sequence[str], *, rounds: int) -> list[Figure]:
    took: dict[str, list[Took]] = {name: [] for name in ("", *names)}
    for turn in range(rounds + 1):
        order = list(took) if turn % 2 else list(took)[::-1]
        for name in order:
            seconds = _run(made, name)
            if turn:  # the first warms up what the machine caches
                took[name].append(seconds)
    return [figure for name in names for figure in _figures(case, name, took[""], took[name])]


def _figures(case: str, name: str, have: Sequence[Took], lack: Sequence[Took]) -> list[Figure]:
    figures = []
    for kind in ("wall", "processor"):
        with_it = [getattr(each, kind) for each in have]
        without = [getattr(each, kind) for each in lack]
        figures.append(
            Figure(
                case=f"{name}, {case}, {kind}",
                maingate=statistics.median(with_it),
                peer="without",
                other=statistics.median(without),
                ratio=statistics.median(b / a for a, b in zip(with_it, without, strict=True)),
                asked=None,
                unit="s",
            )
        )
    return figures


def _run(made: Path, name: str) -> Took:
    """Run the plan in a fresh copy, without the machinery of that name."""
    copy = made / "copy"
    shutil.copytree(made / "origin", copy)
    server = _SERVER.format(patch=IN_THE_SERVER.get(name, ""))
    code = _RUN.format(module=_FORK_SERVER, server=server, run=IN_THE_RUN.get(name, ""))
    started = time.monotonic()
    with (made / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=copy, stdout=output, stderr=output, env=_environment(made)
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = Took(wall=time.monotonic() - started, processor=usage.ru_utime + usage.ru_stime)
    if process.returncode:
        raise SystemExit((made / "output").read_text(errors="replace"))
    shutil.rmtree(copy)
    return took


def _environment(made: Path) -> dict[str, str]:
    return {**repository.environment(), "XDG_CACHE_HOME": str(made / "cache")}


def _stage(folder: Path, kind: str, length: str) -> Path:
    """Make a repository and a plan of commands or of gates that last so long; return their folder."""
    origin = repository.make(folder / "origin")
    for number in range(FILES):
        (origin / f"f{number}.txt").write_text(f"{number}\n" * 20)
    repository.commit(origin, "base")
    sleep = f"sleep {LENGTHS[length]}"
    if kind == "commands":
        tasks: dict[str, object] = {f"t{number}": {"command": sleep} for number in range(COMMANDS[length])}
        gates: dict[str, object] = {}
    else:
        gates = {f"g{number}": {"run": f"{sleep}; : {number}", "on": ["task"]} for number in range(GATES)}
        tasks = {f"t{number}": {"patch": _patch(folder, number)} for number in range(PATCHES[length])}
    plan = {
        "maingate": 1,
        "name": "bench",
        "repo": str(folder / "copy"),
        "target": "main",
        "gates": gates,
        "workstreams": {"w": {"tasks": tasks}},
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def _patch(folder: Path, number: int) -> str:
    """Write a patch of one file, and leave the repository as it was."""
    origin, path = folder / "origin", folder / f"p{number}.patch"
    (origin / f"f{number}.txt").write_text("changed\n")
    path.write_text(repository.git(origin, "diff", "--full-index") + "\n")
    repository.git(origin, "checkout", "-q", ".")
    return str(path)
