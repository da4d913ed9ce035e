"""Workers that hang, come back, answer late or twice, or are not needed: none harms a run."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maingate.clock import ManualClock
from maingate.system.process_table import started
from maingate.uet.process.command import CommandResult
from maingate.workers.backend import JobEnd, WorkerLost
from maingate.workers.local.protocol import Result, encode
from maingate.workers.pool_manager import PoolManager
from maingate.workers.registry import WorkerChange
from support.factories import GitRepo
from support.pools import Bell, Recorder, at_work_in, gate_job, outcome_of, pool_for, processes_of, talking

QUICK = 0.06
"""Seconds between heartbeats of the worker, three in each interval of the pool."""


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert processes_of(tmp_path / "slots") == []


def only_pid(recorder: Recorder) -> int:
    """Return the process of the only worker there was."""
    (pid,) = recorder.pids.values()
    assert pid is not None
    return pid


async def stopped(clock: ManualClock, pool: PoolManager, recorder: Recorder, pid: int, step: float) -> None:
    """Stop a worker, and let time pass until it is unresponsive."""
    os.kill(pid, signal.SIGSTOP)
    while not recorder.silent.is_set():
        clock.elapsed += step
        await asyncio.sleep(0)
        pool.run_once()


def test_a_stopped_worker_loses_its_job_and_comes_back_with_empty_hands(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """SIGSTOP: the job is lost at once and another worker takes it; SIGCONT: the late answer is ignored."""
    recorder, clock = Recorder(), ManualClock()

    async def scenario() -> None:
        async with pool_for(
            repo,
            tmp_path,
            observer=recorder,
            heartbeat=QUICK,
            recovery_window=1e6,
            idle_time=1e6,
            clock=clock.monotonic,
        ) as pool:
            job = gate_job(commit, f"echo > {bell.path}; sleep 300")
            first = asyncio.create_task(pool.run(job))
            await bell.rung()
            pid = only_pid(recorder)
            await stopped(clock, pool, recorder, pid, QUICK)
            end = await first
            assert isinstance(end, WorkerLost)
            assert "has sent no heartbeat" in end.message
            assert (await outcome_of(pool, gate_job(commit, "true", attempt=2))).passed
            assert pool.workers == 2
            os.kill(pid, signal.SIGCONT)
            await asyncio.wait_for(recorder.recovered.wait(), 30)
            await asyncio.wait_for(recorder.terminated.wait(), 30)
            assert (pool.workers, pool.ignored_answers) == (1, 1)

    asyncio.run(scenario())

    assert recorder.told.count(WorkerChange.LOST) == 0
    assert recorder.told.count(WorkerChange.RECOVERED) == 1


def test_a_worker_that_does_not_come_back_is_killed(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """At the end of the recovery window it ends, with everything that it had started."""
    recorder, clock = Recorder(), ManualClock()

    async def scenario() -> None:
        async with pool_for(
            repo, tmp_path, observer=recorder, heartbeat=QUICK, recovery_window=1.0, clock=clock.monotonic
        ) as pool:
            lost = asyncio.create_task(
                pool.run(gate_job(commit, f"setsid sleep 300 & echo > {bell.path}; sleep 300"))
            )
            await bell.rung()
            await stopped(clock, pool, recorder, only_pid(recorder), QUICK)
            assert isinstance(await lost, WorkerLost)
            while not recorder.terminated.is_set():
                clock.elapsed += QUICK
                pool.run_once()
                await asyncio.sleep(0)
            assert at_work_in(tmp_path / "slots") == []
            assert pool.workers == 0

    asyncio.run(scenario())

    assert recorder.told[-2:] == [WorkerChange.FELL_SILENT, WorkerChange.LOST]


def test_a_worker_that_never_ends_its_job_is_ended(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives but is stuck inside: the job is lost when all the time that it could take is over."""
    talking(tmp_path, monkeypatch, b'{"type":"heartbeat","job_id":"job"}\n')
    recorder, clock = Recorder(), ManualClock()

    async def scenario() -> JobEnd:
        begun = asyncio.Event()
        recorder.on_started = lambda *_: begun.set()
        async with pool_for(repo, tmp_path, observer=recorder, heartbeat=1e6, clock=clock.monotonic) as pool:
            lost = asyncio.create_task(pool.run(gate_job(commit, timeout=10.0)))
            await asyncio.wait_for(begun.wait(), 30)
            clock.elapsed += 5000.0
            pool.run_once()
            return await asyncio.wait_for(lost, 30)

    end = asyncio.run(scenario())

    assert isinstance(end, WorkerLost)
    assert "alive, but past its job's deadline" in end.message


