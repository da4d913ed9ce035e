"""Raw content in place of what a filter stores."""

from pathlib import Path

import pytest

from maingate.git.filter_drivers import read_drivers
from maingate.git.repository import Repository
from maingate.git.stored_content import raw_paths
from support.factories import GitRepo

UPSIDE_DOWN = {"clean": "sed s/^plain:/stored:/", "smudge": "sed s/^stored:/plain:/"}
"""A filter that tells its own stored content, as git-crypt and git-lfs do."""


def stored(repo: GitRepo, files: dict[str, str]) -> str:
    """Make a tree of files whose content is stored as it is."""
    repo.git("read-tree", "--empty")
    for path, content in {".gitattributes": "*.secret filter=crypt\n", **files}.items():
        blob = repo.git("hash-object", "-w", "--no-filters", "--stdin", stdin=content.encode())
        repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    return repo.git("write-tree")


def found(repo: GitRepo, before: dict[str, str], after: dict[str, str], **parts: str) -> dict[bytes, str]:
    """Look at a change with a filter of these programs."""
    for name, value in parts.items():
        repo.git("config", f"filter.crypt.{name}", value)
    drivers = read_drivers(repo.path / ".git", repo.path)
    with Repository.open(repo.path) as opened:
        return raw_paths(opened, drivers, stored(repo, before), stored(repo, after))


@pytest.mark.parametrize("path", ["a.secret", "deep/er/caf\u00e9 \n.secret"])
def test_raw_content_is_found(repo: GitRepo, path: str) -> None:
    """A new file and a changed one; what is stored as it should be is none, nor is a file without filter."""
    raw, right = {path: "plain: a\n"}, {path: "stored: a\n"}
    other = {"b.secret": "stored: b\n", "c.txt": "plain: c\n"}
    wanted = {path.encode(): "crypt"}
    assert found(repo, {}, {**raw, **other}, **UPSIDE_DOWN) == wanted
    assert found(repo, right, raw) == wanted
    assert found(repo, {}, {**right, **other}) == {}
    assert found(repo, raw, right) == {}
    assert found(repo, raw, {}) == {}


def test_a_file_that_was_raw_may_stay_so(repo: GitRepo) -> None:
    """A patch is not to blame for its base."""
    assert found(repo, {"a.secret": "plain: a\n"}, {"a.secret": "plain: b\n"}, **UPSIDE_DOWN) == {}


def test_a_filter_that_never_stores_the_same_twice_is_understood(repo: GitRepo) -> None:
    """Stored content is shown otherwise; a filter that cannot show content did not store it."""
    clean, smudge = "sed s/^plain:/stored:$(date +%N):/", "sed -n '/^stored:/!q1; s/^stored:[0-9]*:/plain:/p'"
    parts = {"clean": clean, "smudge": smudge}
    assert found(repo, {}, {"a.secret": "stored:1: a\n"}, **parts) == {}
    assert found(repo, {}, {"a.secret": "plain: a\n"}) == {b"a.secret": "crypt"}


def test_without_the_filter_nothing_is_known(repo: GitRepo) -> None:
    """Git itself would store it."""
    assert found(repo, {}, {"a.secret": "plain: a\n"}) == {}


def test_nothing_is_asked_where_no_attribute_has_a_filter(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It costs no process."""
    repo.git("config", "filter.crypt.clean", f"touch {tmp_path / 'ran'}")
    drivers = read_drivers(repo.path / ".git", repo.path)
    before, after = repo.commit({"f": "1\n"}), repo.commit({"f": "2\n"})
    monkeypatch.setattr("maingate.git.stored_content.run_git", None)
    with Repository.open(repo.path) as opened:
        assert raw_paths(opened, drivers, opened.tree_of(before), opened.tree_of(after)) == {}
