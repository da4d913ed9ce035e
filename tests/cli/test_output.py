"""What is printed: harmless text, one JSON document, one paragraph."""

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.cli.output import (
    PIPE_WIDTH,
    console,
    count,
    duration,
    fail,
    print_json,
    reason_line,
    safe,
    table,
)
from maingate.reasons import Reason, ReasonCode


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain name.py", "plain name.py"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x07\x00\x9b", r"\x07\x00\x9b"),
        ("right\u202eleft", r"right\u{202e}left"),
        ("zero\u200bwidth", r"zero\u{200b}width"),
        ("byte \udcff", r"byte \xff"),
        (b"byte \xff\xfe", r"byte \xff\xfe"),
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_safe_shows_what_a_terminal_would_obey(hostile: str | bytes, shown: str) -> None:
    """Control characters, escape sequences and direction marks are written as escapes; the rest stays."""
    assert safe(hostile) == shown


def test_safe_keeps_lines_where_lines_are_shown() -> None:
    """Line ends and tabs pass where text is shown as lines; a carriage return would overwrite the line."""
    assert safe("a\n\tb\r\x1b", keep_newlines=True) == "a\n\tb\\r\\x1b"


@given(st.one_of(st.text(), st.binary()))
def test_safe_text_is_printable_whatever_came_in(hostile: str | bytes) -> None:
    """No input leaves a character that is not printable or cannot be encoded."""
    shown = safe(hostile)
    assert all(c.isprintable() or c.isspace() for c in shown)
    assert "\x1b" not in shown
    assert "\n" not in shown
    shown.encode("utf-8")


def test_a_console_interprets_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets from outside are text, in lines and in tables."""
    out = console()
    grid = table("name", "why", wide="why")
    grid.add_row("[bold]x[/bold]", "[/nothing] :smile:")
    out.print("[red]y[/red]")
    out.print(grid)
    printed = capsys.readouterr().out
    assert "[red]y[/red]" in printed
    assert "[bold]x[/bold]  [/nothing] :smile:" in printed


def test_a_pipe_gets_lines_that_are_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no terminal limits the width, eighty columns are not assumed."""
    monkeypatch.delenv("COLUMNS", raising=False)
    console().print("x" * (PIPE_WIDTH - 1))
    assert capsys.readouterr().out == "x" * (PIPE_WIDTH - 1) + "\n"


def test_print_json_prints_one_ascii_document(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads exactly one document, whatever the names in it; times are UTC with milliseconds."""
    value = {"name": "caf\u00e9 \udcff\x1b", "at": datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)}
    print_json(value)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"name": "caf\u00e9 \udcff\x1b", "at": "2026-01-02T03:04:05.678Z"}


def test_print_json_refuses_what_has_no_form() -> None:
    """A value without a JSON form is a bug and is not printed as its repr."""
    with pytest.raises(TypeError, match="object has no JSON form"):
        print_json({"x": object()})


def test_fail_is_one_paragraph_that_keeps_a_list_of_problems() -> None:
    """Prose is wrapped; the lines of a list of problems stay lines; escapes are shown."""
    stream = io.StringIO()
    fail("two problems\nplan.yaml:3: \x1b[31mno\nplan.yaml:9: neither", stream=stream)
    assert stream.getvalue() == "maingate: two problems\n  plan.yaml:3: \\x1b[31mno\n  plan.yaml:9: neither\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (4.2, "4.2s"), (59.94, "59.9s"), (59.96, "1m00s"), (65, "1m05s"), (7_380, "2h03m")],
)
def test_duration_is_written_for_people(seconds: float, text: str) -> None:
    """Short ones have tenths, long ones two units."""
    assert duration(seconds) == text


def test_count_agrees_with_its_noun() -> None:
    """One is singular, all else plural."""
    assert [count(n, "patch", "patches") for n in (0, 1, 2)] == ["0 patches", "1 patch", "2 patches"]


def test_reason_line_takes_both_forms() -> None:
    """A reason reads the same from the database and from JSON; none is empty."""
    reason = Reason(code=ReasonCode.CONFLICT, message="in \x1bname")
    assert reason_line(reason) == reason_line(reason.as_json()) == r"conflict: in \x1bname"
    assert reason_line(None) == ""
