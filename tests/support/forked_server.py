"""The fork servers of pools, and the processes of servers, in tests: forked by a nursery.

An interpreter of its own for each would be a third of what a small run costs, and more than half of what a
hosted one costs. A process with tests starts a nursery that has imported what a fork server imports, and
another one with all of Maingate where it hosts runs; a command that tests have forked forks a nursery from
itself. That Maingate itself starts an interpreter is tested in ``tests/workers``, and in ``tests/server``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from maingate.workers.local import fork_server
from support import nursery

_TESTS: Final = Path(__file__).parents[1]
_SMALL: Final = f"import sys; sys.path.append({str(_TESTS)!r}); from support import nursery; nursery.main()"
_WHOLE: Final = (
    f"import sys; sys.path.append({str(_TESTS)!r}); from support import forked, nursery; nursery.main()"
)

_ROOM: Final = " " * 4096
"""What makes the command line of a nursery longer than any that is to be shown in its place."""

start_interpreter = fork_server.start_process
"""What Maingate does."""


class ForkedProcess:
    """A process that was forked, a child of this one; it has the face of `subprocess.Popen`."""

    def __init__(self, pid: int, errors: int | None = None) -> None:
        self.pid = pid
        self.stderr = None if errors is None else os.fdopen(errors, "rb", buffering=0)
        self._code: int | None = None

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless its end is known."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless its end is known."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end and return its exit code, negative for a signal."""
        return self._reap(0)

    def _reap(self, how: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, how)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


def fork_from_a_nursery() -> None:
    """Have the fork servers of this process forked by a nursery, where there can be one."""
    if nursery.CLONE is not None:
        fork_server.start_process = start_sibling  # type: ignore[assignment]


def fork_a_nursery() -> None:
    """Fork the nursery of this process, which has a single thread yet, from it."""
    if nursery.CLONE is None:
        return
    ours, theirs = _line()
    if os.fork() == 0:
        os.setsid()
        for number in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        os.dup2(theirs.fileno(), 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        nursery.serve(socket.socket(fileno=3))
        os._exit(0)
    theirs.close()
    for program in (_SMALL, _WHOLE):
        _nurseries[program] = ours
    fork_from_a_nursery()
    host_from_a_nursery()


def start_sibling(line: int, slots_dir: Path, environment: Mapping[str, str]) -> ForkedProcess:
    """Have a fork server forked by the nursery of this process."""
    reading, writing = os.pipe()
    asked = {"parent": os.getpid(), "slots": str(slots_dir), "environment": dict(environment)}
    try:
        return ForkedProcess(_forked(_SMALL, asked, line, writing), reading)
    finally:
        os.close(writing)


def start_forked(module: str, arguments: Sequence[str]) -> ForkedProcess:
    """Have a process of a server forked by the nursery of this process."""
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        return _started(module, arguments, nothing.fileno(), nothing.fileno())


def run_forked(module: str, given: bytes) -> tuple[int | None, bytes]:
    """Have a process of a server forked, and wait for its end; return its exit code and what it printed."""
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as printed:
        told.write(given)
        told.seek(0)
        code = _started(module, (), told.fileno(), printed.fileno()).wait()
        printed.seek(0)
        return code, printed.read()


def _started(module: str, arguments: Sequence[str], given: int, printed: int) -> ForkedProcess:
    deaf_to = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    asked = {
        "module": module,
        "arguments": list(arguments),
        "deaf_to": deaf_to,
        "environment": dict(os.environ),
    }
    return ForkedProcess(_forked(_WHOLE, asked, given, printed, 2))


def host_from_a_nursery() -> None:
    """Have the processes of a server forked by a nursery, where there can be one.

    It is started in this thread: with the thread that starts it, what it forks may end.
    """
    from maingate.server import process_start  # noqa: PLC0415 - few tests need it

    if nursery.CLONE is not None:
        process_start.start = start_forked  # type: ignore[assignment]
        process_start.run = run_forked  # type: ignore[assignment]
        _nursery(_WHOLE)


def _forked(program: str, asked: dict[str, Any], *fds: int) -> int:
    """Have a process forked and return its number."""
    with _one_at_a_time:
        line = _nursery(program)
        socket.send_fds(line, [json.dumps(asked).encode()], fds)
        return int(line.recv(64))


_one_at_a_time: Final = threading.Lock()
_nurseries: Final[dict[str, socket.socket]] = {}
"""The lines to the nurseries of this process, each by its program."""


def _nursery(program: str) -> socket.socket:
    """Start a nursery of this process, which ends with it, when it is first wanted; return the line to it."""
    if program not in _nurseries:
        ours, theirs = _line()
        with theirs:
            words = [sys.executable, "-I", "-c", program, _ROOM]
            environment = {"PATH": os.environ["PATH"]}
            process = subprocess.Popen(
                words, stdin=theirs.fileno(), env=environment, cwd="/", start_new_session=True
            )
        process.returncode = 0  # it stays until this process is gone, and nobody is to be warned of that
        _nurseries[program] = ours
    return _nurseries[program]


def _line() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
