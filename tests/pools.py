"""What tests of the worker pool arrange: jobs, an observer that remembers, a bell that gates ring."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factories import GitRepo
from headgate.ids import UetWorkerId
from headgate.state.uet_worker import UET_WORKER, UetWorkerState
from headgate.uet.gate_runner import GateOutcome, GateSpec
from headgate.uet.process_tree import process_table
from headgate.workers.pool_manager import PoolManager, WorkerLost
from headgate.workers.protocol import GateJob

_JOB_FIELDS = {"attempt", "priority", "exclusive", "keep", "prepare", "prepare_digest", "prepare_timeout"}


def gate_job(folder: Path, commit: str, run: str | tuple[str, ...] = "true", **options: Any) -> GateJob:
    """Make a job. Options are those of the job or of its gate."""
    job_id = options.pop("job_id", "job")
    of_job = {name: options.pop(name) for name in _JOB_FIELDS & options.keys()}
    options.setdefault("timeout", 60.0)
    gate = GateSpec(name=options.pop("name", "unit"), run=run, **options)
    return GateJob(
        job_id=job_id, commit=commit, gate=gate, log_path=folder / "logs" / f"{job_id}.log", **of_job
    )


@dataclass
class Recorder:
    """An observer that remembers, and that refuses what the machine does not allow."""

    changes: list[tuple[str, str]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    states: dict[UetWorkerId, str] = field(default_factory=dict)
    pids: dict[UetWorkerId, int | None] = field(default_factory=dict)
    terminated: asyncio.Event = field(default_factory=asyncio.Event)
    on_started: Callable[[str, UetWorkerId], None] = lambda *_: None

    def uet_worker_changed(self, uet_id: UetWorkerId, state: str, trigger: str, pid: int | None) -> None:
        """Check the change against the machine and remember it."""
        if uet_id not in self.states:
            assert (state, trigger) == (UET_WORKER.initial, "created")
        else:
            before = UetWorkerState(self.states[uet_id])
            UET_WORKER.check(entity_id=uet_id, state=before, to=UetWorkerState(state), trigger=trigger)
        self.states[uet_id], self.pids[uet_id] = state, pid
        self.changes.append((state, trigger))
        if state in UET_WORKER.terminal:
            self.terminated.set()

    def uet_job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Remember that a job was handed out."""
        self.started.append(job_id)
        self.on_started(job_id, uet_id)


def pool_for(repo: GitRepo, folder: Path, *, size: int = 1, **options: Any) -> PoolManager:
    """Make a pool that works for a repository."""
    return PoolManager(size=size, slots_dir=folder / "slots", source_git_dir=repo.path / ".git", **options)


async def run_all(pool: PoolManager, *jobs: GateJob) -> list[GateOutcome | WorkerLost]:
    """Run jobs, all asked for at once."""
    return list(await asyncio.gather(*(pool.run(job) for job in jobs)))


async def outcome_of(pool: PoolManager, job: GateJob) -> GateOutcome:
    """Run a job that is expected to have an outcome."""
    end = await asyncio.wait_for(pool.run(job), 60)
    assert isinstance(end, GateOutcome), end
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
