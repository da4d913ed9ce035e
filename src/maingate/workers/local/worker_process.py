"""The control process's end of one UET worker process: start it, talk to it, notice its end, leave nothing.

It stands on the event loop directly (readers on pipe and pidfd): one hop less per message than asyncio's
subprocess streams, and the end of the process is seen even when something else holds its pipes open.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from maingate.errors import WorkerProtocolError
from maingate.git.filter_drivers import FilterDrivers
from maingate.system.process_tree import end_tree
from maingate.workers.artifacts import Artifacts
from maingate.workers.local.fork_server import ForkServer
from maingate.workers.local.protocol import LONGEST_LINE, Message, Shutdown, decode, encode
from maingate.workers.local.stray_processes import end_strays

_CHUNK: Final = 65536
_STDERR_KEPT: Final = 4096
_POLL: Final = 0.02
"""Seconds between looks at whether it has ended, where the system does not tell."""


class WorkerProcess:
    """One worker process and the pipes to it.

    Args:
        slot_dir: The slot it works in.
        source_git_dir: The repository whose commits it checks out.
        drivers: The filters that take part.
        remotes: The blob of the tags and remotes that jobs see; empty for none.
        artifacts: Where logs and patches of its jobs are.
        heartbeat: Seconds between its signs of life.
        locks: Descriptors of the slot's locks; the worker holds them too, so that the slot stays taken until
            both are gone.
        server: The fork server that it comes from; ready.
        on_message: Called with every message.
        on_end: Called once, when the process has ended and its gates with it; gets a sentence that says how.
    """

    def __init__(
        self,
        *,
        slot_dir: Path,
        source_git_dir: Path,
        drivers: FilterDrivers,
        remotes: str,
        artifacts: Artifacts,
        heartbeat: float,
        locks: Sequence[int],
        server: ForkServer,
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._slot_dir, self._on_message, self._on_end = slot_dir, on_message, on_end
        self._rest = b""
        self._said = b""
        self._unsent = b""
        self._complaint = ""
        self._loop = asyncio.get_running_loop()
        arguments = {
            "--slot": str(slot_dir),
            "--source": str(source_git_dir),
            "--artifacts": str(artifacts.folder),
            "--heartbeat": str(heartbeat),
            "--filters": drivers.to_text(),
            "--remotes": remotes,
        }
        theirs, ours = _pipes()
        try:
            self.pid = server.fork(
                [word for option in arguments.items() for word in option], [*theirs, *locks]
            )
        except OSError:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self._server = server
        self._stdin, self._stdout, self._stderr = ours
        self._has_ended = self._may_end = False
        self._loop.add_reader(self._stdout, self._read)
        self._loop.add_reader(self._stderr, self._read_errors)
        self._ended = self._loop.create_task(self._see_end(), name=f"end of UET worker {self.pid}")

    def send(self, message: Message) -> None:
        """Send a message. The end of a worker that is gone is reported by ``on_end``."""
        self._may_end |= isinstance(message, Shutdown)
        self._unsent += encode(message)
        self._flush()

    def end(self, complaint: str = "") -> None:
        """Kill it, and all that its gate has started.

        Args:
            complaint: Why, for the sentence that ``on_end`` gets.
        """
        self._complaint = self._complaint or complaint
        if not self._has_ended:
            end_tree(self.pid)

    async def ended(self) -> None:
        """Wait until it has ended and ``on_end`` was called."""
        await asyncio.shield(self._ended)

    def _flush(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self._stdin, self._unsent) :]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._flush)
            return
        except BrokenPipeError:
            self._unsent = b""
        if self._unsent:
            self._loop.add_writer(self._stdin, self._flush)
        else:
            self._loop.remove_writer(self._stdin)

    def _read(self) -> None:
        data = _receive(self._stdout)
        if data == b"":
            self._loop.remove_reader(self._stdout)
            if not self._may_end:  # to look for all below it costs as much as a short gate
                self.end("it closed its connection")
        *lines, self._rest = (self._rest + (data or b"")).split(b"\n")
        try:
            for line in lines:
                self._on_message(decode(line))
        except WorkerProtocolError as error:
            self.end(str(error))
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
            self.end("it sent an endless line")

    def _read_errors(self) -> None:
        data = _receive(self._stderr)
        if data == b"":
            self._loop.remove_reader(self._stderr)
        self._said = (self._said + (data or b""))[-_STDERR_KEPT:]

    async def _see_end(self) -> None:
        """Wait for the process; end its gates if it could not do so itself; close everything; report."""
        code = await self._exit()
        self._has_ended = True
        if code != 0:
            await asyncio.to_thread(end_strays, str(self._slot_dir))
        self._read()
        self._read_errors()
        self._close()
        self._on_end(self._obituary(code))

    async def _exit(self) -> int | None:
        """Return its exit code, once it has one; None when the system does not have it any more."""
        if hasattr(os, "pidfd_open"):
            await self._exited()
        while True:
            try:
                code = self._server.reap(self.pid)
            except OSError:
                return None
            if code is not None:
                return code
            await asyncio.sleep(_POLL)

    async def _exited(self) -> None:
        exited = asyncio.Event()
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        self._loop.add_reader(pidfd, exited.set)
        try:
            await exited.wait()
        finally:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)

    def _close(self) -> None:
        self._loop.remove_writer(self._stdin)
        self._loop.remove_reader(self._stdout)
        self._loop.remove_reader(self._stderr)
        for fd in (self._stdin, self._stdout, self._stderr):
            os.close(fd)

    def _obituary(self, code: int | None) -> str:
        if code is None:
            how = "has ended"
        else:
            how = f"exited with {code}" if code >= 0 else f"was ended by signal {-code}"
        said = self._said.decode(errors="replace").strip()
        parts = (f"UET worker {self.pid} {how}", self._complaint, said)
        return ": ".join(part for part in parts if part)


def _pipes() -> tuple[list[int], list[int]]:
    """Create the pipes for standard input, output and errors; return the worker's ends, and ours."""
    theirs, ours = [], []
    for is_read_by_worker in (True, False, False):
        reading, writing = os.pipe()
        theirs.append(reading if is_read_by_worker else writing)
        ours.append(writing if is_read_by_worker else reading)
    for fd in ours:
        os.set_blocking(fd, False)
    return theirs, ours


def _receive(fd: int) -> bytes | None:
    """Return the bytes that have come; None when there are none yet, empty at the end."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None
