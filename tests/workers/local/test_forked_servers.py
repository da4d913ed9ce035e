"""Fork servers that tests have forked are to gates what those are that Maingate starts."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from maingate.workers.local import fork_server
from support import forked_server
from support.command_line import maingate
from support.factories import GitRepo
from support.landing import one_each, write_plan
from support.pools import gate_job, outcome_of, pool_for

LOOK = """
import json, os, re, resource, sys
of_worker = f"/proc/{os.getppid()}"
def worker():
    fds = [re.sub("[0-9A-Z]{26}|[0-9]+", "N", os.readlink(f"{of_worker}/fd/{fd}")) for fd in os.listdir(f"{of_worker}/fd")]
    status = [line for each in ("self", os.getppid()) for line in open(f"/proc/{each}/status")]
    return sorted(fds), [line for line in status if line.startswith("Sig") and "Q" not in line]
def settled():
    last, times = None, 0
    while times < 50:  # a worker that has just begun the job opens and closes
        try: now = worker()
        except FileNotFoundError: now = None
        last, times = now, times + 1 if now == last is not None else 0
    return last
fds, signals = settled()
seen = {
    "environment": dict(os.environ),
    "folders": [os.getcwd(), os.readlink(f"{of_worker}/cwd")],
    "signals": signals,
    "limits": {each: resource.getrlimit(getattr(resource, each)) for each in dir(resource) if each.startswith('RLIMIT')},
    "mask": os.umask(0),
    "descriptors": fds,
    "leads": [os.getsid(0) == os.getpid(), os.getsid(os.getppid()) == os.getppid()],
    "shown": [word for word in re.split("[ \\0]+", open(f"{of_worker}/cmdline").read()) if word and not word.isdigit()],
}
del seen["environment"]["MAINGATE_JOB"], seen["environment"]["MAINGATE_COMMIT"]
open(sys.argv[1], "w").write(json.dumps(seen))
"""  # noqa: E501 - a program
"""What a gate sees of itself and of its worker that does not tell one run from another."""


@pytest.fixture
def commit(repo: GitRepo) -> str:
    """Commit something."""
    return repo.commit({"file": "x\n"})


def seen_in(path: Path) -> dict[str, Any]:
    """Return what a gate saw, and forget it."""
    found: dict[str, Any] = json.loads(path.read_text())
    path.unlink()
    return found


async def look(repo: GitRepo, tmp_path: Path, commit: str) -> dict[str, Any]:
    """Return what a gate of a pool sees."""
    pool = pool_for(repo, tmp_path)
    await pool.start()
    try:
        gate = gate_job(commit, (sys.executable, "-c", LOOK, str(tmp_path / "seen")))
        end = await outcome_of(pool, gate)
    finally:
        await pool.stop()
    assert end.passed, end
    return seen_in(tmp_path / "seen")


def test_one_of_a_nursery_is_as_maingates_own(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, folders, signals, limits, descriptors, session and command line are the same."""
    own = asyncio.run(look(repo, tmp_path, commit))
    monkeypatch.setattr(fork_server, "start_process", forked_server.start_sibling)
    assert asyncio.run(look(repo, tmp_path, commit)) == own


def test_one_of_a_forked_command_is_as_maingates_own(
    repo: GitRepo, tmp_path: Path, commit: str, hermetic_environment: Path
) -> None:
    """The command itself is forked here and started there, too."""
    del commit
    seen = []
    for number, env in enumerate(({}, {"PYTHONNODEBUGRANGES": "1"})):
        gates = {"look": {"run": [sys.executable, "-c", LOOK, str(tmp_path / "seen")]}}
        change = repo.diff_of({"file": f"{number}\n"})
        plan = {"repo": str(repo.path), "target": "main", "gates": gates, "workstreams": one_each({"p": b""})}
        file = write_plan(tmp_path / "plan", plan, {"p": change})
        done = maingate("run", str(file), cwd=repo.path, home=hermetic_environment, env=env)
        assert done.returncode == 0, done.stderr
        seen.append(seen_in(tmp_path / "seen"))
    forked, started = seen
    assert forked == started


def test_a_forked_command_has_it_forked_although_it_has_threads(
    repo: GitRepo, tmp_path: Path, commit: str, hermetic_environment: Path
) -> None:
    """Its worker has mapped what only the command needs, and an interpreter of its own would not have."""
    del commit
    gates = {"look": {"run": f"cat /proc/$PPID/maps > {tmp_path}/maps"}}
    plan = {"repo": str(repo.path), "target": "main", "gates": gates, "workstreams": one_each({"p": b""})}
    file = write_plan(tmp_path / "plan", plan, {"p": repo.diff_of({"file": "y\n"})})
    done = maingate("run", str(file), cwd=repo.path, home=hermetic_environment)
    assert done.returncode == 0, done.stderr
    assert "pygit2" in (tmp_path / "maps").read_text()
