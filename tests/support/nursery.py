"""The nursery: a process that fork servers and processes of runs come from, see ``forked_server``.

It has imported what they import, so that each costs a fork and not the start of an interpreter. They are no
children of it but its siblings: children of the process that asks for them, as if that had started them.
"""

import ctypes
import gc
import json
import os
import platform
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from support.server_child import become_fork_server, become_process

LONGEST: Final = 1 << 17
"""Bytes of a request."""
CLONE: Final = (
    {"x86_64": 56, "aarch64": 220}.get(platform.machine()) if sys.platform.startswith("linux") else None
)
"""The number of the system call, where there are siblings; None elsewhere."""
_CLONE_PARENT: Final = 0x8000


def main() -> None:
    """Serve at the socket that is standard input."""
    gc.freeze()
    serve(socket.socket(fileno=os.dup(0)))


def serve(line: socket.socket) -> None:
    """Serve until the process at the other end is gone.

    Each process begins deaf to SIGTERM: that of a run until it listens to it, others not for long.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    while True:
        data, fds, _, _ = socket.recv_fds(line, LONGEST, 3)
        if not data:
            return
        pid = _sibling()
        if pid == 0:
            _become(json.loads(data), fds)
        for fd in fds:
            os.close(fd)
        line.send(str(pid).encode())


def _become(asked: dict[str, Any], fds: list[int]) -> NoReturn:
    if "arguments" in asked:
        become_process(
            asked["module"],
            asked["arguments"],
            streams=fds,
            deaf_to=asked["deaf_to"],
            environment=asked["environment"],
        )
    become_fork_server(
        line=fds[0],
        errors=fds[1],
        parent=asked["parent"],
        slots_dir=Path(asked["slots"]),
        environment=asked["environment"],
    )


def _sibling() -> int:
    """Fork a child of the parent of this process; return as `os.fork` does."""
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid: int = ctypes.PyDLL(None).syscall(CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    (python.PyOS_AfterFork_Child if pid == 0 else python.PyOS_AfterFork_Parent)()
    if pid < 0:
        raise OSError("a sibling could not be forked")
    return pid
