"""Names in sentences: a message stays a few lines, whatever it names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.cli.output import fail
from maingate.cli.text import escaped, safe
from maingate.errors import AmbiguousNameError, PlanError, Problem, UnknownEntityError
from maingate.wording import (
    LONGEST_LINE,
    LONGEST_NAME,
    LONGEST_WORD,
    bounded,
    chain,
    first_lines,
    listed,
    short,
)


@pytest.mark.parametrize(
    ("name", "most", "shown"),
    [("abc", 3, "abc"), ("abcdef", 5, "ab…ef"), ("abcdefgh", 4, "ab…h"), ("", 5, "")],
)
def test_a_long_name_loses_its_middle(name: str, most: int, shown: str) -> None:
    """Beginning and end say most: a folder, and a file's kind."""
    assert short(name, most) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, ""), (1, "n0"), (3, "n0, n1, n2"), (1000, "n0, n1, n2 and 997 more")]
)
def test_many_names_are_counted(count: int, shown: str) -> None:
    """The first are named, the others are a number."""
    assert listed([f"n{number}" for number in range(count)]) == shown


def test_a_long_chain_keeps_both_ends() -> None:
    """A circle of needs shows where it begins and that it ends there."""
    assert chain(["a", "b", "a"]) == "a → b → a"
    assert chain([f"n{n}" for n in range(999)] + ["n0"]) == "n0 → n1 → n2 → n3 → … 995 more … → n0"


@given(st.text(max_size=300).map(lambda text: text * 40))
def test_no_line_is_long_whatever_it_says(line: str) -> None:
    """Neither one word nor all of them together; what is short enough stays as it is."""
    shown = bounded(line)
    assert len(shown) <= LONGEST_LINE
    assert all(len(word) <= LONGEST_WORD for word in shown.split())
    assert bounded(shown) == shown
    assert len(line) > LONGEST_WORD or shown == line


def test_what_reaches_a_terminal_on_a_line_is_short_and_harmless() -> None:
    """A name of 4,000 characters is no thirty lines, and a cut makes no control character."""
    hostile = "src/" + "\x1b[31m" * 800
    assert len(safe(hostile)) <= LONGEST_WORD
    assert "\x1b" not in safe(hostile)
    assert safe("a" * 4000, keep_newlines=True) == "a" * 4000
    assert len(escaped("a" * 4000)) == 4000


def test_a_failure_is_a_few_lines_whatever_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line that is printed is bounded."""
    fail(f"there is no {'x' * 5000}\n{'y z ' * 5000}")
    printed = capsys.readouterr().err
    assert len(printed) < 2 * LONGEST_LINE
    assert "there is no" in printed


def test_thousands_of_problems_are_counted_in_a_message() -> None:
    """The first fifty are listed; all of them are there for programs."""
    problems = [Problem(file="plan.yaml", line=n, message=f"wrong {n}") for n in range(5000)]
    error = PlanError(problems)
    lines = str(error).splitlines()
    assert len(error.problems) == 5000
    assert lines[0] == "plan.yaml:0: wrong 0"
    assert lines[49:] == [
        "plan.yaml:49: wrong 49",
        "and 4950 more problems; `maingate plan check --json` lists them all",
    ]
    assert first_lines(["a", "b"], 2, rest=" lines") == ["a", "b"]


def test_errors_name_long_names_shortly() -> None:
    """A name that somebody gave may be any length."""
    assert len(str(UnknownEntityError("n" * 5000))) < LONGEST_NAME + 100
    message = str(AmbiguousNameError("n" * 5000, [f"c{number}" for number in range(50)]))
    assert "matches 50 things" in message
    assert message.endswith("c5 and 44 more")
    assert len(message) < LONGEST_NAME + 150
