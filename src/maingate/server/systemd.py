"""The protocol between a service and systemd: sockets handed down, readiness, and a sign of life.

It consists of environment variables and of datagrams to a socket (sd_listen_fds(3), sd_notify(3)). A sign
of life that is not wanted is ignored.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from maingate.errors import UsageError

_FIRST_FD: Final = 3
"""The first descriptor that is handed down."""

_PATIENCE: Final = 0.5
"""Seconds that a reader of states which is slow is waited for: the runs of all repositories wait, too."""


def inherited_socket(environ: Mapping[str, str]) -> socket.socket | None:
    """Return the listening socket that systemd hands down to this process; None if there is none.

    Raises:
        UsageError: There are several, or it is none that listens.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environ.get("LISTEN_FDS", "0")
    if count == "0":
        return None
    if count != "1":
        raise UsageError(f"systemd hands down {count} sockets; the socket unit is to have one ListenStream")
    try:
        found = socket.socket(fileno=_FIRST_FD)
    except OSError as error:
        raise UsageError(f"systemd hands down no socket, though it says so: {error.strerror}") from error
    found.set_inheritable(False)
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise UsageError(
            "the socket that systemd hands down does not listen; the socket unit needs ListenStream"
        )
    return found


def notify(state: str, environ: Mapping[str, str]) -> None:
    """Send a state such as ``READY=1`` to systemd, if it wants to know."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.settimeout(_PATIENCE)
        line.sendto(state.encode(), name)
