"""A gate passes, fails, takes too long or cannot be judged, and nothing of it is left."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from maingate.clock import RunningTime
from maingate.system.process_tree import adopt_orphans, bystanders
from maingate.uet.process import command_run
from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.uet.process.command_run import run_command
from maingate.uet.process.output_pipe import OutputPipe
from maingate.uet.process.resource_limits import ProcessLimits


@pytest.fixture(autouse=True)
def _orphans_come_to_us() -> Iterator[None]:
    adopt_orphans()
    yield
    adopt_orphans(on=False)


class StopAt:
    """A watch that cancels as soon as the gate has written to a pipe."""

    interval = 3600.0

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    def filenos(self) -> Sequence[int]:
        """Listen to the pipe."""
        return (self._fd,)

    def should_stop(self) -> bool:
        """Stop when something was written."""
        try:
            return bool(os.read(self._fd, 1))
        except BlockingIOError:
            return False


def run(tmp_path: Path, script: str | tuple[str, ...], **options: Any) -> CommandResult:
    """Run a gate in an empty folder."""
    options.setdefault("timeout", 60.0)
    return run_command(
        CommandSpec(name="unit", run=script, **options),
        cwd=tmp_path,
        log_path=tmp_path / "log",
        environment={"PATH": os.environ["PATH"], "MAINGATE_SLOT": str(tmp_path)},
    )


def judged(outcome: CommandResult) -> tuple[bool, int | None, str | None, str | None]:
    """Return what a gate's outcome is judged by."""
    return (outcome.passed, outcome.exit_code, outcome.timed_out, outcome.fault)


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        ("exit 0", {}, (True, 0, None, None)),
        (("true",), {}, (True, 0, None, None)),
        ("exit 3", {}, (False, 3, None, None)),
        ("exit 3", {"expect": (3, 4)}, (True, 3, None, None)),
        ("exit 0", {"expect": (3, 4)}, (False, 0, None, None)),
        ("no-such-program-here --flag", {}, (False, 127, None, "missing_program")),
        (("no-such-program-here", "--flag"), {}, (False, 127, None, "missing_program")),
        ("./log", {}, (False, 126, None, "missing_program")),
        (("./log",), {}, (False, 126, None, "missing_program")),
        (("",), {}, (False, None, None, None)),
        (("a\0b",), {}, (False, None, None, "spawn_failed")),
        ("kill -SEGV $$", {}, (False, 139, None, "signal")),
        ("sh -c 'kill -KILL $$'; exit $?", {}, (False, 137, None, "signal")),
        ("exit 137", {"expect": (137,)}, (True, 137, None, None)),
        ("exit 255", {}, (False, 255, None, None)),
    ],
)
def test_an_end_is_judged(
    tmp_path: Path,
    script: str | tuple[str, ...],
    options: dict[str, Any],
    expected: tuple[bool, int | None, str | None, str | None],
) -> None:
    """Expected exit codes pass, others fail; missing programs and signals are faults and no verdict."""
    outcome = run(tmp_path, script, **options)

    if script == ("",):
        assert outcome.fault in {"missing_program", "spawn_failed"}
        return
    assert judged(outcome) == expected
    assert outcome.settled is (outcome.fault is None)
    assert bool(outcome.message) is not outcome.passed


def test_a_folder_that_is_gone_is_not_a_missing_program(tmp_path: Path) -> None:
    """When the worktree is missing, the program is not to blame."""
    outcome = run_command(
        CommandSpec(name="unit", run=("true",)),
        cwd=tmp_path / "gone",
        log_path=tmp_path / "log",
        environment={},
    )

    assert outcome.fault == "spawn_failed"


def test_a_log_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    """Without a log nothing is run, and the patch is not blamed."""
    outcome = run_command(
        CommandSpec(name="unit", run="touch ran"), cwd=tmp_path, log_path=tmp_path, environment={}
    )

    assert outcome.fault == "spawn_failed"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("script", "options", "cause"),
    [
        ("sleep 300", {"timeout": 0.2}, "wall"),
        ("trap 'exit 0' TERM; while :; do sleep 0.05; done", {"timeout": 0.3}, "wall"),
        ("trap '' TERM; while :; do sleep 0.05; done", {"timeout": 0.2, "grace": 0.2}, "wall"),
        ("while :; do echo x; done", {"timeout": 0.3}, "wall"),
        ("echo begun; sleep 300", {"idle_timeout": 0.3}, "idle"),
        ("exec >/dev/null 2>&1; sleep 300", {"idle_timeout": 0.2}, "idle"),
        ("kill -STOP $$", {"timeout": 0.2}, "wall"),
    ],
)
def test_time_runs_out(tmp_path: Path, script: str, options: dict[str, Any], cause: str) -> None:
    """Whatever a gate does when it is told to stop, exiting with 0 included, it has timed out."""
    before = bystanders()

    outcome = run(tmp_path, script, **options)

    assert (outcome.passed, outcome.timed_out, outcome.fault) == (False, cause, None)
    assert outcome.settled
    assert outcome.seconds < 30
    assert bystanders() == before


