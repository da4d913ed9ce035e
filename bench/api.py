"""A server under load while a run goes on, and what a follower of the ledger costs the engine.

``load``: a run of commands, without clients and with them in turn. ``memory``: that of the
server under the same clients, after some minutes. ``hook``: a run with a log of its
events, and without.
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
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench import repository
from bench.figures import Figure, Limit, rates

CASES = ("load", "memory", "hook")
FOLLOWERS, RATE = 200, 50.0
TASKS = int(os.environ.get("BENCH_API_TASKS", "2000"))
"""The commands of a run; fewer for a short form."""
LEAST_SPEED, MOST_P99, MOST_GROWTH, LEAST_WITH_HOOK = 0.9, 100.0, 1.1, 0.97


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
    if "load" in cases or "memory" in cases:
        with serving(_made(folder / "served")) as server:
            if "load" in cases:
                figures += _load(server, rounds)
            if "memory" in cases:
                figures.append(_memory(server, minutes))
    if "hook" in cases:
        figures += _hook(_made(folder / "hooked"), rounds)
    return figures


# -- the cases -----------------------------------------------------------------------------------------------


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


def _memory(server: "Server", minutes: float) -> Limit:
    """Watch the server's memory: the median of the last tenth of samples against that of the second."""
    samples = []
    with clients(server):
        began = time.monotonic()
        while time.monotonic() - began < 60 * minutes:
            server.run()
            samples.append(server.memory())
    tenth = max(1, len(samples) // 10)
    growth = statistics.median(samples[-tenth:]) / statistics.median(
        samples[tenth : 2 * tenth] or samples[:1]
    )
    title = f"memory of the server after {minutes:g} minutes of it, to that at first"
    return Limit(case=title, maingate=growth, asked=MOST_GROWTH, unit="times")


def _hook(made: Path, rounds: int) -> Sequence[Figure]:
    log = str(made.parent / "events.log")
    return rates(
        f"{TASKS} commands, with a hook",
        count=TASKS,
        unit="commands/s",
        maingate=lambda: _run_here(made, {"MAINGATE_LOG_FILE": log}),
        peers={"without it": lambda: _run_here(made, {})},
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
        made = httpx.post(f"{self.url}/api/v1/runs", json={"plan": plan, "workers": 2}, timeout=60)
        assert made.is_success, made.text
        path = f"{self.url}/api/v1/runs/{made.json()['id']}?fields=state,seconds"
        while (found := httpx.get(path, timeout=60).json())["state"] in {"pending", "running"}:
            time.sleep(0.1)
        assert found["state"] == "succeeded", found
        return float(found["seconds"])

    def memory(self) -> int:
        """Return the bytes that its process has in memory."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def serving(made: Path) -> Iterator[Server]:
    """Serve a repository."""
    words = [sys.executable, "-m", "maingate", "serve", "--port", "0", "--workers", "2"]
    process = subprocess.Popen(
        words, cwd=made, env=_environment(made), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        lines = (json.loads(line) for line in process.stderr if line.startswith(b"{"))
        url = next(line["url"] for line in lines if line["event"] == "listening")
        # what it says later is not read: some lines, which a pipe holds
        yield Server(url=url, process=process)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def clients(server: Server) -> Iterator[dict[str, Any]]:
    """Have clients follow and read; what they saw is there when the context has ended."""
    run = httpx.get(f"{server.url}/api/v1/runs?limit=1", timeout=60).json()["items"][0]["id"]
    words = [sys.executable, "-m", "bench.api_load", server.url, run, str(FOLLOWERS), str(RATE)]
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
