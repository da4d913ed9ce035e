"""Names in headers: prefixes of every kind."""

import pytest

from support.diff_world import taken
from support.factories import GitRepo

PREFIXES = [
    ("src://", "dst://"),
    ("git+old://", "git+new://"),
    ("before://", "after://"),
    ("old/", "new/"),
    ("i/", "w/"),
]


@pytest.mark.parametrize(("old", "new"), PREFIXES)
def test_any_prefix_is_taken_off(repo: GitRepo, old: str, new: str) -> None:
    """Changed, added, deleted and renamed files, and modes, have the paths of git's own diff."""
    lines = "".join(f"{number}\n" for number in range(20))
    repo.commit({"f": "one\n", "d/x y": "a\n", "m/moved": lines, "run": "x\n"}, "base")
    repo.git("mv", "m/moved", "m/ä b")
    repo.write({"f": "two\n", "d/new": "n\n", "d/x y": None, "m/ä b": lines + "more\n"})
    (repo.path / "f").chmod(0o755)
    repo.git("add", "-A")
    diff = ("diff", "--cached", "-M", "--full-index")
    plain = taken(repo.git_bytes(*diff))
    other = taken(repo.git_bytes(*diff, f"--src-prefix={old}", f"--dst-prefix={new}"))
    assert other.files == plain.files
    assert {str(repair.kind) for repair in other.repairs} == {"prefix"}


@pytest.mark.parametrize("path", ["new", "d/e/new", "src:/x"])
def test_a_lone_file_with_a_scheme_loses_it(repo: GitRepo, path: str) -> None:
    """No other file has to say that it is a prefix."""
    repo.commit({"f": "one\n"}, "base")
    raw = repo.diff_of({path: "n\n"}, "--src-prefix=src://", "--dst-prefix=dst://")
    assert taken(raw).scope.paths == (path.encode(),)
