"""Text of others: nothing in it takes effect without being seen."""

import pytest
from markupsafe import Markup

from maingate.pages.printable import finalized, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07bell", "bell"),
        ("nul\x00 and bell\x07", "nul\ufffd and bell\ufffd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("zero\u200bwidth", "zero\ufffdwidth"),
        ("lone \udcff surrogate", "lone \ufffd surrogate"),
        ("Zürich ✓ 日本", "Zürich ✓ 日本"),
    ],
)
def test_characters_are_seen_or_left_out(text: str, shown: str) -> None:
    """Escape sequences are left out; control characters and marks of direction are replaced."""
    assert printable(text) == shown


def test_templates_show_nothing_for_none_and_leave_markup_alone() -> None:
    """Only text of others is changed."""
    assert finalized(None) == ""
    assert finalized(3) == 3
    assert finalized(Markup("<b>\u200b</b>")) == Markup("<b>\u200b</b>")
    assert finalized("<b>\x1b[0m") == "<b>"
