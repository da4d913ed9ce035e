"""A UET worker: ``python -m maingate.workers.local.uet_process --slot DIR --source GITDIR …``.

One slot, one job at a time. It speaks the lines of ``workers.local.protocol`` on its standard input and
output and is a single thread in which nothing waits for long: while a gate runs, the loop that attends the
gate listens here too. When its control process dies, standard input ends (and Linux sends a signal): the
worker ends the running gate with its whole tree, and itself.

It starts in milliseconds because it imports little; keep it so.
"""

import contextlib
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from maingate.errors import WorkerProtocolError, WorktreeError
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.system.process_tree import adopt_orphans, die_with_parent
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.artifacts import Artifacts
from maingate.workers.jobs import Job
from maingate.workers.local.job_execution import execute
from maingate.workers.local.protocol import (
    LONGEST_LINE,
    Cancel,
    Heartbeat,
    Message,
    Ready,
    Result,
    Shutdown,
    decode,
    encode,
)
from maingate.workers.local.stray_processes import end_strays

_USAGE: Final = 2
_CHUNK: Final = 65536


class ControlLine:
    """The line to the control process; also the watch of a running command.

    Args:
        incoming: Descriptor the control process writes to.
        outgoing: Descriptor it reads from.
        wakeup: Descriptor from which the numbers of signals can be read; all but the alarm ask to end.
        heartbeat: Seconds between signs of life.
    """

    def __init__(self, *, incoming: int, outgoing: int, wakeup: int, heartbeat: float) -> None:
        self._incoming, self._outgoing, self._wakeup = incoming, outgoing, wakeup
        self._heartbeat, self._is_sending = heartbeat, False
        self._rest = b""
        self._jobs: list[Job] = []
        self._current: str | None = None
        self._cancelled: set[str] = set()
        self.is_cut = False
        self.is_closing = False
        os.set_blocking(incoming, False)

    @property
    def interval(self) -> float:
        """Seconds after which a running gate's attendant looks here by itself."""
        return self._heartbeat

    def filenos(self) -> Sequence[int]:
        """Return the descriptors that are readable when a message or a signal has come."""
        return (self._incoming, self._wakeup)

    def should_stop(self) -> bool:
        """Read all messages, and return whether the current job is to be ended."""
        self._hear()
        return self.is_cut or self._current in self._cancelled

    def next_job(self) -> Job | None:
        """Wait for a job; None when there will be none."""
        self._current = None
        while not self.should_stop():
            if self._jobs:
                job = self._jobs.pop(0)
                self._current = job.job_id
                return job
            if self.is_closing:
                return None
            select.select(self.filenos(), (), ())
        return None

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Send signs of life meanwhile, whatever this process does: an alarm interrupts everything.

        The alarm is off again before the interpreter ends, which would let it kill the process.
        """
        signal.signal(signal.SIGALRM, lambda *_: self._give_sign())
        signal.setitimer(signal.ITIMER_REAL, self._heartbeat, self._heartbeat)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _give_sign(self) -> None:
        """Send a heartbeat, unless a message is being sent or the line is full: never wait here."""
        if not self._is_sending and select.select((), (self._outgoing,), (), 0)[1]:
            self.send(Heartbeat(job_id=self._current))

    def send(self, message: Message) -> None:
        """Send a message; when the control process is gone, the line is cut."""
        data = memoryview(encode(message))
        self._is_sending = True
        try:
            while data:
                data = data[os.write(self._outgoing, data) :]
        except OSError:
            self.is_cut = True
        finally:
            self._is_sending = False

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.is_cut |= not {signal.SIGALRM}.issuperset(os.read(self._wakeup, _CHUNK))
        while not self.is_cut:
            try:
                data = os.read(self._incoming, _CHUNK)
            except BlockingIOError:
                return
            self.is_cut = not data
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(decode(line))
            if len(self._rest) > LONGEST_LINE:
                raise WorkerProtocolError("a line without an end")

    def _take(self, message: Message) -> None:
        match message:
            case Job():
                self._cancelled.discard(message.job_id)
                self._jobs.append(message)
            case Cancel():
                self._cancelled.add(message.job_id)
            case Shutdown():
                self.is_closing = True
            case _:
                raise WorkerProtocolError(f"not for a worker: {message}")


def main(arguments: Sequence[str]) -> int:
    """Serve jobs until told to end; returns the exit code."""
    try:
        worktree, artifacts, heartbeat, parent = _read(arguments)
    except (KeyError, ValueError):
        sys.stderr.write(f"{__doc__}\n")
        return _USAGE
    wakeup = _end_on_signals()
    die_with_parent(signal.SIGTERM)
    if parent not in (0, os.getppid()):
        return 0
    adopt_orphans()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    incoming, outgoing = _take_over_standard_streams()
    line = ControlLine(incoming=incoming, outgoing=outgoing, wakeup=wakeup, heartbeat=heartbeat)
    end_strays(str(worktree.slot_dir))
    line.send(Ready(pid=os.getpid()))
    with line.beating():
        while (job := line.next_job()) is not None:
            outcome = execute(job, worktree=worktree, artifacts=artifacts, watch=line)
            line.send(Result(job_id=job.job_id, attempt=job.attempt, outcome=outcome))
        if not line.is_cut:
            _leave(worktree)
    return 0


def _leave(worktree: Worktree) -> None:
    """Write the note by which the next worker finds its slot warm; without it the slot is made anew."""
    try:
        worktree.leave()
    except WorktreeError as error:
        sys.stderr.write(f"{error}\n")


def _read(arguments: Sequence[str]) -> tuple[Worktree, Artifacts, float, int]:
    """Read the options by hand: argparse costs a tenth of the start."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    parent = int(given.get("--parent", "0"))
    artifacts = Artifacts(Path(given["--artifacts"]))
    heartbeat = float(given.get("--heartbeat", "5"))
    drivers = FilterDrivers.from_text(given["--filters"]) if "--filters" in given else NONE
    slot, source, remotes = Path(given["--slot"]), Path(given["--source"]), given.get("--remotes", "")
    worktree = Worktree(slot, source, drivers, remotes=remotes, is_among_slots=True)
    return worktree, artifacts, heartbeat, parent


def _end_on_signals() -> int:
    """Return a descriptor that SIGTERM, SIGINT and SIGHUP can be read from."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reading


def _take_over_standard_streams() -> tuple[int, int]:
    """Reserve standard input and output for the protocol, and return their descriptors."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return incoming, outgoing


if __name__ == "__main__":
    _code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(_code)  # taking the interpreter apart costs a tenth of the start, and nothing needs it
