"""The command line as a process that is forked from a server which has imported Maingate already.

What most tests are about is not the start of an interpreter, and a command's imports are half of its time.
"""

import importlib
import multiprocessing
import os
import pkgutil
import signal
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias

import maingate
from maingate import faultpoints
from maingate.cli.main import main

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_FORKING: Final = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        module.name
        for module in pkgutil.walk_packages(maingate.__path__, "maingate.")
        if "__main__" not in module.name and ".migrations." not in module.name
    ]
)


Target: TypeAlias = "Path | Connection[bytes, bytes]"
"""What a stream is written to: a file, at its end, or a pipe."""


def pipe() -> tuple[TextIO, "Connection[bytes, bytes]"]:
    """Return a pipe for a stream: a file to read from, and the end that the command gets."""
    reader, writer = _FORKING.Pipe(duplex=False)
    file = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
    reader.close()
    return file, writer


def start_forked(
    words: tuple[str, ...],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    out: Target,
    err: "Target | None" = None,
) -> ForkServerProcess:
    """Start a command line.

    Args:
        words: The command.
        cwd: Its working directory.
        environment: All of its environment.
        out: What its standard output is written to.
        err: The same for its standard error; None for the same.
    """
    process = _FORKING.Process(target=_be_maingate, args=(words, cwd, environment, out, err or out))
    process.start()
    return process


def _be_maingate(
    words: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Target, err: Target
) -> None:
    """Become the command line, in a fresh process: its own session, its own environment and streams."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, target in ((1, out), (2, err)):
        _write_to(target, number)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 - they stay
    sys.stderr = open(2, "w", errors="backslashreplace")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    importlib.reload(faultpoints)
    sys.argv = ["maingate", *words]
    main()


def _write_to(target: Target, number: int) -> None:
    """Let a standard stream of this process write to a target."""
    if isinstance(target, Path):
        os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    else:
        os.dup2(target.fileno(), number)
        target.close()
