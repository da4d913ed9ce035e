"""What a command line is forked from, see ``forking``: all that it may import, and what it makes once."""

import gc
import importlib
import os
import pkgutil
import re
import signal
import sys
from collections.abc import Mapping
from multiprocessing import spawn
from pathlib import Path

from rich.cells import cell_len

import maingate
from maingate import faultpoints
from maingate.db.schema.triggers import schema_statements
from maingate.git.command import git_version
from support import patience
from support.forked_server import fork_a_nursery
from support.forking import Target

_LATE = (
    "encodings.ascii",
    "pydantic.type_adapter",
    "rich.console",
    "rich.pager",
    "rich.region",
    "rich.screen",
    "rich.styled",
    "rich.table",
    "typer._adapters",
    "typer._click.decorators",
)
"""What is imported by commands when they come to need it."""


_UNUSED = re.compile(r"__main__|\.migrations\.|^maingate\.mcp\b")
"""Modules that are not imported beforehand: the agents' face is started in an interpreter of its own."""

_THAT_START_PROCESSES = {"bisect", "demo", "doctor", "plan", "resume", "rollback", "run", "serve", "tools"}
"""Commands that may run gates or tools, or host runs. Another one would have an interpreter started."""


def _prepare() -> None:
    """Import and make what every command would for itself, and keep the collector from touching all of it."""
    for module in pkgutil.walk_packages(maingate.__path__, "maingate."):
        if not _UNUSED.search(module.name):
            importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    # With `pytest -n 0` the program is pytest itself, which each process would import again.
    spawn._fixup_main_from_path = lambda _: None  # type: ignore[attr-defined]
    schema_statements("sqlite")
    git_version(os.environ["PATH"])
    cell_len("…")  # loads the widths of characters
    gc.collect()
    gc.freeze()


_prepare()


def become(
    words: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Target, err: Target
) -> None:
    """Become a program, in a fresh process: its own session, its own environment and streams."""
    if words[1:2] and words[1] in _THAT_START_PROCESSES:
        fork_a_nursery()
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
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup` the suite ignores it; the program heeds that
    importlib.reload(faultpoints)
    if seconds := os.environ.pop(patience.VARIABLE, ""):
        patience.wait_for_git(float(seconds))
    program, *rest = words
    sys.argv = ["maingate", *rest]
    importlib.import_module(program).main()


def _write_to(target: Target, number: int) -> None:
    """Let a standard stream of this process write to a target."""
    if isinstance(target, Path):
        os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    else:
        os.dup2(target.fileno(), number)
        target.close()
