"""The pool starts workers when they are needed, loses none without saying so, and leaves no process."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maingate.errors import WorkerError
from maingate.ids import UetWorkerId
from maingate.reasons import ReasonCode
from maingate.uet.process.command import CommandResult
from maingate.workers.backend import WorkerLost
from maingate.workers.local import worker_process
from maingate.workers.local.protocol import Result, encode
from maingate.workers.pool_manager import PoolManager
from support.factories import GitRepo
from support.pools import (
    Bell,
    Recorder,
    artifacts_in,
    at_work_in,
    gate_job,
    outcome_of,
    pool_for,
    processes_of,
    run_all,
    talking,
)


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert processes_of(tmp_path / "slots") == []


def test_a_worker_lives_through_its_machine(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """The observer hears every state of a worker, in an order that its machine allows.

    See docs/SPECIFICATION.md §2.1.
    """
    recorder = Recorder()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            assert pool.workers == 0
            for number in range(2):
                assert (await outcome_of(pool, gate_job(commit, job_id=str(number)))).passed
            assert pool.workers == 1

    asyncio.run(scenario())

    assert recorder.changes == [
        ("SPAWNING", "created"),
        ("IDLE", "initialized"),
        ("BUSY", "task_assigned"),
        ("IDLE", "task_finished"),
        ("BUSY", "task_assigned"),
        ("IDLE", "task_finished"),
        ("TERMINATED", "shutdown_requested"),
    ]
    assert recorder.started == ["0", "1"]


def test_workers_are_as_many_as_jobs_need_and_no_more_than_allowed(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """Two jobs at once take two workers, the third waits."""

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, size=2) as pool:
            jobs = [gate_job(commit, f"echo > {bell.path}; sleep 300", job_id=name) for name in "ab"]
            both = asyncio.gather(*(pool.run(job) for job in jobs))
            third = asyncio.create_task(pool.run(gate_job(commit, job_id="c")))
            await bell.rung(times=2)
            assert (set(pool.running), pool.waiting, pool.workers) == ({"a", "b"}, 1, 2)
            pool.cancel("a")
            end = await third
            assert isinstance(end, CommandResult)
            assert end.passed
            pool.cancel("b")
            await both
            assert pool.workers == 2

    asyncio.run(scenario())


def test_jobs_start_by_priority_and_age(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """Higher priority first; among equals, who asked first."""
    recorder = Recorder()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            wanted = [("low", -1), ("one", 0), ("high", 5), ("two", 0)]
            await run_all(pool, *(gate_job(commit, job_id=n, priority=p) for n, p in wanted))

    asyncio.run(scenario())

    assert recorder.started == ["high", "one", "two", "low"]


def test_an_exclusive_job_is_alone_and_not_starved(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """Nothing runs beside an exclusive job, and once it is next, later jobs wait, urgent ones too."""
    recorder = Recorder()
    beside: list[int] = []

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, size=2, observer=recorder) as pool:
            recorder.on_started = lambda job_id, _: (
                beside.append(len(pool.running)) if job_id == "alone" else None
            )
            first = asyncio.create_task(
                pool.run(gate_job(commit, f"echo > {bell.path}; sleep 300", job_id="first"))
            )
            await bell.rung()
            alone = asyncio.create_task(pool.run(gate_job(commit, job_id="alone", exclusive=True)))
            await asyncio.sleep(0)
            later = asyncio.create_task(pool.run(gate_job(commit, job_id="later", priority=9)))
            await asyncio.sleep(0)
            assert (list(pool.running), pool.waiting) == (["first"], 2)
            pool.cancel("first")
            await asyncio.gather(first, alone, later)

    asyncio.run(scenario())

    assert recorder.started == ["first", "alone", "later"]
    assert beside == [1]


def test_a_cancelled_job_ends_waiting_or_running(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """Cancelling yields a cancelled outcome; the worker goes on to the next job."""

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            running = asyncio.create_task(
                pool.run(gate_job(commit, f"echo > {bell.path}; sleep 300", job_id="running"))
            )
            await bell.rung()
            waiting = asyncio.create_task(pool.run(gate_job(commit, job_id="waiting")))
            await asyncio.sleep(0)
            for job_id in ("waiting", "running", "unknown"):
                pool.cancel(job_id)
            ends = await asyncio.gather(running, waiting)
            assert [isinstance(end, CommandResult) and end.cancelled for end in ends] == [True, True]
            assert (await outcome_of(pool, gate_job(commit))).passed

    asyncio.run(scenario())


def test_cancelling_the_caller_cancels_the_job(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """Nobody waits any more: the gate is ended, and the worker is free again."""

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            job = gate_job(commit, f"echo > {bell.path}; sleep 300", job_id="unwanted")
            caller = asyncio.create_task(pool.run(job))
            await bell.rung()
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            assert (await outcome_of(pool, gate_job(commit))).passed

    asyncio.run(scenario())


def test_a_killed_worker_is_reported_and_replaced(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """The job of a worker that dies comes back as lost, its processes are ended, the next job runs."""
    recorder = Recorder()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            script = f"setsid sleep 300 & echo > {bell.path}; sleep 300"
            lost = asyncio.create_task(pool.run(gate_job(commit, script, job_id="lost", attempt=3)))
            await bell.rung()
            (pid,) = recorder.pids.values()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            end = await lost
            assert isinstance(end, WorkerLost)
            assert (end.job_id, end.attempt) == ("lost", 3)
            assert "signal 9" in end.message
            assert at_work_in(tmp_path / "slots") == []
            assert (await outcome_of(pool, gate_job(commit))).passed

    asyncio.run(scenario())

    assert ("TERMINATED", "crashed") in recorder.changes


def test_an_idle_worker_that_dies_is_replaced(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """Nobody's job is lost with an idle worker."""
    recorder = Recorder()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            await outcome_of(pool, gate_job(commit))
            (pid,) = recorder.pids.values()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await asyncio.wait_for(recorder.terminated.wait(), 30)
            assert (await outcome_of(pool, gate_job(commit))).passed

    asyncio.run(scenario())


