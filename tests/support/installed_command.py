"""The command `maingate` for shell scripts: a program on the path that has itself forked, see ``forking``.

It is a client of a few lines, so that a command of a script costs a fork and not the imports of Maingate.
"""

import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from threading import Thread
from typing import Final

from support.forking import ensure_running, start_forked

_PROGRAM: Final = """#!{python} -IS
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect({address!r})
line.sendall(json.dumps([os.getpid(), sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n")
code = int(line.makefile().readline())
sys.exit(code if code >= 0 else 128 - code)
"""


@contextmanager
def installed_command() -> Iterator[Path]:
    """Give a folder with the program `maingate`, for the path of a shell.

    A signal that ends the program ends the command with SIGTERM. Standard input is empty.
    """
    ensure_running()  # in this thread: it changes the environment for a moment
    with (
        tempfile.TemporaryDirectory(prefix="maingate-installed-") as name,
        socket.socket(socket.AF_UNIX) as line,
    ):
        folder, address = Path(name) / "bin", f"{name}/line"
        folder.mkdir()
        program = folder / "maingate"
        program.write_text(_PROGRAM.format(python=sys.executable, address=address))
        program.chmod(0o755)
        line.bind(address)
        line.listen()
        server = Thread(target=_serve, args=(line,))
        server.start()
        try:
            yield folder
        finally:
            line.shutdown(socket.SHUT_RDWR)
            server.join()


def _serve(line: socket.socket) -> None:
    """Run the commands that come over a line until it is shut down, and see each to its end."""
    commands = []
    while True:
        try:
            client, _ = line.accept()
        except OSError:
            break
        commands.append(Thread(target=_run, args=(client,)))
        commands[-1].start()
    for command in commands:
        command.join()


def _run(client: socket.socket) -> None:
    with client, client.makefile() as asked:
        pid, words, folder, environment = json.loads(asked.readline())
        out, err = (Path(f"/proc/{pid}/fd/{number}") for number in (1, 2))
        process = start_forked(tuple(words), cwd=Path(folder), environment=environment, out=out, err=err)
        if client in connection.wait([process.sentinel, client]):
            process.terminate()
            process.join()
            return
        process.join()
        client.sendall(f"{process.exitcode}\n".encode())
