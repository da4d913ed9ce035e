"""A command that a worker runs, and how it ended: the values, without any process."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maingate.uet.capture import Captured
from maingate.uet.process.resource_limits import ProcessLimits

CommandLine = str | tuple[str, ...]
"""A shell command (``/bin/sh -c``), or program and arguments."""


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A command, its limits, and which exit codes mean that it passed.

    Args:
        name: The name of the gate or task for people; the command sees it as ``MAINGATE_GATE``.
        run: The shell command, or program and arguments.
        timeout: Seconds of wall time it may take.
        idle_timeout: Seconds it may be silent; None lets it be silent up to ``timeout``.
        expect: Exit codes that mean passed.
        env: Variables on top of the allowed environment.
        secret_env: More of them, whose values are blotted out of all that is written down.
        grace: Seconds between asking it to end and killing it.
        limits: The limits of its processes.
        log_head: Bytes of the beginning of its output that the log keeps.
        log_tail: Bytes of the end of its output that the log keeps.
    """

    name: str
    run: CommandLine
    timeout: float = 600.0
    idle_timeout: float | None = None
    expect: tuple[int, ...] = (0,)
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    grace: float = 2.0
    limits: ProcessLimits = field(default_factory=ProcessLimits)
    log_head: int = 256 * 1024
    log_tail: int = 768 * 1024

    @property
    def argv(self) -> list[str]:
        """Program and arguments."""
        return ["/bin/sh", "-c", self.run] if isinstance(self.run, str) else list(self.run)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that are not to be written down."""
        return tuple(self.secret_env.values())


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """The end of a command.

    Args:
        passed: The exit code is an expected one, and nothing else is to be said.
        exit_code: The exit code, 128+n for signal n; None when nothing ran to an end of its own.
        signal: The signal that ended it; None otherwise.
        timed_out: ``wall``, ``idle`` or ``cpu`` when that time was up; None otherwise.
        cancelled: It was told to stop because its result is not wanted any more.
        fault: Why this is no verdict: ``missing_program``, ``signal``, ``out_of_memory``, ``spawn_failed``,
            ``prepare_failed``, ``worktree_failed``, ``filter_failed``; None otherwise.
        message: A sentence about what happened; empty when it passed.
        seconds: Wall time it took.
        output_bytes: How much it printed; the log may hold less.
        excerpt: The last 4 KiB of it as text.
        leftovers_killed: How many processes it left behind when it ended by itself; all were ended.
        captured: The patch that was taken from what it left; None when none was asked for.
        had_company: Whether other jobs of its pool ran at any time while it did.
    """

    passed: bool
    exit_code: int | None = None
    signal: int | None = None
    timed_out: str | None = None
    cancelled: bool = False
    fault: str | None = None
    message: str = ""
    seconds: float = 0.0
    output_bytes: int = 0
    excerpt: str = ""
    leftovers_killed: int = 0
    captured: Captured | None = None
    had_company: bool = False

    @property
    def settled(self) -> bool:
        """True when it says something about the tree: it passed, failed or timed out by itself."""
        return self.fault is None and not self.cancelled
