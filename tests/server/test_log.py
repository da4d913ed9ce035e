"""The log of a server: JSON for programs, and lines for the people who started it on a terminal."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import structlog

from maingate.server import log


class Terminal:
    """A standard error that is a terminal.

    Args:
        file: The file that it is instead.
    """

    def __init__(self, file: IO[str]) -> None:
        self.fileno = file.fileno

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Give the process its configuration back."""
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


def written(path: Path, monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> list[str]:
    """Log some events and return the lines."""
    with path.open("w") as file:
        monkeypatch.setattr("sys.stderr", Terminal(file) if is_terminal else file)
        with log.written_log():
            structlog.get_logger("test").info("listening", url="http://127.0.0.1:8470", name="a\x1b[31mb")
            logging.getLogger("library").info("not worth a line")
            logging.getLogger("library").warning("it %s", "limps")
            try:
                int("x")
            except ValueError:
                logging.getLogger("library").exception("it fell")
    return path.read_text().splitlines()


def test_a_program_gets_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One object on a line, also for warnings of libraries; a traceback is part of its line."""
    lines = [json.loads(line) for line in written(tmp_path / "log", monkeypatch, is_terminal=False)]
    assert [(each["event"], each["level"]) for each in lines] == [
        ("listening", "info"),
        ("it limps", "warning"),
        ("it fell", "error"),
    ]
    assert all(each["timestamp"] for each in lines)
    assert (lines[0]["url"], lines[1]["logger"]) == ("http://127.0.0.1:8470", "library")
    assert "ValueError: invalid literal" in lines[2]["exception"]


def test_a_terminal_gets_a_line_for_people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the time of day; control characters in names stay escaped."""
    first, second, third = written(tmp_path / "log", monkeypatch, is_terminal=True)
    assert first[9:] == 'listening url="http://127.0.0.1:8470" name="a\\u001b[31mb"'
    assert second[9:] == 'it limps warning logger="library"'
    assert "ValueError: invalid literal" in third
