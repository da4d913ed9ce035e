"""The log of a server: JSON for programs, and lines for the people who started it on a terminal."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from maingate.server import log


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Give the process its configuration back."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def written(shown: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Log one event and return the line."""
    monkeypatch.setattr("sys.stderr", shown)
    log.configure()
    structlog.get_logger("maingate.server").info("listening", url="http://127.0.0.1:8470", name="a\x1b[31mb")
    return shown.getvalue()


def test_a_program_gets_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """One object on a line."""
    found = json.loads(written(io.StringIO(), monkeypatch))
    assert (found["event"], found["url"], found["level"]) == ("listening", "http://127.0.0.1:8470", "info")


def test_a_terminal_gets_a_line_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time of day; control characters in names stay escaped."""
    line = written(Terminal(), monkeypatch)
    assert line[9:] == 'listening url="http://127.0.0.1:8470" name="a\\u001b[31mb"\n'
