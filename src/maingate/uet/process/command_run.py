"""Run one command to its end, and end everything that it started.

The command gets a session and process group of its own, ``/dev/null`` as standard input, the environment that
its caller made from an allow-list, and limits. One loop attends it: reads its output, watches its time and
listens for a cancellation. However it ends, its whole process tree ends with it.

Time in which this process was stopped counts for no timeout: the command may have been stopped with it.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from maingate.clock import LOOK, RunningTime
from maingate.system.process_tree import ProcessTree, bystanders, do_other_threads_start_processes
from maingate.uet.output_capture import OutputCopy
from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.uet.process.exit_meaning import Cause, not_started, result_of_exit
from maingate.uet.process.output_log import OutputLog
from maingate.uet.process.output_pipe import OutputPipe
from maingate.uet.process.redaction import redact
from maingate.uet.process.resource_limits import ProcessLimits, limiter, memory_kills

_NO_PIDFD_POLL: Final = 0.02
_CANCEL_GRACE: Final = 0.5
"""Seconds at most between TERM and KILL for a command that is cancelled."""

_MARK: Final = "MAINGATE_COMMAND"
"""The variable by which the processes of one command are known from others that start meanwhile."""

_Process = subprocess.Popen[bytes]


class Watch(Protocol):
    """A part that can cancel a command while it runs."""

    @property
    def interval(self) -> float:
        """Seconds after which `should_stop` is called even when nothing can be read."""
        ...

    def filenos(self) -> Sequence[int]:
        """Return the file descriptors that have something to read when `should_stop` is to be called."""
        ...

    def should_stop(self) -> bool:
        """Return whether the command is to be ended; never blocks."""
        ...


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
    """Run a command to its end, and end everything that it started.

    Args:
        spec: The command.
        cwd: The worktree it runs in.
        log_path: Where its output goes, head and tail.
        environment: All of its environment but for ``spec.env`` and ``MAINGATE_GATE``.
        watch: Can cancel it.
        stdin: A file to read as standard input, which is ``/dev/null`` otherwise.
        copy: Takes its standard output, and nothing else, apart from the log; it is closed here.
    """
    time = RunningTime()
    try:
        log = OutputLog(log_path, head=spec.log_head, tail=spec.log_tail)
    except OSError as error:
        message = f"the log could not be made: {error}"
        return CommandResult(passed=False, fault="spawn_failed", message=message)
    with log:
        mark = uuid.uuid4().hex if do_other_threads_start_processes() else None
        execution = _CommandExecution(
            spec=spec, log=log, watch=watch, stdin=stdin, copy=copy, mark=mark, time=time
        )
        marked = {} if mark is None else {_MARK: mark}
        result = execution.run(cwd, _environment(spec, cwd, environment) | marked)
    message = redact("; ".join(filter(None, (result.message, log.trouble))), spec.secrets)
    return replace(result, message=message, seconds=time.now())


def _environment(spec: CommandSpec, cwd: Path, environment: Mapping[str, str]) -> dict[str, str]:
    own = {"PWD": str(cwd), "MAINGATE_GATE": spec.name}
    return {"PATH": os.defpath, **environment, **own, **spec.env, **spec.secret_env}


class _CommandExecution:
    """One execution of a command: start, attend, end, judge."""

    def __init__(
        self,
        *,
        spec: CommandSpec,
        log: OutputLog,
        watch: Watch | None,
        stdin: Path | None,
        copy: OutputCopy | None,
        mark: str | None,
        time: RunningTime,
    ) -> None:
        self._mark = None if mark is None else f"{_MARK}={mark}".encode()
        self._spec, self._log, self._watch, self._stdin = spec, log, watch, stdin
        self._pipes = [OutputPipe(spec.secrets, log, copy)]
        if copy is not None:
            self._pipes.append(OutputPipe(spec.secrets, log))
        self._sources = {pipe.source: pipe for pipe in self._pipes}
        self._cause: Cause | None = None
        self._is_cancelled = False
        self._time = time
        self._stop_at = time.now() + spec.timeout
        self._kill_at: float | None = None
        self._output_at = time.now()
        self._ask_at = 0.0

    def run(self, cwd: Path, environment: dict[str, str]) -> CommandResult:
        """Run it, and return how it ended."""
        try:
            result = self._run(cwd, environment)
        finally:
            captured, *_ = [pipe.finish() for pipe in self._pipes]
        return replace(result, output_bytes=self._log.total, excerpt=self._log.excerpt(), captured=captured)

    def _run(self, cwd: Path, environment: dict[str, str]) -> CommandResult:
        others, kills_before = bystanders(), memory_kills()
        try:
            process = self._start(cwd, environment)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return not_started(self._spec, error, is_folder_there=cwd.is_dir())
        finally:
            for pipe in self._pipes:
                os.close(pipe.end)
        tree = ProcessTree(leader=process.pid, bystanders=others, mark=self._mark)
        try:
            self._attend(process, tree)
        finally:
            leftovers = self._end(process, tree)
        for pipe in self._pipes:
            pipe.drain()
        result = result_of_exit(
            self._spec,
            process.returncode,
            self._cause,
            is_out_of_memory=lambda: memory_kills() > kills_before,
        )
        return replace(result, leftovers_killed=leftovers)

    def _start(self, cwd: Path, environment: dict[str, str]) -> _Process:
        with open(self._stdin or os.devnull, "rb", buffering=0) as given:  # noqa: PTH123 - may be no path
            return subprocess.Popen(
                self._spec.argv,
                stdin=given,
                stdout=self._pipes[0].end,
                stderr=self._pipes[-1].end,
                cwd=cwd,
                env=environment,
                start_new_session=True,
                preexec_fn=_preparation(self._spec.limits),  # noqa: PLW1509 - a worker has one thread
            )

    # -- while it runs ---------------------------------------------------------------------------------------

    def _attend(self, process: _Process, tree: ProcessTree) -> None:
        """Read, watch and wait until the leader has ended or has to be killed."""
        for pipe in self._pipes:
            pipe.open_for_reading()
        asked = tuple(self._watch.filenos()) if self._watch else ()
        with _exit_of(process) as exit_fds, selectors.DefaultSelector() as selector:
            at_most = None if exit_fds else _NO_PIDFD_POLL
            for fd in (*self._sources, *asked, *exit_fds):
                selector.register(fd, selectors.EVENT_READ)
            while process.poll() is None and not self._is_over(tree):
                ready = {key.fd for key, _ in selector.select(self._pause(at_most=at_most))}
                for source in ready.intersection(self._sources):
                    if not self._read(source):
                        selector.unregister(source)
                if self._is_to_ask(is_called=bool(ready.intersection(asked))):
                    self._ask(tree)
                if self._is_cancelled:  # a line that was cut stays readable for ever
                    for fd in asked:
                        selector.unregister(fd)
                    asked = ()

    def _pause(self, *, at_most: float | None) -> float:
        """Return for how many seconds there is nothing to do."""
        moments = [self._stop_at if self._kill_at is None else self._kill_at]
        if self._spec.idle_timeout is not None and self._kill_at is None:
            moments.append(self._output_at + self._spec.idle_timeout)
        if self._watch:
            moments.append(self._ask_at)
        pause = max(0.0, min(moments) - self._time.now())
        return min(pause, LOOK if at_most is None else at_most)

    def _read(self, source: int) -> bool:
        """Read some output; return False at its end."""
        count = self._sources[source].read()
        if count:
            self._output_at = self._time.now()
        return count is None or count > 0

    def _is_over(self, tree: ProcessTree) -> bool:
        """Check the time; return whether the leader has to be killed now."""
        now = self._time.now()
        if self._kill_at is not None:
            return now >= self._kill_at
        idle = self._spec.idle_timeout
        if now >= self._stop_at:
            self._stop(tree, Cause.WALL)
        elif idle is not None and now - self._output_at >= idle:
            self._stop(tree, Cause.IDLE)
        return False

    def _is_to_ask(self, *, is_called: bool) -> bool:
        return self._watch is not None and (is_called or self._time.now() >= self._ask_at)

    def _ask(self, tree: ProcessTree) -> None:
        """Stop the command if the watch has cancelled it."""
        if self._watch is None:
            return
        self._ask_at = self._time.now() + self._watch.interval
        if not self._watch.should_stop():
            return
        self._is_cancelled = True
        if self._kill_at is None:
            self._stop(tree, Cause.CANCELLED)
        else:
            self._kill_at = min(self._kill_at, self._time.now() + _CANCEL_GRACE)

    def _stop(self, tree: ProcessTree, cause: Cause) -> None:
        """Send the whole tree a request to end, and set the time at which it is killed."""
        self._cause = cause
        grace = min(self._spec.grace, _CANCEL_GRACE) if self._is_cancelled else self._spec.grace
        self._kill_at = self._time.now() + grace
        tree.send(signal.SIGTERM)
        tree.send(signal.SIGCONT)

    def _end(self, process: _Process, tree: ProcessTree) -> int:
        """End the leader if it still runs, then everything else.

        Returns:
            How many processes a command that ended by itself had left behind.
        """
        if process.poll() is None:
            tree.send(signal.SIGKILL)
        process.wait()
        if self._kill_at is None:
            return tree.end_leftovers(grace=self._spec.grace)
        tree.end_leftovers(grace=max(0.0, self._kill_at - self._time.now()) or -1.0)
        return 0


def _preparation(limits: ProcessLimits) -> Callable[[], None] | None:
    """Return the function that sets limits in the child, and lets it hear signals that are blocked here.

    A process that is not to be stopped yet blocks them, and so may the one that started it. A command that
    inherited that could not be asked to end, nor could it end its own children so, as `timeout` does.
    """
    limit = limiter(limits)
    if not signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return limit

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if limit is not None:
            limit()

    return prepare


@contextlib.contextmanager
def _exit_of(process: _Process) -> Iterator[tuple[int, ...]]:
    """Open a descriptor that is readable when the process has ended; none where the system has none."""
    if not hasattr(os, "pidfd_open"):
        yield ()
        return
    fd = os.pidfd_open(process.pid)
    try:
        yield (fd,)
    finally:
        os.close(fd)
