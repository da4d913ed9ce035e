"""The log of a server: a reader that reads nothing holds nothing up, and no line is lost without a word."""

import os
from collections.abc import Iterator

import pytest

from maingate.server.log_writer import LogWriter

FAR_MORE_THAN_A_PIPE_HOLDS = "x" * (1 << 20) + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give the ends of a pipe."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:  # closed by the test
            continue


def read_some(reading: int, count: int) -> bytes:
    """Read a number of bytes of a pipe."""
    found = b""
    while len(found) < count:
        found += os.read(reading, count - len(found))
    return found


def read_all(reading: int) -> str:
    """Read a pipe to its end."""
    with os.fdopen(os.dup(reading)) as stream:
        return stream.read()


def note(count: int) -> str:
    """Return the line about lines that were dropped."""
    return f"{count} dropped\n"


def test_lines_wait_for_a_reader_in_their_order_and_those_without_room_are_counted(
    pipe: tuple[int, int],
) -> None:
    """The thread is stuck amid the first line; two of the others have room, and later ones again."""
    reading, writing = pipe
    writer = LogWriter(writing, note=note, most=2)
    writer.write(FAR_MORE_THAN_A_PIPE_HOLDS)
    read_some(reading, 1)  # the thread has taken it
    for number in range(5):
        writer.write(f"{number}\n")
    read_some(reading, len(FAR_MORE_THAN_A_PIPE_HOLDS) - 1)
    assert read_some(reading, 4) == b"0\n1\n"
    writer.write("later\n")
    writer.close()
    os.close(writing)
    assert read_all(reading) == "3 dropped\nlater\n"


def test_lines_that_cannot_be_written_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk is full for two lines; the next line that can be written says so, and ends the count."""
    written: list[str] = []

    def write(_fd: int, text: str) -> None:
        if text.endswith("no room\n"):
            raise OSError
        written.append(text)

    monkeypatch.setattr("maingate.server.log_writer._write", write)
    writer = LogWriter(-1, note=note)
    for line in ("no room\n", "no room\n", "room\n", "more\n"):
        writer.write(line)
    writer.close()
    writer.write("after the end\n")
    assert written == ["2 dropped\nroom\n", "more\n", "after the end\n"]
