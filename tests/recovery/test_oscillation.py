"""When a tool goes round in circles."""

import pytest

from maingate.recovery.oscillation import digest_of_diff, goes_round


def diff(text: str, *, at: int = 1) -> bytes:
    """Make a diff that writes a text."""
    return f"--- a/f\n+++ b/f\n@@ -{at} +{at} @@\n-old\n+{text}\n".encode()


@pytest.mark.parametrize(
    ("answers", "is_circle"),
    [
        ("a", False),
        ("aa", False),
        ("aaa", True),
        ("abab", False),
        ("ababa", True),
        ("aabbca", False),
        ("abcde", False),
    ],
)
def test_three_of_five_are_a_circle(answers: str, is_circle: bool) -> None:
    """Older attempts do not count any more."""
    *earlier, newest = map(diff, answers)
    assert goes_round(earlier, newest) is is_circle


def test_where_the_lines_are_does_not_matter() -> None:
    """What is done to them does."""
    assert digest_of_diff(diff("x", at=1)) == digest_of_diff(diff("x", at=9))
    assert digest_of_diff(diff("x")) != digest_of_diff(diff("y"))
    assert digest_of_diff(diff("x")) != digest_of_diff(diff("x").replace(b"b/f", b"b/g"))


def test_what_has_no_lines_is_told_apart_too() -> None:
    """Renames, modes, and what is no diff at all."""
    renames = [f"diff --git a/f b/{name}\nrename from f\nrename to {name}\n".encode() for name in "ghijk"]
    assert not goes_round(renames[:4], renames[4])
    assert goes_round([b"garbage", b"garbage"], b"garbage")
