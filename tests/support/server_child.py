"""What a process that tests forked does to become a program of Maingate, as if it had been started as one.

Like a fork server it imports no more than a worker needs, see ``nursery``.
"""

import ctypes
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from maingate import faultpoints
from maingate.system.own_program import own_program
from maingate.workers.local import fork_server_process

_ARG_START, _ENV_END = 45, 48
"""Places in ``/proc/self/stat``, behind the program's name."""


def become_fork_server(
    *, line: int, errors: int, parent: int, slots_dir: Path, environment: Mapping[str, str]
) -> NoReturn:
    """Be a fork server, with nothing of the process that this one was forked from but its modules.

    Args:
        line: The line to the control process.
        errors: What standard error is written to.
        parent: The control process.
        slots_dir: Where the workers work.
        environment: All of the environment.
    """
    streams = (line, os.open(os.devnull, os.O_WRONLY), errors)
    words = (fork_server_process.__name__, str(parent), str(slots_dir))
    _become(words, streams, environment, lambda: fork_server_process.main(parent))


def become_process(
    module: str,
    arguments: Sequence[str],
    *,
    streams: Sequence[int],
    deaf_to: Sequence[int],
    environment: Mapping[str, str],
) -> NoReturn:
    """Be a process of a server, in the same way.

    Args:
        module: The module of its program.
        arguments: Its arguments.
        streams: Its standard streams.
        deaf_to: The signals that it does not listen to yet.
        environment: All of the environment.
    """
    from support.forked_server import fork_a_nursery  # noqa: PLC0415 - a fork server has no use for it

    program = importlib.import_module(module)

    def main() -> int | None:
        fork_a_nursery()
        signal.pthread_sigmask(signal.SIG_SETMASK, deaf_to)
        sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 - they stay
        sys.stderr = open(2, "w", errors="backslashreplace")  # noqa: SIM115
        code: int | None = program.main(arguments) if arguments else program.main()
        sys.stdout.flush()
        return code

    _become((module, *arguments), streams, environment, main)


def _become(
    shown: Sequence[str],
    streams: Sequence[int],
    environment: Mapping[str, str],
    main: Callable[[], int | None],
) -> NoReturn:
    code: int | None = 1
    try:
        gc.freeze()  # an open database is the other process's: not even its memory is freed here
        _let_go_of_signals()
        os.setsid()
        os.chdir("/")
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        os.closerange(len(streams), os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()
        os.environ.update(environment)
        importlib.reload(faultpoints)
        _show_as(*own_program(*shown))
        code = main()
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as what it was
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code or 0)


def _let_go_of_signals() -> None:
    """Restore the default action of every signal that is handled, as the start of a program does."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)


def _show_as(*words: str) -> None:
    """Show words as the command line of this process and of its children: by it tests find what is left over.

    They are written where the kernel reads them, over the arguments of its program and its first environment.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(") ")[2].split()
    start, room = int(fields[_ARG_START]), int(fields[_ENV_END]) - int(fields[_ARG_START])
    shown = os.fsencode(" ".join(words))
    assert len(shown) < room, "the command line is too long to be shown"
    ctypes.memmove(start, shown.ljust(room, b"\0"), room)
