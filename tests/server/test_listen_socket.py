"""A server listens at an address, or says why it cannot."""

import os
import socket

import pytest

from maingate.errors import UsageError
from maingate.server.listen_socket import address_of, is_local, listen, without_delay


def test_an_address_is_local_if_only_this_machine_reaches_it() -> None:
    """The address of the socket counts, not how it was named."""
    with listen("localhost", 0) as here, listen("0.0.0.0", 0) as everywhere:  # noqa: S104 - that is the test
        assert (is_local(here), is_local(everywhere)) == (True, False)
        assert address_of(here) in {f"http://127.0.0.1:{_port(here)}", f"http://[::1]:{_port(here)}"}
    with socket.socket(socket.AF_UNIX) as file:
        assert is_local(file)


def test_an_address_that_cannot_be_had_is_refused_with_what_to_do() -> None:
    """The message names the option."""
    with listen("127.0.0.1", 0) as taken, pytest.raises(UsageError, match=r"is in use by .*; .*--port"):
        listen("127.0.0.1", _port(taken))
    with pytest.raises(UsageError, match=r"no address of this machine; .*--host"):
        listen("192.0.2.1", 0)
    with pytest.raises(UsageError, match=r"--host nowhere\.invalid is not known"):
        listen("nowhere.invalid", 0)
    if os.geteuid() != 0:
        with pytest.raises(UsageError, match="above 1023"):
            listen("127.0.0.1", 1)


def test_connections_send_at_once() -> None:
    """They inherit it from the socket that they come in by; one in the file system needs no such thing."""
    with (
        without_delay(listen("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    with socket.socket(socket.AF_UNIX) as file:
        assert without_delay(file) is file


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])
