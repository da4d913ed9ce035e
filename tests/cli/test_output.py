"""What is printed: harmless text, one JSON document, one paragraph."""

import io
import json
from datetime import UTC, datetime

import pytest

from maingate.cli.output import PIPE_WIDTH, console, fail, print_json
from maingate.cli.tables import print_indented, table


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


def test_an_indented_line_ends_with_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    """It is not filled up to the width, so that it can be copied from a log."""
    print_indented(console(), "the patch is quarantined")
    assert capsys.readouterr().out == "    the patch is quarantined\n"


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
