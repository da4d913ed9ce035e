"""The command line as a process that is forked from a server which has imported Maingate already.

What most tests are about is not the start of an interpreter, and a command's imports are half of its time.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias
from unittest.mock import patch

import maingate

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

TESTS: Final = Path(__file__).parents[1]
SOURCE: Final = Path(maingate.__file__).parents[1]
"""Where the tests have Maingate from: in a work tree that is not where it is installed from."""
_FORKING: Final = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["support.forked"])

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
    program: str = "maingate.cli.main",
) -> ForkServerProcess:
    """Start a command line.

    Args:
        words: The command.
        cwd: Its working directory.
        environment: All of its environment.
        out: What its standard output is written to.
        err: The same for its standard error; None for the same.
        program: The module whose ``main`` reads the command.
    """
    return _start(_become, (program, *words), cwd, environment, out, err or out)


def fork(act: Callable[..., None], *args: Any) -> "tuple[ForkServerProcess, Connection[Any, Any]]":
    """Start a function of a module in a process; return that, and the line that the function gets first."""
    ours, theirs = _FORKING.Pipe()
    with theirs:
        return _start(act, theirs, *args), ours


@lru_cache(maxsize=1)
def ensure_running() -> None:
    """Start the server, once in each process that tests run in."""
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{TESTS}{os.pathsep}{SOURCE}"}
    with patch.dict(os.environ, own, clear=True):  # it outlives the test, and is nothing that this one left
        forkserver.ensure_running()


def _start(act: Callable[..., None], *args: Any) -> ForkServerProcess:
    ensure_running()
    process = _FORKING.Process(target=act, args=args)
    process.start()
    return process


def _become(*args: Any) -> None:
    """Become the program."""
    from support.forked import become  # noqa: PLC0415 - the server has done so; this process does not

    become(*args)
