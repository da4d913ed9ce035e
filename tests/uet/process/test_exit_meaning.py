"""The table of ends of a command: which pass, fail, time out, are cancelled, or say nothing."""

import signal

import pytest

from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.uet.process.exit_meaning import Cause, not_started, result_of_exit
from maingate.uet.process.resource_limits import ProcessLimits

SHELL = CommandSpec(name="unit", run="make", timeout=9, idle_timeout=5, expect=(0, 4))
PROGRAM = CommandSpec(name="unit", run=("make",), timeout=9, idle_timeout=5, expect=(0, 4))
LIMITED = CommandSpec(name="unit", run=("make",), limits=ProcessLimits(cpu_seconds=3))
MISSING = ": a program is missing or may not be run"
KILL, SEGV, XCPU = -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGXCPU


def ended(
    exit_code: int,
    message: str = "",
    *,
    fault: str | None = None,
    timed_out: str | None = None,
    number: int | None = None,
    cancelled: bool = False,
) -> CommandResult:
    """Make the result that is expected; it passed when there is no message."""
    return CommandResult(
        passed=not message,
        exit_code=exit_code,
        message=message,
        fault=fault,
        timed_out=timed_out,
        signal=number,
        cancelled=cancelled,
    )


@pytest.mark.parametrize(
    ("spec", "code", "cause", "expected"),
    [
        (SHELL, 0, None, ended(0)),
        (SHELL, 4, None, ended(4)),
        (SHELL, 3, None, ended(3, "unit exited with 3")),
        (SHELL, 126, None, ended(126, "unit exited with 126" + MISSING, fault="missing_program")),
        (SHELL, 127, None, ended(127, "unit exited with 127" + MISSING, fault="missing_program")),
        (SHELL, 139, None, ended(139, "unit was ended by SIGSEGV", fault="signal", number=11)),
        (PROGRAM, 139, None, ended(139, "unit exited with 139")),
        (SHELL, 255, None, ended(255, "unit exited with 255")),
        (PROGRAM, SEGV, None, ended(139, "unit was ended by SIGSEGV", fault="signal", number=11)),
        (PROGRAM, KILL, None, ended(137, "unit was ended by SIGKILL", fault="signal", number=9)),
        (PROGRAM, XCPU, None, ended(152, "unit was ended by SIGXCPU", fault="signal", number=24)),
        (
            LIMITED,
            XCPU,
            None,
            ended(152, "unit used more than 3 s of CPU time and was ended", timed_out="cpu", number=24),
        ),
        (SHELL, 0, Cause.CANCELLED, ended(0, "unit was cancelled", cancelled=True)),
        (SHELL, KILL, Cause.CANCELLED, ended(137, "unit was cancelled", cancelled=True, number=9)),
        (SHELL, 0, Cause.WALL, ended(0, "unit did not end within 9 s and was ended", timed_out="wall")),
        (SHELL, 127, Cause.WALL, ended(127, "unit did not end within 9 s and was ended", timed_out="wall")),
        (SHELL, 0, Cause.IDLE, ended(0, "unit printed nothing for 5 s and was ended", timed_out="idle")),
    ],
)
def test_each_end_has_one_meaning(
    spec: CommandSpec, code: int, cause: Cause | None, expected: CommandResult
) -> None:
    """The cause that Maingate set comes first; then exit codes, then signals, a shell's included."""
    assert result_of_exit(spec, code, cause, is_out_of_memory=lambda: False) == expected


@pytest.mark.parametrize(
    ("code", "fault"), [(KILL, "out_of_memory"), (137, "out_of_memory"), (SEGV, "signal"), (1, None)]
)
def test_only_a_kill_can_be_for_want_of_memory(code: int, fault: str | None) -> None:
    """The machine ends what takes too much memory with SIGKILL."""
    assert result_of_exit(SHELL, code, None, is_out_of_memory=lambda: True).fault == fault


@pytest.mark.parametrize(
    ("run", "error", "is_folder_there", "expected"),
    [
        ("make", FileNotFoundError(), True, (127, "missing_program")),
        ("./make", FileNotFoundError(), True, (127, "missing_program")),
        ("./make", PermissionError(), True, (126, "missing_program")),
        ("make", PermissionError(), True, (127, "missing_program")),
        ("make", FileNotFoundError(), False, (None, "spawn_failed")),
        ("make", OSError("too many"), True, (None, "spawn_failed")),
        ("make", ValueError("embedded null byte"), True, (None, "spawn_failed")),
    ],
)
def test_a_command_that_did_not_start_gave_no_verdict(
    run: str, error: Exception, *, is_folder_there: bool, expected: tuple[int | None, str]
) -> None:
    """A program that is not there is told from a folder that is gone and from a system that refuses."""
    result = not_started(CommandSpec(name="unit", run=(run,)), error, is_folder_there=is_folder_there)
    assert (result.exit_code, result.fault, result.passed) == (*expected, False)
