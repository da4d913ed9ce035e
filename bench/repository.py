"""Git repositories for benchmarks, and the environment their contenders run in."""

import os
import shutil
import subprocess
from pathlib import Path


def make(folder: Path) -> Path:
    """Make an empty repository with an author and return its folder."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Bench")
    git(folder, "config", "user.email", "bench@example.org")
    return folder


def commit(folder: Path, message: str) -> None:
    """Commit all that is in a work tree."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


def git(folder: Path, *words: str) -> str:
    """Run git in a folder and return what it printed."""
    program = shutil.which("git") or "git"
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """Return a user's environment: programs may keep what they compiled, and nobody's settings interfere."""
    unwanted = ("GIT_", "MAINGATE_", "DBOS", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
