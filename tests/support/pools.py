"""What tests of the worker pool arrange: jobs, an observer that remembers, a bell that gates ring."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from maingate.db.dao.uet_workers import UetWorkerRow
from maingate.db.dao.workers import WorkerRow
from maingate.ids import UetWorkerId
from maingate.orchestrator.worker_roster import Pair
from maingate.state.machines import MACHINES
from maingate.state.uet_worker import UET_WORKER
from maingate.system.process_table import process_table
from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.workers.artifacts import Artifacts
from maingate.workers.backend import WorkerLost
from maingate.workers.jobs import Job
from maingate.workers.pool_manager import PoolManager
from maingate.workers.registry import Registration, WorkerChange
from support.factories import GitRepo

_JOB_FIELDS = {
    "attempt",
    "requires",
    "affinity",
    "priority",
    "exclusive",
    "keep",
    "keep_shared",
    "capture",
    "prepare",
    "prepare_digest",
    "prepare_timeout",
}


def gate_job(commit: str, run: str | tuple[str, ...] = "true", **options: Any) -> Job:
    """Make a job. Options are those of the job or of its gate."""
    job_id = options.pop("job_id", "job")
    of_job = {name: options.pop(name) for name in _JOB_FIELDS & options.keys()}
    options.setdefault("timeout", 60.0)
    gate = CommandSpec(name=options.pop("name", "unit"), run=run, **options)
    return Job(job_id=job_id, commit=commit, command=gate, log=f"{job_id}.log", **of_job)


def _new_pair(uet_id: UetWorkerId) -> Pair:
    worker = WorkerRow(id=f"worker of {uet_id}", name="a worker")
    return Pair(worker=worker.head, uet=UetWorkerRow(id=uet_id, worker_id=worker.id).head)


@dataclass
class Recorder:
    """An observer that remembers, and that refuses what the machine does not allow."""

    changes: list[tuple[str, str]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    states: dict[UetWorkerId, str] = field(default_factory=dict)
    pairs: dict[UetWorkerId, Pair] = field(default_factory=dict)
    pids: dict[UetWorkerId, int | None] = field(default_factory=dict)
    told: list[WorkerChange] = field(default_factory=list)
    heard: set[UetWorkerId] = field(default_factory=set)
    spawned: asyncio.Event = field(default_factory=asyncio.Event)
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    recovered: asyncio.Event = field(default_factory=asyncio.Event)
    terminated: asyncio.Event = field(default_factory=asyncio.Event)
    on_started: Callable[[str, UetWorkerId], None] = lambda *_: None

    def worker_changed(self, worker: Registration, change: WorkerChange, message: str) -> None:
        """Check the change against both machines, as the roster moves them, and remember it."""
        uet_id = worker.uet_id
        self.told.append(change)
        if change is WorkerChange.SPAWNED:
            self.pairs[uet_id], self.pids[uet_id] = _new_pair(uet_id), worker.pid
            self.states[uet_id] = UET_WORKER.initial
            self.changes.append((UET_WORKER.initial, "created"))
            self.spawned.set()
            return
        states = {head.id: head.state for head in (self.pairs[uet_id].worker, self.pairs[uet_id].uet)}
        for step in self.pairs[uet_id].follow(change, message):
            machine = MACHINES[step.machine]
            assert machine.allows(states[step.head_id], step.to, step.trigger), (change, states, step)
            states[step.head_id] = step.to
            if step.machine == "uet_worker":
                self.states[uet_id] = step.to
                self.changes.append((step.to, step.trigger))
        if change in (WorkerChange.ENDED, WorkerChange.LOST):
            assert sorted(states.values()) == ["TERMINATED", "shutdown"]
            self.terminated.set()
        if change is WorkerChange.FELL_SILENT:
            self.silent.set()
        if change is WorkerChange.RECOVERED:
            self.recovered.set()

    def worker_heard(self, uet_id: UetWorkerId) -> None:
        """Remember who gave a sign of life."""
        self.heard.add(uet_id)

    def uet_job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Remember that a job was handed out."""
        self.started.append(job_id)
        self.on_started(job_id, uet_id)


def artifacts_in(folder: Path) -> Artifacts:
    """Return where the jobs of a test write to."""
    return Artifacts(folder / "logs")


def pool_for(repo: GitRepo, folder: Path, *, size: int = 1, **options: Any) -> PoolManager:
    """Make a pool that works for a repository."""
    return PoolManager(
        size=size,
        slots_dir=folder / "slots",
        locks_dir=folder / "locks",
        source_git_dir=repo.path / ".git",
        artifacts=artifacts_in(folder),
        **options,
    )


async def run_all(pool: PoolManager, *jobs: Job) -> list[CommandResult | WorkerLost]:
    """Run jobs, all asked for at once."""
    return list(await asyncio.gather(*(pool.run(job) for job in jobs)))


async def outcome_of(pool: PoolManager, job: Job) -> CommandResult:
    """Run a job that is expected to have an outcome."""
    end = await asyncio.wait_for(pool.run(job), 60)
    assert isinstance(end, CommandResult), end
    return end


class Bell:
    """A named pipe: a gate rings it (``echo > $BELL``), the test waits for the ring without polling."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    async def rung(self, times: int = 1) -> None:
        """Wait until gates have rung so many times."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_reader(self._fd, heard.set)
        try:
            while times > 0:
                await asyncio.wait_for(heard.wait(), 30)
                heard.clear()
                with contextlib.suppress(BlockingIOError):
                    times -= os.read(self._fd, 4096).count(b"\n")
        finally:
            loop.remove_reader(self._fd)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._fd)


def processes_of(folder: Path) -> list[int]:
    """List the processes that have anything to do with a folder: in their command line or environment."""
    found = []
    needle = os.fsencode(str(folder))
    for info in process_table():
        if info.pid == os.getpid() or info.is_zombie:
            continue
        try:
            text = (
                Path(f"/proc/{info.pid}/cmdline").read_bytes()
                + Path(f"/proc/{info.pid}/environ").read_bytes()
            )
        except OSError:
            continue
        if needle in text:
            found.append(info.pid)
    return found


def at_work_in(folder: Path) -> list[int]:
    """Return the processes of a folder but for the fork server of a pool of this process."""
    own = {info.pid for info in process_table() if info.parent == os.getpid()}
    return [pid for pid in processes_of(folder) if pid not in own]


def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: bytes) -> Path:
    """Put a worker in place that says lines when given its first job, then waits; returns its script."""
    script = tmp_path / "fake_worker"
    script.write_text(
        "import os, sys\n"
        'os.write(1, b\'{"type":"ready","pid":%d}\\n\' % os.getpid())\n'
        "sys.stdin.readline()\n"
        f"os.write(1, {b''.join(lines)!r})\n"
        "os.write(2, b'last words')\n"
        "sys.stdin.read()\n"
    )
    server = tmp_path / "fake_server"
    server.write_text(
        f"#!{sys.executable} -I\n"
        "import pathlib, sys\n"
        "from maingate.workers.local import fork_server_process, uet_process\n"
        f"uet_process.main = lambda _: exec(pathlib.Path({str(script)!r}).read_text(), {{}}) or 0\n"
        "fork_server_process.main(int(sys.argv[-2]))\n"
    )
    server.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(server))
    return script
