"""Run one gate: a command in a worktree that passes, fails, takes too long, or cannot be judged.

The command gets a session and process group of its own, ``/dev/null`` as standard input, an environment made
from an allow-list, a temporary directory of its own, and limits. It is attended by one loop that reads its
output, watches its time and listens for a cancellation. However it ends, its whole process tree ends with it.

What a gate did is judged once, at the end, by what *we* did first: a gate that exits with 0 after it was
told to stop has not passed. A missing program, a signal, or a machine out of memory say nothing about a
patch; they are faults, not verdicts (docs/ARCHITECTURE.md, "Gates").
"""

import contextlib
import fcntl
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from maingate.system.process_tree import ProcessTree, bystanders
from maingate.uet.capture import Captured, OutputCopy
from maingate.uet.process.output_log import OutputLog
from maingate.uet.process.redaction import Redactor, redact

DEFAULT_ALLOWED_ENVIRONMENT: Final[tuple[str, ...]] = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "LD_LIBRARY_PATH",
    "XDG_*",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
"""What of the caller's environment a gate sees. A name that ends in ``*`` stands for all that begin so."""

_OF_A_REPOSITORY: Final = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
        *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"),
        *("GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE"),
        *("GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_REPLACE_REF_BASE"),
    }
)
"""Variables with which git tells its hooks which repository they are of: a gate would write into that one."""

