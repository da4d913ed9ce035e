"""Commands of this program that tools start, each a process of its own that outlives the agent's session."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from maingate.system.own_program import own_program


@dataclass(frozen=True, kw_only=True)
class CommandEnd:
    """The end of a command, or what it has said so far.

    Args:
        code: Its exit code; None while it goes on.
        output: Its standard output.
        messages: Its messages.
    """

    code: int | None
    output: str
    messages: str


class OwnCommand:
    """A command that was started.

    Args:
        process: Its process.
        output: The file of its standard output.
        messages: The file of its messages.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", output: int, messages: int) -> None:
        self._process, self._output, self._messages = process, output, messages

    def ended_within(self, seconds: float) -> CommandEnd:
        """Wait for its end for some seconds, and return it; it goes on after them."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        return CommandEnd(code=code, output=_taken(self._output), messages=_taken(self._messages))


def started(folder: Path, *words: str, given: bytes = b"") -> OwnCommand:
    """Start a command.

    Args:
        folder: The folder in which it runs.
        words: Its words, without the program's name.
        given: Bytes for its standard input.
    """
    output, messages = _new_file(b""), _new_file(b"")
    standard_input = _new_file(given)
    try:
        process = subprocess.Popen(
            own_program("maingate", *words),
            cwd=folder,
            stdin=standard_input,
            stdout=output,
            stderr=messages,
            start_new_session=True,  # the end of the agent's session is not the end of the run
        )
    finally:
        os.close(standard_input)
    return OwnCommand(process, output, messages)


def _new_file(content: bytes) -> int:
    """Return a descriptor of a new file without a name, at its beginning."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return os.dup(file.fileno())


def _taken(descriptor: int) -> str:
    """Return the content of a file, and close it."""
    with open(descriptor, "rb") as file:
        file.seek(0)
        return file.read().decode(errors="replace")
