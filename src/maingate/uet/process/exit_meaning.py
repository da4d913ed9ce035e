"""Meaning of a command's end: passed, failed, timed out, cancelled, or a fault that is no verdict.

An end is judged once. The cause for which Maingate itself ended the command comes first: a command that exits
with 0 after it was told to stop has not passed. A missing program, a signal, or a machine out of memory give
no verdict that is reused (docs/ARCHITECTURE.md, Gates). Pure: how a process ended goes in, a
result comes out.
"""

import signal
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from maingate.uet.process.command import CommandResult, CommandSpec

_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127
_SIGNAL_BASE: Final = 128
"""Exit codes of shells: not executable, not found, and 128+n for signal n."""


class Cause(StrEnum):
    """The reason for which Maingate ended a command."""

    CANCELLED = "cancelled"
    WALL = "wall"
    IDLE = "idle"


def result_of_exit(
    spec: CommandSpec, code: int, cause: Cause | None, *, is_out_of_memory: Callable[[], bool]
) -> CommandResult:
    """Return the result of a command that ran.

    Args:
        spec: The command.
        code: Its exit code, below zero for a signal.
        cause: The reason for which it was ended; None when it ended by itself.
        is_out_of_memory: Called after a SIGKILL: whether the machine killed something for want of memory
            while it ran.
    """
    exit_code = _SIGNAL_BASE - code if code < 0 else code
    number = -code if code < 0 else None
    stopped = CommandResult(passed=False, exit_code=exit_code, signal=number)
    match cause:
        case Cause.CANCELLED:
            return replace(stopped, cancelled=True, message=f"{spec.name} was cancelled")
        case Cause.WALL:
            return _timed_out(stopped, cause, f"{spec.name} did not end within {spec.timeout:g} s")
        case Cause.IDLE:
            return _timed_out(stopped, cause, f"{spec.name} printed nothing for {spec.idle_timeout:g} s")
        case None:
            return _by_itself(spec, code, is_out_of_memory)


def _by_itself(spec: CommandSpec, code: int, is_out_of_memory: Callable[[], bool]) -> CommandResult:
    if code < 0:
        return _by_signal(spec, -code, is_out_of_memory)
    if code in spec.expect:
        return CommandResult(passed=True, exit_code=code)
    if isinstance(spec.run, str) and _is_signal(code - _SIGNAL_BASE):
        return _by_signal(spec, code - _SIGNAL_BASE, is_out_of_memory)
    is_missing = code in (_NOT_EXECUTABLE, _NOT_FOUND)
    return CommandResult(
        passed=False,
        exit_code=code,
        fault="missing_program" if is_missing else None,
        message=f"{spec.name} exited with {code}" + (": a program is missing or may not be run" * is_missing),
    )


def _by_signal(spec: CommandSpec, number: int, is_out_of_memory: Callable[[], bool]) -> CommandResult:
    ended = CommandResult(passed=False, exit_code=_SIGNAL_BASE + number, signal=number, fault="signal")
    if number == signal.SIGXCPU and spec.limits.cpu_seconds is not None:
        used = f"{spec.name} used more than {spec.limits.cpu_seconds} s of CPU time"
        return _timed_out(replace(ended, fault=None), "cpu", used)
    if number == signal.SIGKILL and is_out_of_memory():
        message = f"{spec.name} was killed: the machine is out of memory"
        return replace(ended, fault="out_of_memory", message=message)
    name = signal.Signals(number).name if _is_signal(number) else f"signal {number}"
    return replace(ended, message=f"{spec.name} was ended by {name}")


def _timed_out(result: CommandResult, which: str, excess: str) -> CommandResult:
    return replace(result, timed_out=str(which), message=f"{excess} and was ended")


def not_started(spec: CommandSpec, error: Exception, *, is_folder_there: bool) -> CommandResult:
    """Return the result of a command that could not be started.

    Args:
        spec: The command.
        error: The answer of the system.
        is_folder_there: Whether the folder exists that it was to run in; without it no program is to blame.
    """
    refused = CommandResult(passed=False, fault="spawn_failed", message=f"{spec.name} did not start: {error}")
    if not isinstance(error, FileNotFoundError | PermissionError) or not is_folder_there:
        return refused
    is_path = "/" in spec.argv[0]
    code = _NOT_EXECUTABLE if is_path and isinstance(error, PermissionError) else _NOT_FOUND
    message = f"{spec.name}: {spec.argv[0]} was not found or may not be run"
    return replace(refused, exit_code=code, fault="missing_program", message=message)


def _is_signal(number: int) -> bool:
    return number in set(signal.Signals)
