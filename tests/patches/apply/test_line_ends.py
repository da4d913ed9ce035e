"""Patches with other line endings than their file: told, and taken on request."""

from typing import Any

import pytest

from support.factories import GitRepo
from support.landing import Landed, land, one_each

TEN = "".join(f"line {number}\n" for number in range(10))
CHANGED = TEN.replace("line 4\n", "line four\nand more\n").replace("line 9\n", "line nine")


def crlf(text: str) -> str:
    """Return text with CRLF line endings."""
    return text.replace("\n", "\r\n")


def diff(repo: GitRepo, before: str, after: str) -> bytes:
    """Return the diff between two texts as a diff of f, without ids that a base could be found by."""
    repo.commit({"f": before}, "for the diff")
    made = repo.diff_of({"f": after})
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.git("reflog", "expire", "--expire=now", "--all")
    return b"".join(line for line in made.splitlines(keepends=True) if not line.startswith(b"index "))


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a first commit."""
    repo.commit({"other": "x\n"}, "first")
    return repo


@pytest.mark.parametrize(("there", "given"), [(crlf, str), (str, crlf)], ids=["crlf", "lf"])
@pytest.mark.parametrize("where", ["plan", "task"])
def test_a_patch_takes_the_endings_of_its_file_on_request(
    base: GitRepo, there: type[str], given: type[str], where: str
) -> None:
    """As if it had been made on the file itself, and told; without the request the refusal names it."""
    patches = {"p": diff(base, given(TEN), given(CHANGED))}
    base.commit({"f": there(TEN)}, "base")
    refused = land(base, patches, landing="rebase")
    assert refused.code("p/t") == "conflict"
    said = refused.task("p/t")["reason"]["message"]
    assert "line endings and the patch has" in said
    assert "`whitespace: fix-eol`" in said
    asked: dict[str, Any] = {"whitespace": "fix-eol"}
    streams = one_each(patches, **(asked if where == "task" else {}))
    landed = land(base, patches, workstreams=streams, landing="rebase", **(asked if where == "plan" else {}))
    assert landed.state == "succeeded"
    assert base.git_bytes("cat-file", "blob", "main:f") == there(CHANGED).encode()
    assert repairs(landed) == ["line_ends"]


def repairs(landed: Landed) -> list[str]:
    """Return the kinds of a patch's repairs."""
    return [repair["kind"] for repair in landed.task("p/t")["patch"]["repairs"]]


def test_a_patch_that_fits_as_it_is_keeps_its_endings(base: GitRepo) -> None:
    """A file may have both, and a patch may be what brings others."""
    patches = {"p": diff(base, TEN + crlf(TEN), TEN.replace("line 4", "line four") + crlf(TEN))}
    base.commit({"f": TEN + crlf(TEN)}, "base")
    landed = land(base, patches, landing="rebase", whitespace="fix-eol")
    assert (landed.state, repairs(landed)) == ("succeeded", [])


def test_a_patch_that_fits_with_no_endings_is_a_conflict(base: GitRepo) -> None:
    """Other lines are other lines; the line endings are not blamed."""
    patches = {"p": diff(base, TEN, CHANGED)}
    base.commit({"f": crlf(TEN.replace("line 3", "line three"))}, "base")
    landed = land(base, patches, landing="rebase", whitespace="fix-eol")
    assert landed.code("p/t") == "conflict"
    assert "line endings" not in landed.task("p/t")["reason"]["message"]
