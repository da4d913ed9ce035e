"""A worker process answers on its line, stays light, and never outlives its control process."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from maingate.uet.capture import Capture, Captured
from maingate.uet.process.resource_limits import ProcessLimits
from maingate.workers.jobs import Job
from maingate.workers.local.protocol import Cancel, Heartbeat, Ready, Result, Shutdown, encode
from support.factories import GitRepo
from support.pools import gate_job, processes_of
from support.worker_line import MODULE, Worker


@pytest.fixture
def commit(repo: GitRepo) -> str:
    """Commit something."""
    return repo.commit({"file": "x\n"})


@pytest.fixture
def worker(repo: GitRepo, commit: str, tmp_path: Path) -> Iterator[Worker]:
    """Start a worker that is ready."""
    assert commit
    started = Worker(repo, tmp_path / "slots" / "0")
    assert started.hear() == Ready(pid=started.process.pid)
    yield started
    if started.process.returncode is None:
        started.end()
    assert processes_of(tmp_path / "slots") == []


def ringing(tmp_path: Path, commit: str, script: str) -> tuple[Job, Path]:
    """Make a job that writes into a fifo when it has begun."""
    fifo = tmp_path / "bell"
    os.mkfifo(fifo)
    return gate_job(commit, f"echo $$ > {fifo}; {script}"), fifo


def test_a_job_is_answered_with_its_attempt(worker: Worker, commit: str) -> None:
    """The result names the job and the attempt it belongs to."""
    worker.say(gate_job(commit, "cat file", attempt=7))

    result = worker.hear()

    assert isinstance(result, Result)
    assert (result.job_id, result.attempt) == ("job", 7)
    assert (result.outcome.passed, result.outcome.excerpt) == (True, "x\n")


def test_a_tools_patch_is_taken(worker: Worker, tmp_path: Path, commit: str) -> None:
    """What to take travels to the worker, and what was taken back."""
    wanted = Capture(mode="worktree", prompt="y\n", stdin=True, task="w/t")
    worker.say(replace(gate_job(commit, "cat > file"), capture=wanted))

    result = worker.hear()

    assert isinstance(result, Result)
    assert result.outcome.captured == Captured(bytes=(tmp_path / "logs" / "job.diff").stat().st_size)
    assert "-x\n+y\n" in (tmp_path / "logs" / "job.diff").read_text()


def test_cancel_reaches_a_running_gate(worker: Worker, tmp_path: Path, commit: str) -> None:
    """A worker listens while a gate runs."""
    job, fifo = ringing(tmp_path, commit, "sleep 300")
    worker.say(job)
    fifo.read_text()

    worker.say(Cancel(job_id="job"))
    result = worker.hear()

    assert isinstance(result, Result)
    assert result.outcome.cancelled


def test_a_gate_that_is_deaf_to_a_cancel_is_killed_soon(worker: Worker, tmp_path: Path, commit: str) -> None:
    """Nobody waits for what nobody wants: a grace of minutes is for gates that took too long."""
    fifo = tmp_path / "bell"
    os.mkfifo(fifo)
    script = f"trap '' TERM; echo > {fifo}; while :; do sleep 1; done"
    worker.say(gate_job(commit, script, grace=600.0))
    fifo.read_text()

    worker.say(Cancel(job_id="job"))
    result = worker.hear()

    assert isinstance(result, Result)
    assert result.outcome.cancelled


def test_a_job_cancelled_before_it_began_is_not_begun(worker: Worker, tmp_path: Path, commit: str) -> None:
    """The worktree is not even moved."""
    job = gate_job(commit)
    worker.say_raw(encode(job) + encode(Cancel(job_id="job")))

    result = worker.hear()

    assert isinstance(result, Result)
    assert result.outcome.cancelled
    assert not (tmp_path / "slots" / "0" / "tree").exists()


def test_cancel_of_another_job_changes_nothing(worker: Worker, commit: str) -> None:
    """Only the job that is named is ended."""
    worker.say(Cancel(job_id="other"))
    worker.say(gate_job(commit))

    result = worker.hear()

    assert isinstance(result, Result)
    assert result.outcome.passed


def test_shutdown_lets_the_job_finish(worker: Worker, tmp_path: Path, commit: str) -> None:
    """A worker that is to end answers first what it was asked."""
    job, fifo = ringing(tmp_path, commit, "true")
    worker.say(job)
    fifo.read_text()
    worker.say(Shutdown())

    result = worker.hear()

    assert isinstance(result, Result)
    assert result.outcome.passed
    assert worker.process.wait(20) == 0
    worker.end()


@pytest.mark.parametrize("end", ["line is cut", "SIGTERM", "SIGINT"])
def test_the_gate_ends_with_the_control_process(
    worker: Worker, tmp_path: Path, commit: str, end: str
) -> None:
    """When the line is cut, or it is told to end, a worker ends its gate with its tree, and itself."""
    job, fifo = ringing(tmp_path, commit, "setsid sleep 300 & sleep 300")
    worker.say(job)
    fifo.read_text()

    if end != "line is cut":
        worker.process.send_signal(signal.Signals[end])
        assert isinstance(worker.hear(), Result)

    assert worker.end() == 0
    assert processes_of(tmp_path / "slots") == []


def test_a_control_process_that_is_killed_takes_its_worker_along(
    repo: GitRepo, commit: str, tmp_path: Path
) -> None:
    """`kill -9` of the control process leaves no worker and no gate."""
    job, fifo = ringing(tmp_path, commit, "sleep 300")
    options = ["-I", "-m", MODULE, "--slot", str(tmp_path / "slots/0"), "--source", str(repo.path / ".git")]
    options += ["--artifacts", str(tmp_path / "logs")]
    script = (
        "import os, subprocess, sys\n"
        f"command = [sys.executable, *{options!r}, '--parent', str(os.getpid())]\n"
        "worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)\n"
        f"worker.stdin.write({encode(job)!r})\n"
        "worker.stdin.flush()\n"
        "print(worker.pid, flush=True)\n"
        "worker.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as control:
        assert control.stdout is not None
        worker = int(control.stdout.readline())
        pidfd = os.pidfd_open(worker)
        fifo.read_text()
        control.kill()

    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)
    assert processes_of(tmp_path / "slots") == []


def test_what_a_gate_prints_is_never_taken_for_a_message(worker: Worker, commit: str) -> None:
    """The line belongs to the worker: a gate's output, whatever it looks like, goes to its log."""
    fake = '{"type":"result","job_id":"job","attempt":1,"outcome":{"passed":true}}'
    worker.say(gate_job(commit, f"echo '{fake}'; echo '{fake}' >&2; exit 1"))

    result = worker.hear()

    assert isinstance(result, Result)
    assert result.outcome.exit_code == 1
    assert result.outcome.excerpt.count(fake) == 2