def test_an_answer_that_comes_twice_is_ignored(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one changes nothing, and the worker is kept."""
    answer = encode(Result(job_id="job", attempt=1, outcome=CommandResult(passed=True)))
    script = talking(tmp_path, monkeypatch, answer, answer, answer)
    script.write_text(script.read_text().replace("sys.stdin.read()", "sys.stdin.readline()"))
    recorder = Recorder()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            (tmp_path / "slots" / "0").mkdir(parents=True, exist_ok=True)  # as a worker that works would have
            assert (await outcome_of(pool, gate_job(commit))).passed
            assert (pool.ignored_answers, pool.workers) == (2, 1)

    asyncio.run(scenario())

    assert recorder.told[-2:] == [WorkerChange.FINISHED, WorkerChange.ENDED]


def test_a_cancelled_job_does_not_wait_for_a_worker_that_does_not_hear(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """Cancelling reaches everything soon: a worker that does not answer to it is ended."""
    recorder = Recorder()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            running = asyncio.create_task(pool.run(gate_job(commit, f"echo > {bell.path}; sleep 300")))
            await bell.rung()
            os.kill(only_pid(recorder), signal.SIGSTOP)
            pool.cancel("job")
            end = await asyncio.wait_for(running, 30)
            assert isinstance(end, CommandResult)
            assert end.cancelled

    asyncio.run(scenario())


def test_the_pool_shrinks_to_its_minimum(repo: GitRepo, tmp_path: Path, commit: str, bell: Bell) -> None:
    """Who had nothing to do for a while goes home, but for those that always stay."""
    recorder, clock = Recorder(), ManualClock()

    async def scenario() -> None:
        async with pool_for(
            repo,
            tmp_path,
            size=3,
            minimum=1,
            idle_time=60.0,
            heartbeat=1e6,
            observer=recorder,
            clock=clock.monotonic,
        ) as pool:
            await asyncio.wait_for(recorder.spawned.wait(), 30)
            assert pool.workers == 1
            script = f"echo > {bell.path}; sleep 300"
            jobs = [asyncio.create_task(pool.run(gate_job(commit, script, job_id=name))) for name in "abc"]
            await bell.rung(times=3)
            assert pool.workers == 3
            for name in "abc":
                pool.cancel(name)
            await asyncio.gather(*jobs)
            clock.elapsed += 59.0
            pool.run_once()
            assert WorkerChange.ENDED not in recorder.told
            clock.elapsed += 1.0
            pool.run_once()
            while recorder.told.count(WorkerChange.ENDED) < 2:
                await asyncio.wait_for(recorder.terminated.wait(), 30)
                await asyncio.sleep(0)
            clock.elapsed += 600.0
            pool.run_once()
            assert pool.workers == 1
            assert (await outcome_of(pool, gate_job(commit))).passed

    asyncio.run(scenario())

    assert WorkerChange.LOST not in recorder.told


@pytest.mark.parametrize(
    ("wanted", "is_taken"),
    [
        ({}, True),
        ({"requires": ("gpu",)}, True),
        ({"requires": ("gpu", "fpga")}, False),
        ({"affinity": {"zone": "a"}}, True),
        ({"affinity": {"zone": "b"}}, False),
        ({"affinity": {"rack": "1"}}, False),
    ],
)
def test_a_job_goes_to_workers_that_can_do_it(
    repo: GitRepo, tmp_path: Path, commit: str, wanted: dict[str, Any], is_taken: bool
) -> None:
    """All that it requires, and the affinity that it names; what nobody can ever do is said at once."""

    async def scenario() -> JobEnd:
        options: dict[str, Any] = {"capabilities": ("gpu", "net"), "affinity": {"zone": "a"}}
        async with pool_for(repo, tmp_path, **options) as pool:
            return await asyncio.wait_for(pool.run(gate_job(commit, **wanted)), 60)

    end = asyncio.run(scenario())

    assert isinstance(end, CommandResult) is is_taken
    if isinstance(end, WorkerLost):
        assert "no worker here can ever run unit" in end.message


def test_orphans_of_a_killed_control_process_are_ended_at_the_next_start(
    repo: GitRepo, tmp_path: Path, commit: str
) -> None:
    """All slots that nobody holds are cleared at once, also those that are not used; held ones are not."""
    assert commit
    orphans = []
    (tmp_path / "slots").mkdir()
    for number in (3, 7):
        slot = tmp_path / "slots" / str(number)
        (tmp_path / "slots" / f"{number}.lock").touch()
        environment = {"MAINGATE_SLOT": str(slot), "PATH": os.environ["PATH"]}
        orphans.append(subprocess.Popen(["sleep", "300"], env=environment))
    script = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); input()"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            script,
            str(tmp_path / "slots" / "7.lock"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path):
            pass

    asyncio.run(scenario())

    assert orphans[0].wait(20) == -signal.SIGKILL
    assert started(orphans[1].pid) != ""
    orphans[1].kill()
    orphans[1].wait()
    holder.communicate(b"\n")
