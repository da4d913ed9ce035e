"""The socket that a server listens at."""

import errno
import ipaddress
import socket
from typing import Final

from maingate.errors import UsageError

_BACKLOG: Final = 1024

_WHY: Final = {
    errno.EADDRINUSE: "is in use by another program; choose another with `--port`, or 0 for any that is free",
    errno.EACCES: "may not be used by this user; choose a `--port` above 1023",
    errno.EADDRNOTAVAIL: "is no address of this machine; choose another with `--host`",
}


class PortTakenError(UsageError):
    """Another program listens at the address."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
        PortTakenError: The address is taken.
        UsageError: The address is unknown, or not allowed.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"--host {host} is not known: {error.strerror}") from error
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        why = _WHY.get(error.errno or 0, f"cannot be listened at: {error.strerror}")
        kind = PortTakenError if error.errno == errno.EADDRINUSE else UsageError
        raise kind(f"{host} port {port} {why}") from error
    return listening


def without_delay(listening: socket.socket) -> socket.socket:
    """Configure a socket to send each part of an answer at once, and return it.

    An answer has two parts, and the second would wait for the client's confirmation of the first: 40 ms.
    asyncio asks for this only if the protocol was stated when the socket was made, and systemd states none.
    """
    if listening.family != socket.AF_UNIX:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def is_local(listening: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    if listening.family == socket.AF_UNIX:
        return True
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def address_of(listening: socket.socket) -> str:
    """Return the address of a socket as a URL."""
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
