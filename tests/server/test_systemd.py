"""A server takes the socket that systemd hands down, and tells systemd how it is."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from maingate.errors import UsageError
from maingate.server.systemd import inherited_socket, notify

SHOW = """
import os, sys
from maingate.server.systemd import inherited_socket
found = inherited_socket({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": sys.argv[1]})
print(None if found is None else found.getsockname()[1])
"""


BECOME = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""


def inherited(descriptor: int, count: str = "1") -> "subprocess.CompletedProcess[str]":
    """Return what a process finds that gets a descriptor as its fourth."""
    words = [sys.executable, "-c", BECOME, str(descriptor), SHOW, count]
    return subprocess.run(words, pass_fds=(descriptor,), capture_output=True, text=True, check=False)


def test_the_socket_that_is_handed_down_is_used() -> None:
    """It is the fourth descriptor of the process that it is meant for."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = inherited(listening.fileno())
        assert (done.stdout.strip(), done.stderr) == (str(listening.getsockname()[1]), "")
        assert inherited(listening.fileno(), "0").stdout.strip() == "None"
        assert "hands down 2 sockets" in inherited(listening.fileno(), "2").stderr
    with socket.socket() as deaf:
        assert "does not listen" in inherited(deaf.fileno()).stderr
    with open(os.devnull) as file:  # noqa: PTH123 - its descriptor is wanted
        assert "hands down no socket" in inherited(file.fileno()).stderr


def test_a_socket_for_another_process_is_none() -> None:
    """The variables may have been passed on by a parent."""
    assert inherited_socket({}) is None
    assert inherited_socket({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
    with pytest.raises(UsageError, match="3 sockets"):
        inherited_socket({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3"})


@pytest.mark.parametrize("is_abstract", [False, True])
def test_states_are_sent(tmp_path: Path, *, is_abstract: bool) -> None:
    """An address that begins with @ is abstract; without an address nothing is sent, and none is missed."""
    name = f"@maingate-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name[1:]}" if is_abstract else name)
        notify("READY=1", {"NOTIFY_SOCKET": name})
        assert line.recv(64) == b"READY=1"
    notify("READY=1", {})
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_a_reader_of_states_that_does_not_read_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host of all runs sends them."""
    monkeypatch.setattr("maingate.server.systemd._PATIENCE", 0.001)
    name, kind = str(tmp_path / "notify"), socket.SOCK_DGRAM
    with socket.socket(socket.AF_UNIX, kind) as line, socket.socket(socket.AF_UNIX, kind) as other:
        line.bind(name)
        other.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                other.sendto(b"full", name)
        notify("WATCHDOG=1", {"NOTIFY_SOCKET": name})
        assert line.recv(64) == b"full"
