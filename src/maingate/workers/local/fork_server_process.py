"""The fork server: ``python -m maingate.workers.local.fork_server_process PARENT SLOTS``.

It has imported all that a worker needs before the first one is asked for, so that a worker costs a fork and
not the start of an interpreter. It does two things, one at a time, as its control process asks on the socket
that is its standard input: fork a worker, and tell how one has ended. A worker that has ended stays in the
process table until that is asked, so its number means no other process meanwhile.

``SLOTS`` is for people: in a list of processes it shows which repository they work for.

When its control process dies, the socket ends (and Linux sends a signal), and so does it; its workers see
both for themselves.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

from maingate.system.process_tree import die_with_parent
from maingate.workers.local import uet_process
from maingate.workers.local.fork_server_line import LONGEST, PASSED, READY

_HANDED_DOWN: Final = (
    signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN,
    signal.SIGTTOU, signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
"""Signals that the parent of Maingate may have ignored; the interpreter itself ignores others."""
_FAILED: Final = 1
_STREAMS: Final = 3


def main(parent: int) -> None:
    """Serve until the control process is gone or has no more to ask."""
    die_with_parent(signal.SIGKILL)
    if parent != os.getppid():
        return
    forget_inherited_signals()
    line = socket.socket(fileno=os.dup(0))
    line.sendall(READY)
    rest = b""
    held: list[int] = []
    while True:
        data, fds, _, _ = socket.recv_fds(line, LONGEST, PASSED, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        if not data:
            return
        held += fds
        *lines, rest = (rest + data).split(b"\n")
        for each in lines:
            answer = _do(json.loads(each), line, held)
            line.sendall(json.dumps(answer).encode() + b"\n")


def forget_inherited_signals() -> None:
    """Restore the default action of every signal, for workers and so for gates and tools.

    `nohup`, and a shell that starts something with ``&``, have signals ignored; a gate that tests how a
    program is interrupted would fail for how Maingate was started.
    """
    for number in _HANDED_DOWN:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _do(asked: dict[str, Any], line: socket.socket, held: list[int]) -> dict[str, Any]:
    if "reap" in asked:
        return _reaped(asked["reap"])
    try:
        pid = os.fork()
    except OSError as error:
        return {"error": str(error)}
    else:
        if pid == 0:
            _be_worker(asked["worker"], line, held)
        return {"pid": pid}
    finally:
        for fd in held:
            os.close(fd)
        held.clear()


def _reaped(pid: int) -> dict[str, Any]:
    """Return how a worker has ended: its exit code, below zero for a signal; None while it runs."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError as error:
        return {"error": str(error)}
    return {"code": os.waitstatus_to_exitcode(status) if found else None}


def _be_worker(arguments: Sequence[str], line: socket.socket, passed: Sequence[int]) -> None:
    """Run a worker in a session of its own; never returns."""
    code = _FAILED
    try:
        os.setsid()
        line.close()
        for stream, fd in enumerate(passed[:_STREAMS]):
            os.dup2(fd, stream)
            os.close(fd)
        code = uet_process.main([*arguments, "--parent", str(os.getppid())])
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as a second server
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
    os._exit(0)
