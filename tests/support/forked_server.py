"""The fork servers of pools in tests: forked from a process that has imported what they import.

An interpreter of its own for each would be a third of what a small run costs. A command that tests have
forked forks it from itself, and a process with tests has it forked by its nursery. That Maingate itself
starts an interpreter for it is tested in ``tests/workers``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from maingate.workers.local import fork_server
from support.nursery import CLONE
from support.server_child import become_fork_server

_TESTS: Final = Path(__file__).parents[1]
_PROGRAM: Final = f"import sys; sys.path.append({str(_TESTS)!r}); from support import nursery; nursery.main()"

_ROOM: Final = " " * 4096
"""What makes the command line of the nursery longer than any that is to be shown in its place."""

start_interpreter = fork_server.start_process
"""What Maingate does."""


class ForkedServer:
    """A fork server that was forked, a child of this process; it has the face of `subprocess.Popen`."""

    def __init__(self, pid: int, errors: int) -> None:
        self.pid, self.stderr = pid, os.fdopen(errors, "rb", buffering=0)
        self._code: int | None = None

    def kill(self) -> None:
        """Kill it, unless its end is known."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code


def fork_from_this_process() -> None:
    """Have the fork servers of this process forked from it while it has one thread, else started."""
    fork_server.start_process = _from_this_process  # type: ignore[assignment]


def fork_from_a_nursery() -> None:
    """Have the fork servers of this process forked by a nursery, where there can be one."""
    if sys.platform.startswith("linux") and CLONE is not None:
        fork_server.start_process = start_sibling  # type: ignore[assignment]


def _from_this_process(
    line: int, slots_dir: Path, environment: Mapping[str, str]
) -> "ForkedServer | subprocess.Popen[bytes]":
    if threading.active_count() > 1:
        return start_interpreter(line, slots_dir, environment)
    reading, writing = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()  # what they hold is to be written once
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        become_fork_server(
            line=line, errors=writing, parent=parent, slots_dir=slots_dir, environment=environment
        )
    os.close(writing)
    return ForkedServer(pid, reading)


def start_sibling(line: int, slots_dir: Path, environment: Mapping[str, str]) -> ForkedServer:
    """Have a fork server forked by the nursery of this process."""
    reading, writing = os.pipe()
    asked = {"parent": os.getpid(), "slots": str(slots_dir), "environment": dict(environment)}
    nursery = _nursery()
    socket.send_fds(nursery, [json.dumps(asked).encode()], [line, writing])
    os.close(writing)
    return ForkedServer(int(nursery.recv(64)), reading)


@cache
def _nursery() -> socket.socket:
    """Start the nursery of this process, which ends with it; return the line to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        words = [sys.executable, "-I", "-c", _PROGRAM, _ROOM]
        process = subprocess.Popen(words, stdin=theirs.fileno(), env={}, cwd="/", start_new_session=True)
    process.returncode = 0  # it stays until this process is gone, and nobody is to be warned of that
    return ours
