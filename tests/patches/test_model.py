"""Values of a diff: sides of hunks, exact application, names, binary deltas."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.patches.model import (
    NO_NEWLINE,
    ChangeKind,
    FileChange,
    Hunk,
    lines_of,
    patched,
    quote_path,
    show_path,
)
from maingate.patches.text.binary import apply_delta
from maingate.patches.text.quoting import unquote_path
from support.diff_world import DiffWorld, taken

HUNK = Hunk(
    old_start=2,
    old_count=2,
    new_start=2,
    new_count=2,
    section=b"",
    lines=(b" b\n", b"-c\n", NO_NEWLINE, b"+C\n"),
)
CHANGE = FileChange(kind=ChangeKind.MODIFY, old_path=b"f", new_path=b"f", hunks=(HUNK,))


def test_sides_of_a_hunk_know_missing_newlines() -> None:
    """A no-newline marker belongs to the side of the line above it."""
    assert HUNK.old_lines() == [b"b\n", b"c"]
    assert HUNK.new_lines() == [b"b\n", b"C\n"]


def test_counts_and_context_of_a_hunk() -> None:
    """Insertions, deletions and context are counted from the lines."""
    assert (HUNK.insertions, HUNK.deletions, HUNK.leading, HUNK.trailing) == (1, 1, 1, 0)


def test_patched_applies_where_the_hunk_says() -> None:
    """The own application changes exactly the stated lines."""
    assert patched(b"a\nb\nc", CHANGE) == b"a\nb\nC\n"


@pytest.mark.parametrize("base", [b"b\nc", b"a\nb\nc\n", b"a\nb\nx", b"x\na\nb\nc", b""])
def test_patched_refuses_any_other_base(base: bytes) -> None:
    """Nothing is moved or guessed: another line, another newline or another place does not fit."""
    assert patched(base, CHANGE) is None


def test_patched_joins_no_lines() -> None:
    """A line without newline in the middle of the result is refused, where git would join two lines."""
    joined = replace(HUNK, old_count=1, new_count=1, lines=(b"-b\n", b"+B\n", NO_NEWLINE))
    assert patched(b"a\nb\nc\n", replace(CHANGE, hunks=(joined,))) is None


def test_patched_deletion_must_remove_everything() -> None:
    """A deletion that leaves lines does not fit."""
    gone = replace(HUNK, old_start=1, old_count=1, new_start=0, new_count=0, lines=(b"-a\n",))
    change = FileChange(kind=ChangeKind.DELETE, old_path=b"f", new_path=None, hunks=(gone,))
    assert patched(b"a\n", change) == b""
    assert patched(b"a\nb\n", change) is None


def test_pure_rename_keeps_the_content() -> None:
    """A change without hunks leaves the content alone."""
    change = FileChange(kind=ChangeKind.RENAME, old_path=b"f", new_path=b"g")
    assert patched(b"x", change) == b"x"
    assert change.paths == (b"f", b"g")


@given(st.binary(min_size=1).filter(lambda path: b"\0" not in path))
def test_quoting_of_names_is_reversible(path: bytes) -> None:
    """Every name that is quoted reads back as itself, and one line holds it."""
    quoted = quote_path(path)
    assert b"\n" not in quoted
    assert quoted == path or unquote_path(quoted + b" rest") == (path, b" rest")


@pytest.mark.parametrize("text", [b'"a', b'"a\\"', b'"a\\q"', b'"a\\477"', b'"a\\4"'])
def test_damaged_quoting_is_not_interpreted(text: bytes) -> None:
    """A quote that does not close or an escape that does not exist is no name."""
    assert unquote_path(text) is None


def test_names_for_people() -> None:
    """UTF-8 is shown as text, everything else as git would quote it."""
    assert show_path("ä b".encode()) == "ä b"
    assert show_path(b"\xe4\n") == '"\\344\\n"'


def test_quoting_is_gits_own(tmp_path: Path) -> None:
    """Names come out as git itself writes them."""
    world = DiffWorld.create(tmp_path / "w")
    names = [
        b"plain",
        b"sp ace",
        b"t\tab",
        b'q"uote',
        b"back\\slash",
        b"n\nl",
        b"\x01\x7f",
        b"\xff",
        "ä".encode(),
    ]
    tree = world.tree(dict.fromkeys(names, ("100644", b"x")))
    listed = world.git("ls-tree", "--name-only", tree).splitlines()
    assert sorted(listed) == sorted(map(quote_path, names))


def test_lines_end_at_newlines_only() -> None:
    """Carriage returns and other separators are content."""
    assert lines_of(b"a\r\nb\rc\x0bd\ne") == [b"a\r\n", b"b\rc\x0bd\n", b"e"]


def test_delta_is_applied_to_its_base_only(tmp_path: Path) -> None:
    """A delta of git gives the new content on its base, and nothing on another."""
    world = DiffWorld.create(tmp_path / "w")
    old = b"\0" + bytes(range(256)) * 40
    new = old[:3000] + b"changed" + old[3100:]
    raw = world.diff(world.tree({b"f": ("100644", old)}), world.tree({b"f": ("100644", new)}))
    (change,) = taken(raw).files
    assert change.binary is not None
    assert change.binary.forward.kind == "delta"
    assert patched(old, change) == new
    assert patched(old + b"x", change) is None


@given(st.binary(), st.binary())
def test_damaged_delta_gives_nothing_or_its_stated_size(base: bytes, delta: bytes) -> None:
    """Any bytes as a delta end, without an exception."""
    result = apply_delta(base, delta)
    assert result is None or isinstance(result, bytes)
