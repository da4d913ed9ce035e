"""The command line as tests drive it: as a process of its own, or in this process."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import Result

from maingate.demo.stage import Stage

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
    *args: str, cwd: Path, home: Path, env: Mapping[str, str] | None = None, stdout: Any = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run the real command line as a process of its own and give its output as it is."""
    return subprocess.run(
        [sys.executable, "-m", "maingate", *args],
        cwd=cwd,
        env=a_clean_environment(home) | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )


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
