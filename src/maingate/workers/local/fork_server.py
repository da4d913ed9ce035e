"""The control process's end of the process that UET workers are forked from.

It is started when the first worker is wanted, or before, and takes about as long as an interpreter and its
imports; from then on a worker is there at once. Should it die, the next worker has a new one started.
"""

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from maingate.system.own_program import own_program
from maingate.workers.local.fork_server_line import LONGEST, READY

MODULE: Final = "maingate.workers.local.fork_server_process"
_PATIENCE: Final = 10.0
"""Seconds within which it must answer; it takes milliseconds."""
_STDERR_KEPT: Final = 4096


def start_process(line: int, slots_dir: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start the process that workers are forked from, in a session of its own.

    Args:
        line: Its end of the line to this process.
        slots_dir: Where its workers work; shown in a list of processes.
        environment: All of its environment.

    Raises:
        OSError: No process can be started.
    """
    return subprocess.Popen(
        own_program(MODULE, str(os.getpid()), str(slots_dir)),
        stdin=line,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=environment,
        cwd="/",
        start_new_session=True,
    )


class ForkServer:
    """Starts worker processes, and tells how they ended.

    Args:
        environment: All of the environment of the workers, and that of their gates.
        slots_dir: Where they work.
        on_ready: Called when workers can be started.
        on_failure: Called when that failed; gets a sentence that says why.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        slots_dir: Path,
        *,
        on_ready: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._environment, self._slots_dir = dict(environment), slots_dir
        self._on_ready, self._on_failure = on_ready, on_failure
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self.is_ready = False

    def start(self) -> None:
        """Begin to make it ready, unless that was done; the event loop calls `on_ready` or `on_failure`."""
        if self._process is not None:
            return
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = start_process(theirs.fileno(), self._slots_dir, self._environment)
            except OSError as error:
                ours.close()
                loop.call_soon(self._on_failure, f"no process can be started: {error}")
                return
        self._line = ours
        loop.add_reader(ours, self._greeted)

    def fork(self, arguments: Sequence[str], fds: Sequence[int]) -> int:
        """Start a worker.

        Args:
            arguments: The worker's arguments, see ``uet_process``.
            fds: Its standard streams and the locks of its slot.

        Returns:
            Its process id.

        Raises:
            OSError: It cannot be done now; it may be later.
        """
        return int(self._ask({"worker": list(arguments)}, fds)["pid"])

    def reap(self, pid: int) -> int | None:
        """Return how a worker has ended, and free its process id.

        Returns:
            Its exit code, below zero for a signal; None while it runs.

        Raises:
            OSError: It cannot be known any more.
        """
        code = self._ask({"reap": pid})["code"]
        return None if code is None else int(code)

    def close(self) -> None:
        """End it; workers are better gone before."""
        line, process = self._line, self._process
        self._line = self._process = None
        self.is_ready = False
        if line is not None:
            asyncio.get_running_loop().remove_reader(line)
            line.close()
        if process is not None:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()

    def _greeted(self) -> None:
        """Read its greeting: it is ready, or it will never be."""
        line = self._line
        if line is None:
            return
        asyncio.get_running_loop().remove_reader(line)
        try:
            is_ready = line.recv(len(READY)) == READY
        except OSError:
            is_ready = False
        if is_ready:
            line.settimeout(_PATIENCE)
            self.is_ready = True
            self._on_ready()
        else:
            message = self._last_words()
            self.close()
            self._on_failure(message)

    def _last_words(self) -> str:
        process = self._process
        if process is None or process.stderr is None:
            return "the fork server is gone"
        process.kill()
        said = process.stderr.read()[-_STDERR_KEPT:].decode(errors="replace").strip()
        return f"the fork server exited with {process.wait()}" + (f": {said}" if said else "")

    def _ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> Mapping[str, Any]:
        if self._line is None:
            raise ConnectionError("the fork server is gone")
        try:
            socket.send_fds(self._line, [json.dumps(request).encode() + b"\n"], list(fds))
            answer: dict[str, Any] = json.loads(self._answer(self._line))
        except (OSError, ValueError) as error:
            self.close()
            raise ConnectionError(f"the fork server does not answer: {error}") from error
        if "error" in answer:
            raise ChildProcessError(answer["error"])
        return answer

    def _answer(self, line: socket.socket) -> bytes:
        answer = b""
        while not answer.endswith(b"\n"):
            data = line.recv(LONGEST)
            if not data:
                raise ConnectionError(self._last_words())
            answer += data
        return answer
