"""The command line of another process of this program."""

import site
import sys


def own_program(module: str, *arguments: str) -> list[str]:
    """Return the words that start a module of this program in an interpreter of its own.

    Neither the working directory, which may be a repository with a ``json.py``, nor variables of Python put
    other code in place of the program's. The user's own packages are looked for only where this process has
    them: the program may be one of them.
    """
    without_users = [] if site.ENABLE_USER_SITE else ["-s"]
    return [sys.executable, "-E", "-P", *without_users, "-m", module, *arguments]
