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
from typing import Final

import maingate
from maingate import faultpoints
from maingate.cli.main import main

_FORKING: Final = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        module.name
        for module in pkgutil.walk_packages(maingate.__path__, "maingate.")
        if "__main__" not in module.name and ".migrations." not in module.name
    ]
)


def start_forked(
    words: tuple[str, ...], *, cwd: Path, environment: Mapping[str, str], out: Path, err: Path | None = None
) -> ForkServerProcess:
    """Start a command line.

    Args:
        words: The command.
        cwd: Its working directory.
        environment: All of its environment.
        out: The file to which its standard output is appended.
        err: The same for its standard error; None for the same file.
    """
    process = _FORKING.Process(target=_be_maingate, args=(words, cwd, environment, out, err or out))
    process.start()
    return process


def _be_maingate(
    words: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> None:
    """Become the command line, in a fresh process: its own session, its own environment and streams."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 - they stay
    sys.stderr = open(2, "w", errors="backslashreplace")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    importlib.reload(faultpoints)
    sys.argv = ["maingate", *words]
    main()