GOOD = CommandResult(passed=True)


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"\xff\xfe\n",
        encode(Result(job_id="another", attempt=1, outcome=GOOD)),
        encode(Result(job_id="job", attempt=2, outcome=GOOD)),
        b'{"type":"ready","pid":1}\n',
        b'{"type":"cancel","job_id":"job"}\n',
        b"x" * 5_000_000,
    ],
    ids=[
        "no JSON",
        "no text",
        "another job",
        "another attempt",
        "ready again",
        "not from a worker",
        "endless line",
    ],
)
def test_nonsense_from_a_worker_is_the_end_of_it(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    """A worker that does not answer what it was asked is ended, and its job is lost, never passed."""
    talking(tmp_path, monkeypatch, line)

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            end = await asyncio.wait_for(pool.run(gate_job(commit)), 30)
            assert isinstance(end, WorkerLost)

    asyncio.run(scenario())


def test_last_words_of_a_worker_are_reported(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker wrote on standard error is part of how it ended."""
    script = talking(tmp_path, monkeypatch, b"")
    script.write_text(script.read_text().replace("sys.stdin.read()", "os._exit(3)"))

    async def scenario() -> WorkerLost | CommandResult:
        async with pool_for(repo, tmp_path) as pool:
            return await pool.run(gate_job(commit))

    end = asyncio.run(scenario())

    assert isinstance(end, WorkerLost)
    assert "exited with 3" in end.message
    assert "last words" in end.message


def test_workers_that_cannot_start_give_their_jobs_back(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some attempts a job is lost rather than waiting for ever."""
    recorder = Recorder()
    for program in ("false", str(tmp_path / "missing")):
        monkeypatch.setattr(sys, "executable", program)

        async def scenario() -> None:
            async with pool_for(repo, tmp_path, observer=recorder) as pool:
                end = await asyncio.wait_for(pool.run(gate_job(commit)), 30)
                assert isinstance(end, WorkerLost)

        asyncio.run(scenario())

    assert recorder.changes == []


def test_a_fork_server_that_dies_costs_its_workers_jobs_and_is_replaced(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """Its workers end with it, and their jobs are given back; the next job has a worker."""

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, size=2) as pool:
            script = f"sleep 300 & echo > {bell.path}; sleep 300"
            jobs = [gate_job(commit, script, job_id=name) for name in ("one", "two")]
            lost = [asyncio.create_task(pool.run(job)) for job in jobs]
            await bell.rung(2)
            (server,) = set(processes_of(tmp_path / "slots")).difference(at_work_in(tmp_path / "slots"))
            os.kill(server, signal.SIGKILL)
            for end in await asyncio.wait_for(asyncio.gather(*lost), 30):
                assert isinstance(end, WorkerLost)
            assert (await outcome_of(pool, gate_job(commit, job_id="next"))).passed

    asyncio.run(scenario())
    assert processes_of(tmp_path / "slots") == []


def test_a_worker_that_somebody_else_ends_gives_its_job_back(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """It ends its gate and itself, but nobody of us cancelled the job: it is lost, not unwanted."""
    recorder = Recorder()

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            job = gate_job(commit, f"echo > {bell.path}; sleep 300")
            lost = asyncio.create_task(pool.run(job))
            await bell.rung()
            (pid,) = recorder.pids.values()
            assert pid is not None
            os.kill(pid, signal.SIGTERM)
            assert isinstance(await asyncio.wait_for(lost, 30), WorkerLost)

    asyncio.run(scenario())


def test_stop_lets_running_jobs_finish_and_cancels_waiting_ones(
    repo: GitRepo, tmp_path: Path, commit: str, bell: Bell
) -> None:
    """A drain takes nothing away from what runs."""
    recorder = Recorder()

    async def scenario() -> None:
        pool = pool_for(repo, tmp_path, observer=recorder)
        await pool.start()
        go = tmp_path / "go"
        os.mkfifo(go)
        job = gate_job(commit, f"echo > {bell.path}; read line < {go}", job_id="running")
        running = asyncio.create_task(pool.run(job))
        await bell.rung()
        waiting = asyncio.create_task(pool.run(gate_job(commit, job_id="waiting")))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(pool.stop())
        end = await waiting
        assert isinstance(end, CommandResult)
        assert end.cancelled
        await asyncio.to_thread(go.write_text, "go\n")
        await stopping
        await pool.stop()
        end = await running
        assert isinstance(end, CommandResult)
        assert end.passed
        with pytest.raises(WorkerError, match="start it first"):
            await pool.run(job)

    asyncio.run(scenario())

    assert recorder.changes[-2:] == [("DRAINING", "shutdown_requested"), ("TERMINATED", "task_finished")]


def test_stop_can_be_made_urgent(repo: GitRepo, tmp_path: Path, commit: str, bell: Bell) -> None:
    """A second stop that cancels ends what the first one waits for."""

    async def scenario() -> None:
        pool = pool_for(repo, tmp_path)
        await pool.start()
        running = asyncio.create_task(pool.run(gate_job(commit, f"echo > {bell.path}; sleep 300")))
        await bell.rung()
        patient = asyncio.create_task(pool.stop())
        await asyncio.sleep(0)
        await pool.stop(cancel_running=True)
        await patient
        end = await running
        assert isinstance(end, CommandResult)
        assert end.cancelled

    asyncio.run(scenario())


def test_stop_while_workers_start_leaves_none(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """Stopping at any moment is clean, also before the first worker is ready."""

    async def scenario() -> None:
        pool = pool_for(repo, tmp_path, size=2)
        await pool.start()
        jobs = [asyncio.create_task(pool.run(gate_job(commit, job_id=str(n)))) for n in range(3)]
        await asyncio.sleep(0)
        await pool.stop()
        assert all(isinstance(job.result(), CommandResult) for job in jobs)
        assert pool.workers == 0

    asyncio.run(scenario())


def test_a_pool_can_be_started_again(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """Start and stop are idempotent and may alternate; the slot is used again."""

    async def scenario() -> None:
        pool = pool_for(repo, tmp_path)
        for _ in range(2):
            await pool.start()
            await pool.start()
            assert (await outcome_of(pool, gate_job(commit))).passed
            await pool.stop()

    asyncio.run(scenario())

    assert sorted(path.name for path in (tmp_path / "slots").iterdir()) == ["0", "0.lock"]


def test_two_pools_of_one_repository_take_different_slots(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """A slot belongs to one run at a time; the next free one is taken, and given back."""

    async def scenario() -> None:
        script = "echo $MAINGATE_SLOT"
        async with pool_for(repo, tmp_path) as first, pool_for(repo, tmp_path) as second:
            ends = [await outcome_of(pool, gate_job(commit, script)) for pool in (first, second)]
            assert [Path(end.excerpt.strip()).name for end in ends] == ["0", "1"]
        async with pool_for(repo, tmp_path) as third:
            end = await outcome_of(third, gate_job(commit, script))
            assert Path(end.excerpt.strip()).name == "0"

    asyncio.run(scenario())


def test_strays_of_a_crashed_run_are_ended_before_the_slot_is_used(
    repo: GitRepo, tmp_path: Path, commit: str
) -> None:
    """What an earlier run left in a slot does not meet the next gate there."""
    slot = tmp_path / "slots" / "0"
    stray = subprocess.Popen(["sleep", "300"], env={"MAINGATE_SLOT": str(slot), "PATH": os.environ["PATH"]})

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            assert (await outcome_of(pool, gate_job(commit))).passed

    asyncio.run(scenario())

    assert stray.wait(20) == -signal.SIGKILL


def test_worktrees_are_prepared_once_and_again_for_other_inputs(repo: GitRepo, tmp_path: Path) -> None:
    """Preparation runs once per worktree, again when its inputs changed; only what is kept outlasts it."""
    commits = [repo.commit({"lock": f"{n}\n"}) for n in range(2)]
    log = tmp_path / "prepared"
    prepare = (f"cat lock >> {log}; mkdir -p venv; touch venv/x stray", ("touch", "venv/y"))

    async def scenario() -> None:
        for commit, digest in [(commits[0], "0"), (commits[0], "0"), (commits[1], "1"), (commits[1], "1")]:
            async with pool_for(repo, tmp_path) as pool:
                job = gate_job(
                    commit,
                    "test -e venv/x -a -e venv/y -a ! -e stray",
                    prepare=prepare,
                    prepare_digest=digest,
                    keep=("venv",),
                )
                assert (await outcome_of(pool, job)).passed

    asyncio.run(scenario())

    assert log.read_text() == "0\n1\n"


def test_a_preparation_that_fails_blames_no_patch(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """The gate is not run, the outcome is a fault with the output, and the next job tries again."""

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            for _ in range(2):
                job = gate_job(commit, "touch ran; exit 1", prepare=("echo no network; exit 4",))
                end = await outcome_of(pool, job)
                assert (end.fault, end.settled, end.excerpt) == ("prepare_failed", False, "no network\n")
                assert end.message == (
                    "preparing the worktree with `echo no network; exit 4` failed: prepare exited with 4; "
                    "it printed last: no network"
                )
                assert (tmp_path / "logs" / job.log).read_text() == "no network\n"

    asyncio.run(scenario())


def test_a_commit_that_is_not_there_blames_no_patch(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """When the worktree cannot be made, the outcome is a fault and the worker lives on."""

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            end = await outcome_of(pool, gate_job("0" * 40))
            assert (end.fault, end.settled) == ("worktree_failed", False)
            assert (await outcome_of(pool, gate_job(commit))).passed
            assert pool.workers == 1

    asyncio.run(scenario())


def test_gates_see_the_allowed_environment_only(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the caller's environment reaches a gate that is not on the list."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("GIT_DIR", str(repo.path / ".git"))
    script = (sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))")

    async def scenario() -> dict[str, Any]:
        async with pool_for(repo, tmp_path) as pool:
            end = await outcome_of(pool, gate_job(commit, script, env={"CI": "1"}))
            return dict(json.loads(end.excerpt))

    seen = asyncio.run(scenario())

    slot = tmp_path / "slots" / "0"
    assert not {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "GIT_DIR"} & seen.keys()
    assert {
        name: seen[name] for name in ("CI", "MAINGATE_GATE", "MAINGATE_COMMIT", "PWD", "TMPDIR", "HOME")
    } == {
        "CI": "1",
        "MAINGATE_GATE": "unit",
        "MAINGATE_COMMIT": commit,
        "PWD": str(slot / "tree"),
        "TMPDIR": str(slot / "scratch" / "tmp"),
        "HOME": os.environ["HOME"],
    }


def test_no_place_for_slots_is_a_clear_error(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """A folder that cannot be made is said at the start."""
    assert commit
    (tmp_path / "slots").write_text("a file")
    pool = pool_for(repo, tmp_path)

    with pytest.raises(WorkerError, match="worktrees cannot be created"):
        asyncio.run(pool.start())


def test_an_unlockable_slot_gives_the_jobs_back(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """When no worktree slot can be created, the job is lost with the reason."""
    (tmp_path / "slots" / "0.lock").mkdir(parents=True)

    async def scenario() -> None:
        async with PoolManager(
            size=1,
            slots_dir=tmp_path / "slots",
            locks_dir=tmp_path / "locks",
            source_git_dir=repo.path / ".git",
            artifacts=artifacts_in(tmp_path),
        ) as pool:
            end = await asyncio.wait_for(pool.run(gate_job(commit)), 30)
            assert isinstance(end, WorkerLost)
            assert (end.uet_id, "no worktree slot can be created" in end.message) == (None, True)

    asyncio.run(scenario())


def test_ids_are_those_of_uet_workers(repo: GitRepo, tmp_path: Path, commit: str) -> None:
    """Workers are known by ids of their kind."""
    recorder = Recorder()

    async def scenario() -> list[UetWorkerId]:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            await outcome_of(pool, gate_job(commit))
        return list(recorder.states)

    (uet_id,) = asyncio.run(scenario())

    assert uet_id.startswith("uet_")


@pytest.mark.parametrize("removed", ["slots", "slots/0", "slots/0.lock", "locks"])
def test_what_is_found_in_a_slot_that_was_removed_is_no_verdict(
    repo: GitRepo, tmp_path: Path, commit: str, removed: str
) -> None:
    """Somebody clears the cache while a gate runs: the job is given back, and the next one has a slot."""
    begun = Bell(tmp_path / "begun")
    waits = f"echo > {tmp_path}/begun; until test -e {tmp_path}/go; do sleep 0.02; done; exit 1"

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            ending = asyncio.create_task(pool.run(gate_job(commit, waits)))
            await begun.rung()
            gone = tmp_path / removed
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
            (tmp_path / "go").touch()
            end = await asyncio.wait_for(ending, 30)
            assert isinstance(end, WorkerLost)
            assert (end.code, "was removed while the job ran" in end.message) == (
                ReasonCode.WORKTREE_FAILED,
                True,
            )
            outcome = await outcome_of(pool, gate_job(commit, "test -d ."))
            assert outcome.passed

    asyncio.run(scenario())
    begun.close()


def test_a_worker_that_ends_as_it_was_asked_to_is_not_ended(
    repo: GitRepo, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection closes with it; nothing is looked for below it, and nothing is killed."""
    ended: list[int] = []
    monkeypatch.setattr(worker_process, "end_tree", ended.append)

    async def scenario() -> None:
        pool = pool_for(repo, tmp_path)
        await pool.start()
        assert (await outcome_of(pool, gate_job(commit))).passed
        await pool.stop()

    asyncio.run(scenario())
    assert ended == []
