"""The command line as tests drive it: as a process of its own, or in this process."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from typer.testing import Result

from maingate.demo.stage import Stage
from support.forking import start_forked

PATIENCE = 60.0
"""Seconds that a command may take; it takes a fraction of one."""

Invoke = Callable[..., Result]


@dataclass(frozen=True, kw_only=True)
class Played:
    """A story that was run.

    Args:
        stage: Where it is.
        report: What ``run --json`` printed.
        stderr: What it printed on standard error.
    """

    stage: Stage
    report: Mapping[str, Any]
    stderr: str

    def task(self, name: str) -> Mapping[str, Any]:
        """Return a task of the report by name."""
        return next(task for task in self.report["tasks"] if task["name"] == name)

    def copy_to(self, root: Path) -> Path:
        """Copy the repository with its state, for a test that changes it."""
        return Path(shutil.copytree(self.stage.repository, root / "tally", symlinks=True))


def a_clean_environment(home: Path) -> dict[str, str]:
    """Arrange an environment without the user's git and Maingate settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "MAINGATE_", "XDG_"))
    }
    return kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "GIT_CONFIG_NOSYSTEM": "1"}


def maingate(
    *args: str, cwd: Path, home: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command line as a process of its own, without a terminal."""
    done = maingate_bytes(*args, cwd=cwd, home=home, env=env)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def maingate_bytes(
    *args: str,
    cwd: Path,
    home: Path,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run the real command line as a process of its own and return its output as it is.

    It is forked, see ``forking``. An interpreter is started for it where the test is about one: with
    variables of Python's, or a descriptor for its standard output.
    """
    environment = a_clean_environment(home) | dict(env or {})
    if stdout is not None or any(name.startswith("PYTHON") for name in env or {}):
        return subprocess.run(
            [sys.executable, "-m", "maingate", *args],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=PATIENCE,
        )
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        out.touch()
        err.touch()
        process = start_forked(args, cwd=cwd, environment=environment, out=out, err=err)
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"{args} did not end in time; it said: {out.read_text()}{err.read_text()}")
        return subprocess.CompletedProcess(args, process.exitcode, out.read_bytes(), err.read_bytes())


def start_maingate(*args: str, cwd: Path, home: Path) -> subprocess.Popen[str]:
    """Start the real command line as a process that can be interrupted, whatever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "maingate", *args],
            cwd=cwd,
            env=a_clean_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
