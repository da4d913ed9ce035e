"""The nursery: the process that the fork servers of a process with tests come from, see ``forked_server``.

It has imported what a fork server imports, and nothing else, so that each costs a fork and not the start of
an interpreter. They are no children of it but its siblings: children of the process that asks for them, which
is their control process, as if it had started them itself.
"""

import ctypes
import gc
import json
import os
import platform
import signal
import socket
from pathlib import Path
from typing import Final

from support.server_child import become_fork_server

LONGEST: Final = 1 << 17
"""Bytes of a request."""
CLONE: Final = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
"""The number of the system call, where there are siblings; None elsewhere."""
_CLONE_PARENT: Final = 0x8000


def main() -> None:
    """Serve until the process with tests is gone."""
    line = socket.socket(fileno=os.dup(0))
    gc.freeze()
    while True:
        data, fds, _, _ = socket.recv_fds(line, LONGEST, 2)
        if not data:
            return
        asked = json.loads(data)
        pid = _sibling()
        if pid == 0:
            become_fork_server(
                line=fds[0],
                errors=fds[1],
                parent=asked["parent"],
                slots_dir=Path(asked["slots"]),
                environment=asked["environment"],
            )
        for fd in fds:
            os.close(fd)
        line.send(str(pid).encode())


def _sibling() -> int:
    """Fork a child of the parent of this process; return as `os.fork` does."""
    pid: int = ctypes.PyDLL(None).syscall(CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid < 0:
        raise OSError("a sibling could not be forked")
    return pid
