"""The checks of the machine: Python, git, and the features that Maingate uses of both."""

import platform
import shutil
import sys
from typing import Final

from maingate.git.command import OLDEST_GIT, require_git, run_git
from maingate.monitoring.finding import CheckFinding, Trouble
from maingate.monitoring.health import Check

OLDEST_PYTHON: Final = (3, 11)

_TRIAL: Final = b"""diff --git a/one b/one
new file mode 100644
--- /dev/null
+++ b/one
@@ -0,0 +1 @@
+1
"""
"""A patch that any git that Maingate can use takes."""


def host_checks() -> list[Check]:
    """Return the checks of the machine."""
    return [Check(name="python", examine=check_python), Check(name="git", examine=check_git)]


def check_python() -> CheckFinding:
    """Check the version of Python, and that the system lets gates be ended whole."""
    version = platform.python_version()
    detail = {"version": version, "executable": sys.executable, "system": platform.platform()}
    troubles = []
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        troubles.append(Trouble(reason=f"Python {version} is older than {wanted}"))
    if not sys.platform.startswith("linux"):
        reason = f"on {platform.system()} processes that detach from their gate cannot be ended; Linux can"
        troubles.append(Trouble(reason=reason))
    return CheckFinding(summary=f"Python {version}", troubles=troubles, detail=detail)


def check_git() -> CheckFinding:
    """Check the version of git, and that it can what Maingate asks of it, without touching a repository."""
    wanted = ".".join(map(str, OLDEST_GIT))
    path = shutil.which("git")
    if path is None:
        return CheckFinding.failed(
            f"git is not on PATH; install git {wanted} or newer", "apt-get install git"
        )
    require_git()
    version = run_git("version").stdout.decode(errors="replace").strip()
    tried = run_git("apply", "--numstat", "-z", "-", input=_TRIAL, check=False, timeout=2.0)
    if tried.code != 0 or not tried.stdout.startswith(b"1\t0\tone"):
        why = tried.stderr.strip() or f"exit code {tried.code}"
        return CheckFinding.failed(f"{path} does not read a patch ({why}); reinstall git", "git version")
    return CheckFinding(summary=f"{version}, at {path}", detail={"version": version, "path": path})
