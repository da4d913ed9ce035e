"""Starting the processes of a server: interpreters of their own, each in a session of its own.

The signals of the server's terminal are the server's; their log goes where that of the server goes.
"""

import subprocess
from collections.abc import Sequence

from maingate.system.own_program import own_program


def start(module: str, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start the program of a module, which reads and prints nothing.

    Raises:
        OSError: No process can be started.
    """
    return subprocess.Popen(
        own_program(module, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def run(module: str, given: bytes) -> tuple[int, bytes]:
    """Run the program of a module to its end; return its exit code, and what it printed.

    Args:
        module: The module.
        given: Its standard input.

    Raises:
        OSError: No process can be started.
    """
    done = subprocess.run(
        own_program(module), input=given, stdout=subprocess.PIPE, cwd="/", start_new_session=True, check=False
    )
    return done.returncode, done.stdout