def test_it_gives_signs_of_life(repo: GitRepo, commit: str, tmp_path: Path) -> None:
    """A worker says that it is alive, and what it works on, whether it works or not."""
    worker = Worker(repo, tmp_path / "slots" / "0", heartbeat=0.05)
    assert isinstance(worker.hear(), Ready)
    assert worker.hear() == Heartbeat(job_id=None)
    worker.say(gate_job(commit, "sleep 300"))
    while worker.hear() != Heartbeat(job_id="job"):
        pass
    worker.say(Cancel(job_id="job"))
    while not isinstance(worker.hear(), Result):
        pass
    assert worker.end() == 0


def test_it_gives_signs_of_life_in_the_middle_of_a_call(repo: GitRepo, commit: str, tmp_path: Path) -> None:
    """An alarm interrupts whatever the worker is at, here the opening of a log that nobody reads."""
    fifo = tmp_path / "logs" / "never"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    worker = Worker(repo, tmp_path / "slots" / "0", heartbeat=0.05)
    job = replace(gate_job(commit), log=fifo.name)
    assert isinstance(worker.hear(), Ready)
    worker.say(job)
    for _ in range(100):
        if worker.hear() == Heartbeat(job_id="job"):
            break
    assert [worker.hear() for _ in range(3)] == [Heartbeat(job_id="job")] * 3
    with fifo.open("rb"):
        while not isinstance(worker.hear(), Result):
            pass
    assert worker.end() == 0


def test_nonsense_from_the_control_process_ends_it(worker: Worker) -> None:
    """A worker that is spoken to in another language does not guess."""
    worker.say_raw(b"hello\n")

    assert worker.process.wait(20) != 0
    worker.end()


def test_bad_options_are_a_usage_error() -> None:
    """Without a slot there is nothing to serve."""
    done = subprocess.run([sys.executable, "-I", "-m", MODULE], check=False, capture_output=True)

    assert done.returncode == 2
    assert b"--slot" in done.stderr


def test_it_imports_little() -> None:
    """A worker starts in milliseconds because nothing heavy is imported (docs/ARCHITECTURE.md, "Layers")."""
    script = f"import sys, {MODULE}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True)

    heavy = {
        "sqlalchemy",
        "pydantic",
        "pygit2",
        "typer",
        "rich",
        "alembic",
        "yaml",
        "psutil",
        "asyncio",
        "ulid",
    }
    assert not heavy & set(done.stdout.split())


def test_limits_hold_for_the_gate(worker: Worker, commit: str) -> None:
    """Memory, file size and CPU time of a gate are bounded; the last counts as a time-out."""
    cases = [
        ("ulimit -v", ProcessLimits(memory_bytes=512 * 1024 * 1024), "524288"),
        ("ulimit -t", ProcessLimits(cpu_seconds=7), "7"),
        ("ulimit -c", ProcessLimits(), "0"),
        ("head -c 4096 /dev/zero > big || wc -c < big", ProcessLimits(file_bytes=1024), "1024"),
    ]
    for script, limits, expected in cases:
        worker.say(gate_job(commit, script, limits=limits))
        result = worker.hear()
        assert isinstance(result, Result)
        assert result.outcome.excerpt.split()[-1] == expected

    worker.say(gate_job(commit, ("sh", "-c", "while :; do :; done"), limits=ProcessLimits(cpu_seconds=1)))
    result = worker.hear()
    assert isinstance(result, Result)
    assert (result.outcome.timed_out, result.outcome.fault) == ("cpu", None)
