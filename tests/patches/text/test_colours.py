"""Diffs that were copied from a terminal."""

import pytest

from maingate.patches.repair_record import RepairKind
from support.diff_world import refusal, taken
from support.factories import GitRepo


@pytest.mark.parametrize("options", [(), ("--color-moved",), ("--ws-error-highlight=all",)])
def test_a_coloured_diff_is_the_diff(repo: GitRepo, options: tuple[str, ...]) -> None:
    """Deletions, additions, white space at line ends: all is there, and the codes are told."""
    repo.commit({"f": "one\ntwo\n", "d/x y": "a\n"}, "base")
    repo.write({"f": "one\nTWO  \n\tthree\n", "new": "n\n", "d/x y": None})
    repo.git("add", "-A")
    plain = taken(repo.git_bytes("diff", "--cached", "--full-index"))
    raw = repo.git_bytes("-c", "color.ui=always", "diff", "--cached", "--full-index", *options)
    coloured = taken(raw)
    assert coloured.files == plain.files
    assert coloured.raw == raw
    (repair,) = coloured.repairs
    assert (repair.kind, repair.was) == (RepairKind.COLOURS, raw.count(b"\x1b["))


def test_words_in_colours_are_no_diff(repo: GitRepo) -> None:
    """`--color-words` has no lines with + and -: what it changes cannot be told."""
    repo.commit({"f": "one\n  two\n"}, "base")
    repo.write({"f": "one\n  TWO\n"})
    assert "hunk" in refusal(repo.git_bytes("diff", "--color-words")).message


def test_codes_in_a_file_stay(repo: GitRepo) -> None:
    """In a diff without colours, they are content."""
    repo.commit({"f": "one\n"}, "base")
    assert taken(repo.diff_of({"f": "\x1b[31mred\x1b[m\n"})).files[0].hunks[0].lines[1] == (
        b"+\x1b[31mred\x1b[m\n"
    )