def test_output_keeps_a_gate_from_being_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The idle timeout counts from the last output, not from the start; here output alone makes time pass."""
    moments, read = [0.0], OutputPipe.read

    def read_late(pipe: OutputPipe) -> int | None:
        if count := read(pipe):
            moments.append(moments[-1] + 0.9)
            (tmp_path / f"read.{len(moments)}").touch()
        return count

    monkeypatch.setattr(OutputPipe, "read", read_late)
    monkeypatch.setattr(command_run, "RunningTime", lambda: RunningTime(lambda: moments[-1]))
    script = "for n in 2 3 4; do echo $n; until test -e read.$n; do sleep 0.01; done; done"
    outcome = run(tmp_path, script, idle_timeout=1.0)

    assert (outcome.passed, len(moments)) == (True, 4)


@pytest.mark.parametrize("options", [{"timeout": 5.0}, {"idle_timeout": 5.0}], ids=["wall", "idle"])
def test_time_in_which_everything_was_stopped_counts_for_no_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, float]
) -> None:
    """A pause between two looks that is much longer than was asked for is none of the command's time."""
    moments, read = [0.0], OutputPipe.read

    def read_before_a_stop(pipe: OutputPipe) -> int | None:
        if (count := read(pipe)) and len(moments) == 1:
            moments.append(3600.0)
            (tmp_path / "go").touch()
        return count

    monkeypatch.setattr(OutputPipe, "read", read_before_a_stop)
    monkeypatch.setattr(command_run, "RunningTime", lambda: RunningTime(lambda: moments[-1]))
    outcome = run(tmp_path, "echo begun; until test -e go; do sleep 0.01; done", **options)

    assert (outcome.passed, outcome.timed_out, len(moments)) == (True, None, 2)
    assert outcome.seconds < 5


def test_standard_input_is_empty(tmp_path: Path) -> None:
    """A gate that reads gets the end of the file, not a terminal that waits."""
    assert run(tmp_path, "! read line").passed


def test_output_goes_to_the_log_and_its_end_into_the_outcome(tmp_path: Path) -> None:
    """Standard output and error are one log; the outcome has its end."""
    outcome = run(tmp_path, "echo out; echo err >&2; exit 1")

    assert (tmp_path / "log").read_text() == "out\nerr\n"
    assert (outcome.excerpt, outcome.output_bytes) == ("out\nerr\n", 8)


def test_a_daemon_that_holds_the_pipe_does_not_hold_the_gate(tmp_path: Path) -> None:
    """What is left behind is ended and counted; the gate's own exit code stands."""
    before = bystanders()

    outcome = run(tmp_path, "setsid sh -c 'echo daemon; exec sleep 300' & sleep 0.2; exit 0")

    assert outcome.passed
    assert outcome.leftovers_killed == 1
    assert (tmp_path / "log").read_text() == "daemon\n"
    assert bystanders() == before


def test_the_last_of_a_pipeline_may_finish(tmp_path: Path) -> None:
    """What ends by itself in a moment is no leftover, and its output is not lost."""
    outcome = run(tmp_path, "(sleep 0.02; echo late) & exit 0")

    assert (outcome.leftovers_killed, outcome.excerpt) == (0, "late\n")


def test_cancelling_ends_it_whatever_it_exits_with(tmp_path: Path) -> None:
    """A cancelled gate is neither passed nor failed."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keep = os.open(fifo, os.O_RDWR)

    outcome = run_command(
        CommandSpec(name="unit", run="trap 'exit 0' TERM; echo x > fifo; while :; do sleep 0.02; done"),
        cwd=tmp_path,
        log_path=tmp_path / "log",
        environment={"PATH": os.environ["PATH"]},
        watch=StopAt(keep),
    )

    assert (outcome.passed, outcome.cancelled, outcome.settled) == (False, True, False)
    os.close(keep)


def test_the_environment_is_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate sees what it was given and its own variables, nothing of this process."""
    monkeypatch.setenv("SECRET_TOKEN", "x")

    outcome = run(tmp_path, "echo $MAINGATE_GATE $CI ${SECRET_TOKEN-unset}", env={"CI": "yes"})

    assert outcome.excerpt == "unit yes unset\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sizes of pipes differ")
def test_endless_output_is_bounded_on_disk(tmp_path: Path) -> None:
    """Two hundred megabytes go through; head and tail stay."""
    outcome = run(tmp_path, "yes 0123456789abcde | head -c 200000000; echo end")

    assert outcome.passed
    assert outcome.output_bytes == 200_000_004
    assert (tmp_path / "log").stat().st_size < 1024 * 1024 + 200
    assert outcome.excerpt.endswith("end\n")


def test_signals_have_their_default_effect(tmp_path: Path) -> None:
    """A gate starts with SIGPIPE as every program expects it: `yes | head` ends."""
    outcome = run(tmp_path, "yes | head -1", timeout=20.0)

    assert outcome.passed
    assert outcome.signal is None


def test_a_signal_is_named(tmp_path: Path) -> None:
    """The message says which signal it was."""
    outcome = run(tmp_path, "kill -ABRT $$")

    assert outcome.signal == signal.SIGABRT
    assert "SIGABRT" in outcome.message


@pytest.mark.parametrize("limits", [ProcessLimits(), ProcessLimits(file_bytes=1 << 30)])
def test_a_command_hears_signals_that_are_blocked_here(tmp_path: Path, limits: ProcessLimits) -> None:
    """The run of a server blocks one until it can stop, and may start commands before that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        outcome = run(tmp_path, "kill -TERM $$; echo deaf", limits=limits)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGTERM, *before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (outcome.passed, outcome.exit_code, outcome.excerpt) == (False, 128 + signal.SIGTERM, "")
