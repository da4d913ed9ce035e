"""The command line as tests drive it: as a process of its own, or in this process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Any, TextIO

from typer.testing import Result

from maingate.demo.stage import DemoPaths
from support.forking import pipe, start_forked

PATIENCE = 60.0
"""Seconds that a command may take; it takes a fraction of one."""

Invoke = Callable[..., Result]
Call = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True, kw_only=True)
class Played:
    """A story that was run.

    Args:
        stage: Where it is.
        report: What ``run --json`` printed.
        stderr: What it printed on standard error.
    """

    stage: DemoPaths
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


def called_in(folder: Path, home: Path) -> Call:
    """Return the command line in a folder."""

    def run(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return maingate(*args, cwd=folder, home=home, env=env)

    return run


def json_of(done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    """Return the JSON of a command that ended with an exit code."""
    assert done.returncode == code, (done.stdout, done.stderr)
    return dict(json.loads(done.stdout))


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


class Started:
    """A command line that runs, and that can be interrupted; it has the face of `subprocess.Popen`."""

    def __init__(self, process: ForkServerProcess, stdout: TextIO, stderr: TextIO) -> None:
        self._process, self.stdout, self.stderr = process, stdout, stderr

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """Wait for its end and return the rest of what it printed on both streams."""
        with ThreadPoolExecutor(2) as pool, self.stdout, self.stderr:
            out, err = pool.submit(self.stdout.read), pool.submit(self.stderr.read)
            self._process.join(timeout)
            if self.returncode is None:
                self.kill()
                raise AssertionError(f"it did not end in time; it said: {out.result()}{err.result()}")
            return out.result(), err.result()


def start_maingate(*args: str, cwd: Path, home: Path) -> Started:
    """Start the real command line as a process that can be interrupted."""
    (stdout, out), (stderr, err) = pipe(), pipe()
    process = start_forked(args, cwd=cwd, environment=a_clean_environment(home), out=out, err=err)
    out.close()
    err.close()
    return Started(process, stdout, stderr)
