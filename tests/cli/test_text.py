"""Text for people: untrusted text is escaped; times, sizes and counts are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.cli.text import count, duration, reason_line, safe
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