_BUFFER_BYTES: Final = 256 * 1024
_PIPE_BYTES: Final = 1024 * 1024
_NO_PIDFD_POLL: Final = 0.02
_CANCEL_GRACE: Final = 0.5
"""Seconds at most between TERM and KILL for what nobody wants any more: a cancellation is not waited for."""
_NOT_EXECUTABLE, _NOT_FOUND, _SIGNAL_BASE = 126, 127, 128


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a gate's processes may use, each; None sets no limit.

    Args:
        cpu_seconds: CPU time of one process; beyond it the gate has timed out.
        memory_bytes: Address space of one process.
        processes: Processes of the user (the system counts all of them, and none for root).
        file_bytes: Size of one file.
    """

    cpu_seconds: int | None = None
    memory_bytes: int | None = None
    processes: int | None = None
    file_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """What to run and what to make of it.

    Args:
        name: The gate's name in the plan; the command sees it as ``MAINGATE_GATE``.
        run: A shell command (``/bin/sh -c``), or program and arguments.
        timeout: Seconds of wall time it may take.
        idle_timeout: Seconds it may be silent; None lets it be silent up to ``timeout``.
        expect: Exit codes that mean passed.
        env: Variables on top of the allowed environment.
        secret_env: More of them, whose values are blotted out of all that is written down.
        grace: Seconds between asking it to end and killing it.
        limits: What its processes may use.
        log_head: Bytes of the beginning of its output that the log keeps.
        log_tail: Bytes of the end of its output that the log keeps.
    """

    name: str
    run: str | tuple[str, ...]
    timeout: float = 600.0
    idle_timeout: float | None = None
    expect: tuple[int, ...] = (0,)
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    grace: float = 2.0
    limits: Limits = field(default_factory=Limits)
    log_head: int = 256 * 1024
    log_tail: int = 768 * 1024

    @property
    def argv(self) -> list[str]:
        """Program and arguments."""
        return ["/bin/sh", "-c", self.run] if isinstance(self.run, str) else list(self.run)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that are not to be written down."""
        return tuple(self.secret_env.values())


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """How a gate ended.

    Args:
        passed: The exit code is an expected one, and nothing else is to be said.
        exit_code: The exit code, 128+n for signal n; None when nothing ran to an end of its own.
        signal: The signal that ended it; None otherwise.
        timed_out: ``wall``, ``idle`` or ``cpu`` when that time was up; None otherwise.
        cancelled: It was told to stop because nobody wants to know any more.
        fault: Why this is no verdict: ``missing_program``, ``signal``, ``out_of_memory``, ``spawn_failed``,
            ``prepare_failed``, ``worktree_failed``; None otherwise.
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
        """Whether this says something about the tree: it passed, failed or timed out by itself."""
        return self.fault is None and not self.cancelled


class Watch(Protocol):
    """What wants to be asked while a gate runs."""

    @property
    def interval(self) -> float:
        """Seconds after which it wants to be asked even when nothing can be read."""
        ...

    def filenos(self) -> Sequence[int]:
        """Return the file descriptors which have something to read when it wants to be asked."""
        ...

    def should_stop(self) -> bool:
        """Tell whether the gate is to be ended; never blocks."""
        ...


def allowed_environment(
    environ: Mapping[str, str], allowed: Sequence[str] = DEFAULT_ALLOWED_ENVIRONMENT
) -> dict[str, str]:
    """Pick from an environment what gates may see; never what leads git to another repository than theirs.

    Args:
        environ: The environment to pick from.
        allowed: Names; one that ends in ``*`` stands for all that begin so.
    """
    names = {name for name in allowed if not name.endswith("*")}
    prefixes = tuple(name[:-1] for name in allowed if name.endswith("*"))
    return {
        name: value
        for name, value in environ.items()
        if (name in names or name.startswith(prefixes)) and name not in _OF_A_REPOSITORY
    }


def run_command(
    spec: CommandSpec,
    *,
    cwd: Path,
    log_path: Path,
    environment: Mapping[str, str],
    watch: Watch | None = None,
    stdin: Path | None = None,
    copy: OutputCopy | None = None,
) -> CommandResult:
    """Run a gate to its end, and end everything that it started.

    Args:
        spec: The gate.
        cwd: The worktree it runs in.
        log_path: Where its output goes, head and tail.
        environment: All of its environment but for ``spec.env`` and ``MAINGATE_GATE``.
        watch: Whom to ask whether it is still wanted.
        stdin: A file to read as standard input, which is ``/dev/null`` otherwise.
        copy: What takes its standard output, and nothing else, apart from the log; it is closed here.
    """
    started = time.monotonic()
    try:
        log = OutputLog(log_path, head=spec.log_head, tail=spec.log_tail)
    except OSError as error:
        return CommandResult(
            passed=False, fault="spawn_failed", message=f"the log could not be made: {error}"
        )
    with log:
        attempt = _Attempt(spec=spec, log=log, watch=watch, stdin=stdin, copy=copy)
        outcome = attempt.carry_out(cwd, _environment(spec, cwd, environment))
    message = redact("; ".join(filter(None, (outcome.message, log.trouble))), spec.secrets)
    return replace(outcome, message=message, seconds=time.monotonic() - started)


def _environment(spec: CommandSpec, cwd: Path, environment: Mapping[str, str]) -> dict[str, str]:
    own = {"PWD": str(cwd), "MAINGATE_GATE": spec.name}
    return {"PATH": os.defpath, **environment, **own, **spec.env, **spec.secret_env}


class _Stream:
    """One of the pipes that a gate writes into, without its secrets."""

    def __init__(self, spec: CommandSpec, log: OutputLog, copy: OutputCopy | None) -> None:
        self.source, self.end = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        self._log, self._copy = log, copy
        self._redactor = Redactor(spec.secrets) if spec.secrets else None

    def take(self, data: memoryview) -> None:
        """Write down what was read."""
        if self._redactor is not None:
            data = memoryview(self._redactor.feed(bytes(data)))
        self._log.write(data)
        if self._copy is not None:
            self._copy.write(bytes(data))

    def finish(self) -> Captured | None:
        """Write down what is left, and say what was copied."""
        os.close(self.source)
        if self._redactor is not None:
            rest = self._redactor.flush()
            self._log.write(memoryview(rest))
            if self._copy is not None:
                self._copy.write(rest)
        has_secret = self._redactor is not None and self._redactor.has_found
        return None if self._copy is None else self._copy.close(has_secret=has_secret)


class _Attempt:
    """One execution: start, attend, end, judge."""

    def __init__(
        self,
        *,
        spec: CommandSpec,
        log: OutputLog,
        watch: Watch | None,
        stdin: Path | None,
        copy: OutputCopy | None,
    ) -> None:
        self._spec, self._log, self._watch, self._stdin = spec, log, watch, stdin
        self._streams = [_Stream(spec, log, copy)]
        if copy is not None:
            self._streams.append(_Stream(spec, log, None))
        self._sources = {stream.source: stream for stream in self._streams}
        self._read_bytes = 0
        self._buffer = bytearray(_BUFFER_BYTES)
        self._cause: str | None = None
        self._is_unwanted = False
        self._stop_at = time.monotonic() + spec.timeout
        self._kill_at: float | None = None
        self._heard_at = time.monotonic()
        self._ask_at = 0.0

    def carry_out(self, cwd: Path, environment: dict[str, str]) -> CommandResult:
        """Do it all."""
        others, memory_kills = bystanders(), _memory_kills()
        captured = None
        try:
            try:
                process = self._start(cwd, environment)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                return _not_started(self._spec, cwd, error)
            finally:
                for stream in self._streams:
                    os.close(stream.end)
            tree = ProcessTree(leader=process.pid, bystanders=others)
            try:
                self._attend(process, tree)
            finally:
                leftovers = self._finish(process, tree)
            self._drain()
        finally:
            captured, *_ = [stream.finish() for stream in self._streams]
        outcome = _judge(self._spec, process.returncode, self._cause, memory_kills=memory_kills)
        return replace(
            outcome,
            output_bytes=self._log.total,
            excerpt=self._log.excerpt(),
            leftovers_killed=leftovers,
            captured=captured,
        )

    def _start(self, cwd: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        with open(self._stdin or os.devnull, "rb", buffering=0) as given:  # noqa: PTH123 - may be no path
            return subprocess.Popen(
                self._spec.argv,
                stdin=given,
                stdout=self._streams[0].end,
                stderr=self._streams[-1].end,
                cwd=cwd,
                env=environment,
                start_new_session=True,
                preexec_fn=_limiter(self._spec.limits),  # noqa: PLW1509 - a worker has one thread
            )

    def _attend(self, process: "subprocess.Popen[bytes]", tree: ProcessTree) -> None:
        """Read, watch and wait until the leader has ended or has to be killed."""
        for output in self._sources:
            os.set_blocking(output, False)
            _widen(output)
        exit_fd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
        at_most = _NO_PIDFD_POLL if exit_fd is None else None
        asked = tuple(self._watch.filenos()) if self._watch else ()
        with selectors.DefaultSelector() as selector:
            for fd in (*self._sources, *asked, *(() if exit_fd is None else (exit_fd,))):
                selector.register(fd, selectors.EVENT_READ)
            try:
                while process.poll() is None and not self._is_over(tree):
                    ready = {key.fd for key, _ in selector.select(self._pause(at_most=at_most))}
                    for output in ready.intersection(self._sources):
                        if not self._read(output):
                            selector.unregister(output)
                    if self._is_to_ask(ready.intersection(asked)):
                        self._ask(tree)
                    if self._is_unwanted:
                        asked = _unregister(selector, asked)
            finally:
                if exit_fd is not None:
                    os.close(exit_fd)

    def _pause(self, *, at_most: float | None) -> float:
        """Return for how many seconds there is nothing to do."""
        moments = [self._stop_at if self._kill_at is None else self._kill_at]
        if self._spec.idle_timeout is not None and self._kill_at is None:
            moments.append(self._heard_at + self._spec.idle_timeout)
        if self._watch:
            moments.append(self._ask_at)
        pause = max(0.0, min(moments) - time.monotonic())
        return pause if at_most is None else min(pause, at_most)

    def _is_over(self, tree: ProcessTree) -> bool:
        """Look at the time; tells whether the leader has to be killed now."""
        now = time.monotonic()
        if self._kill_at is not None:
            return now >= self._kill_at
        idle = self._spec.idle_timeout
        if now >= self._stop_at:
            self._stop(tree, "wall")
        elif idle is not None and now - self._heard_at >= idle:
            self._stop(tree, "idle")
        return False

    def _is_to_ask(self, is_called: object) -> bool:
        return self._watch is not None and (bool(is_called) or time.monotonic() >= self._ask_at)

    def _ask(self, tree: ProcessTree) -> None:
        if self._watch is None:
            return
        self._ask_at = time.monotonic() + self._watch.interval
        if not self._watch.should_stop():
            return
        self._is_unwanted = True
        if self._kill_at is None:
            self._stop(tree, "cancelled")
        else:
            self._kill_at = min(self._kill_at, time.monotonic() + _CANCEL_GRACE)

    def _stop(self, tree: ProcessTree, cause: str) -> None:
        """Ask the whole tree to end, and say until when. What it exits with no longer counts."""
        self._cause = cause
        grace = min(self._spec.grace, _CANCEL_GRACE) if self._is_unwanted else self._spec.grace
        self._kill_at = time.monotonic() + grace
        tree.tell(signal.SIGTERM)
        tree.tell(signal.SIGCONT)

    def _finish(self, process: "subprocess.Popen[bytes]", tree: ProcessTree) -> int:
        """End the leader if it still runs, then everything else; returns how much a finished gate left."""
        if process.poll() is None:
            tree.tell(signal.SIGKILL)
        process.wait()
        if self._kill_at is None:
            return tree.end_leftovers(grace=self._spec.grace)
        tree.end_leftovers(grace=max(0.0, self._kill_at - time.monotonic()) or -1.0)
        return 0

    def _read(self, output: int) -> bool:
        """Take some output; returns False at its end."""
        try:
            count = os.readv(output, [self._buffer])
        except BlockingIOError:
            return True
        if count:
            self._read_bytes += count
            self._sources[output].take(memoryview(self._buffer)[:count])
            self._heard_at = time.monotonic()
        return count > 0

    def _drain(self) -> None:
        """Take what is still in the pipes; never more than they hold, whoever keeps writing."""
        for output in self._sources:
            budget = self._read_bytes + 2 * _PIPE_BYTES
            before = -1
            while before < self._read_bytes < budget:
                before = self._read_bytes
                if not self._read(output):
                    break


def _judge(spec: CommandSpec, code: int, cause: str | None, *, memory_kills: int) -> CommandResult:
    """Say what an end means. What we did to the gate comes first: its exit code then says nothing."""
    exit_code = _SIGNAL_BASE - code if code < 0 else code
    number = -code if code < 0 else None
    stopped = CommandResult(passed=False, exit_code=exit_code, signal=number)
    if cause == "cancelled":
        return replace(stopped, cancelled=True, message=f"{spec.name} was cancelled")
    if cause == "wall":
        return _timed_out(stopped, cause, f"{spec.name} did not end within {spec.timeout:g} s")
    if cause == "idle":
        return _timed_out(stopped, cause, f"{spec.name} printed nothing for {spec.idle_timeout:g} s")
    if number is None and code in spec.expect:
        return CommandResult(passed=True, exit_code=code)
    if number is None and isinstance(spec.run, str) and _is_signal(code - _SIGNAL_BASE):
        number = code - _SIGNAL_BASE
    if number is not None:
        return _by_signal(spec, number, memory_kills=memory_kills)
    is_missing = code in (_NOT_EXECUTABLE, _NOT_FOUND)
    return CommandResult(
        passed=False,
        exit_code=code,
        fault="missing_program" if is_missing else None,
        message=f"{spec.name} exited with {code}" + (": a program is missing or may not be run" * is_missing),
    )


def _by_signal(spec: CommandSpec, number: int, *, memory_kills: int) -> CommandResult:
    ended = CommandResult(passed=False, exit_code=_SIGNAL_BASE + number, signal=number, fault="signal")
    if number == signal.SIGXCPU and spec.limits.cpu_seconds is not None:
        what = f"{spec.name} used more than {spec.limits.cpu_seconds} s of CPU time"
        return _timed_out(replace(ended, fault=None), "cpu", what)
    if number == signal.SIGKILL and _memory_kills() > memory_kills:
        message = f"{spec.name} was killed: the machine is out of memory"
        return replace(ended, fault="out_of_memory", message=message)
    name = signal.Signals(number).name if _is_signal(number) else f"signal {number}"
    return replace(ended, message=f"{spec.name} was ended by {name}")


def _timed_out(outcome: CommandResult, which: str, what: str) -> CommandResult:
    return replace(outcome, timed_out=which, message=f"{what} and was ended")


def _not_started(spec: CommandSpec, cwd: Path, error: Exception) -> CommandResult:
    refused = CommandResult(passed=False, fault="spawn_failed", message=f"{spec.name} did not start: {error}")
    if not isinstance(error, FileNotFoundError | PermissionError) or not cwd.is_dir():
        return refused
    is_path = "/" in spec.argv[0]
    code = _NOT_EXECUTABLE if is_path and isinstance(error, PermissionError) else _NOT_FOUND
    message = f"{spec.name}: {spec.argv[0]} was not found or may not be run"
    return replace(refused, exit_code=code, fault="missing_program", message=message)


def _is_signal(number: int) -> bool:
    return number in set(signal.Signals)


def _limiter(limits: Limits) -> Callable[[], None] | None:
    """Make the function that sets the limits in the child; None when there are none to set."""
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
    }
    settings = [(kind, *_within(kind, value)) for kind, value in wanted.items() if value is not None]
    if not settings:
        return None

    def limit() -> None:
        for kind, soft, hard in settings:
            resource.setrlimit(kind, (soft, hard))

    return limit


def _within(kind: int, value: int) -> tuple[int, int]:
    """Return soft and hard limit, no higher than what this process is allowed itself."""
    _, ceiling = resource.getrlimit(kind)
    hard = value + 1 if kind == resource.RLIMIT_CPU else value
    if ceiling == resource.RLIM_INFINITY:
        return value, hard
    return min(value, ceiling), min(hard, ceiling)


def _unregister(selector: selectors.BaseSelector, fds: tuple[int, ...]) -> tuple[int, ...]:
    """Stop listening to those who have said all that counts; a line that was cut stays readable for ever."""
    for fd in fds:
        selector.unregister(fd)
    return ()


def _widen(fd: int) -> None:
    """Let the pipe hold more, so that a chatty gate is not held up; a refusal costs only speed."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _memory_kills() -> int:
    """Count the processes this machine killed for want of memory; 0 where it does not tell."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        with open("/proc/vmstat", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib doubles the cost
            text = file.read()
    except OSError:
        return 0
    _, found, rest = text.partition(b"\noom_kill ")
    return int(rest.split(b"\n", 1)[0]) if found else 0
