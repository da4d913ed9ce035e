"""A server under load while a run goes on, and what a follower of the ledger costs the engine.

``reads``: the CPU time of each kind of read. ``load``: a run of commands, without clients and with them in
turn. ``memory``: that of the server under the same clients, after some minutes. ``hook``: a run with a log of
its events, and without.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench import repository
from bench.api_load import PATHS
from bench.figures import Figure, Limit, rates

CASES = ("reads", "load", "memory", "hook")
FOLLOWERS, RATE = 200, 50.0
TASKS = int(os.environ.get("BENCH_API_TASKS", "2000"))
"""The commands of a run; fewer for a short form."""
LEAST_SPEED, MOST_P99, MOST_GROWTH, LEAST_WITH_HOOK, MOST_CPU = 0.9, 100.0, 1.1, 0.97, 2.0
MOST_BEHIND = 5.0
"""Seconds that a follower may have an event after its time, during runs that do not end."""
_PATIENCE = 600.0
"""Seconds that an answer may take on a busy machine; how long they took is the result."""
_READS = 100
"""Reads of each address by which its CPU time is measured."""
_REST = 0.006
"""Seconds between two of these, so that they stay below the rate that a server permits (200 a second)."""


def measure(
    cases: Collection[str], *, folder: Path, rounds: int, minutes: float = 10
) -> Sequence[Figure | Limit]:
    """Measure the cases.

    Args:
        cases: Those that are asked for.
        folder: Where to work.
        rounds: Runs of each kind, in turn.
        minutes: How long the memory is watched.
    """
    figures: list[Figure | Limit] = []
    if {"reads", "load", "memory"} & set(cases):
        with serving(_made(folder / "served")) as server:
            if "reads" in cases:
                figures += _reads(server, rounds)
            if "load" in cases:
                figures += _load(server, rounds)
            if "memory" in cases:
                figures += _memory(server, minutes)
    if "hook" in cases:
        figures += _hook(folder, rounds)
    return figures


# -- the cases -----------------------------------------------------------------------------------------------


def _reads(server: "Server", rounds: int) -> list[Limit]:
    """Measure the CPU time of reads one after another, which other work on the machine changes little."""
    server.run()
    run = server.newest()
    spent: dict[str, list[float]] = {path: [] for path in PATHS}
    with httpx.Client(base_url=f"{server.url}/api/v1/", timeout=_PATIENCE) as client:
        for turn, path in product(range(rounds + 1), PATHS):
            before = server.cpu()
            for _ in range(_READS):
                client.get(path.format(run=run)).raise_for_status()
                time.sleep(_REST)
            if turn:
                spent[path].append(1000 * (server.cpu() - before) / _READS)
    of_path = {path: statistics.median(each) for path, each in spent.items()}
    mean = Limit(
        case="CPU of a read, mean", maingate=statistics.mean(of_path.values()), asked=MOST_CPU, unit="ms"
    )
    return [
        mean,
        *(
            Limit(case=f"CPU of {path}", maingate=found, asked=MOST_CPU, unit="ms")
            for path, found in of_path.items()
        ),
    ]


def _load(server: "Server", rounds: int) -> list[Figure | Limit]:
    of_rounds: list[list[float]] = []

    def with_clients() -> float:
        with clients(server) as seen:
            took = server.run()
        assert not seen["failures"], f"{seen['failures']} requests failed"
        assert len(set(seen["events"])) == 1, "a follower was not sent everything"
        of_rounds.append(seen["milliseconds"])
        return took

    server.run()  # the clients read a run
    speed = rates(
        f"{TASKS} commands, with {FOLLOWERS} followers and {RATE:g} reads/s",
        count=TASKS,
        unit="commands/s",
        maingate=with_clients,
        peers={"without clients": server.run},
        rounds=rounds,
        asked={"without clients": LEAST_SPEED},
    )
    _warm_up, *measured = of_rounds
    shares = statistics.quantiles(chain.from_iterable(measured), n=100)
    return [
        *speed,
        Limit(case="reads meanwhile, p50", maingate=shares[49], asked=MOST_P99, unit="ms"),
        Limit(case="reads meanwhile, p99", maingate=shares[98], asked=MOST_P99, unit="ms"),
    ]


def _memory(server: "Server", minutes: float) -> list[Limit]:
    """Watch the server's memory: the median of the last tenth of samples against that of the second."""
    samples = []
    server.run()  # the clients read a run
    with clients(server) as seen:
        began = time.monotonic()
        while time.monotonic() - began < 60 * minutes:
            server.run()
            samples.append(server.memory())
    tenth = max(1, len(samples) // 10)
    growth = statistics.median(samples[-tenth:]) / statistics.median(
        samples[tenth : 2 * tenth] or samples[:1]
    )
    title = f"memory of the server after {minutes:g} minutes of it, to that at first"
    assert len(set(seen["events"])) == 1, "a follower was not sent everything"
    return [
        Limit(case=title, maingate=growth, asked=MOST_GROWTH, unit="times"),
        Limit(
            case="a follower behind the runs, most", maingate=max(seen["behind"]), asked=MOST_BEHIND, unit="s"
        ),
    ]


def _hook(folder: Path, rounds: int) -> Sequence[Figure]:
    """Measure runs with a log and without, each kind in a repository of its own.

    A hook is given all that comes after its place, so in a common one it would be given the other runs, too.
    """
    hooked, plain = _made(folder / "hooked"), _made(folder / "plain")
    log = str(hooked.parent / "events.log")
    return rates(
        f"{TASKS} commands, with a hook",
        count=TASKS,
        unit="commands/s",
        maingate=lambda: _run_here(hooked, {"MAINGATE_LOG_FILE": log}),
        peers={"without it": lambda: _run_here(plain, {})},
        rounds=rounds,
        asked={"without it": LEAST_WITH_HOOK},
    )


# -- server and clients --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs plans.

    Args:
        url: Its address.
        process: Its process.
    """

    url: str
    process: "subprocess.Popen[bytes]"

    def run(self) -> float:
        """Run a plan to its end; return the seconds that it took."""
        plan = {"maingate": 1, "name": "load", "workstreams": _stream({"command": ["true"]})}
        made = httpx.post(f"{self.url}/api/v1/runs", json={"plan": plan, "workers": 2}, timeout=_PATIENCE)
        assert made.is_success, made.text
        path = f"{self.url}/api/v1/runs/{made.json()['id']}?fields=state,seconds"
        while (found := httpx.get(path, timeout=_PATIENCE).json())["state"] in {"pending", "running"}:
            time.sleep(0.1)
        assert found["state"] == "succeeded", found
        return float(found["seconds"])

    def newest(self) -> str:
        """Return the newest run."""
        found = httpx.get(f"{self.url}/api/v1/runs?limit=1", timeout=_PATIENCE).json()
        return str(found["items"][0]["id"])

    def cpu(self) -> float:
        """Return the seconds of CPU that its process has used, without those of the runs."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Return the bytes that its process has in memory."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def serving(made: Path) -> Iterator[Server]:
    """Serve a repository."""
    words = [sys.executable, "-m", "maingate", "serve", "--port", "0", "--workers", "2"]
    log = made.parent / "server.log"  # a file, since a pipe that is not read stops its writer
    with log.open("wb") as file:
        process = subprocess.Popen(
            words, cwd=made, env=_environment(made), stdout=subprocess.DEVNULL, stderr=file
        )
    try:
        while (url := _listening_at(log)) is None:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield Server(url=url, process=process)
    finally:
        process.terminate()
        process.wait()


def _listening_at(log: Path) -> str | None:
    """Return the address in a server's log; None while it is not there."""
    lines = log.read_text().splitlines(keepends=True)
    told = (json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n"))
    return next((str(line["url"]) for line in told if line["event"] == "listening"), None)


@contextmanager
def clients(server: Server) -> Iterator[dict[str, Any]]:
    """Have clients follow and read; what they saw is there when the context has ended."""
    words = [sys.executable, "-m", "bench.api_load", server.url, server.newest(), str(FOLLOWERS), str(RATE)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    seen: dict[str, Any] = {}
    yield seen
    seen.update(json.loads(process.communicate("")[0]))


def _run_here(made: Path, more: Mapping[str, str]) -> float:
    """Run a plan by the command line; return the seconds that it took, its start included."""
    plan = made.parent / "plan.yaml"
    plan.write_text(json.dumps({"maingate": 1, "workstreams": _stream({"command": ["true"]})}))
    words = [sys.executable, "-m", "maingate", "run", str(plan), "--json", "--workers", "2"]
    environment = _environment(made) | dict(more)
    began = time.monotonic()
    subprocess.run(words, cwd=made, env=environment, capture_output=True, text=True, check=True)
    return time.monotonic() - began


def _stream(task: Mapping[str, Any]) -> dict[str, Any]:
    return {"w": {"tasks": {f"t{number}": dict(task) for number in range(TASKS)}}}


def _made(folder: Path) -> Path:
    made = repository.make(folder / "repository")
    (made / "a.txt").write_text("a\n")
    repository.commit(made, "base")
    return made


def _environment(made: Path) -> dict[str, str]:
    return repository.environment() | {"XDG_CACHE_HOME": str(made.parent / "cache")}
