"""What is seen in a diff without understanding it: the paths that it touches."""

import pytest

from maingate.importers.diffs import paths_of
from support.factories import GitRepo


def test_the_paths_of_a_diff_are_old_and_new_ones(repo: GitRepo) -> None:
    """Changed, made, deleted, moved, binary and odd names, as git writes them."""
    repo.commit(
        {"a b.py": "1\n2\n3\n", "gone.py": "x\n", "old.py": "1\n" * 30, "bin": b"\0\1", "é.py": "1\n"}
    )
    base = repo.head()
    repo.git("mv", "old.py", "new.py")
    repo.commit({"a b.py": "1\n2\n4\n", "gone.py": None, "made\t.py": "", "bin": b"\0\2", "é.py": "2\n"})
    diff = repo.git_bytes("diff", "-M", "--binary", base, "HEAD")
    assert sorted(paths_of(diff)) == ["a b.py", "bin", "gone.py", "made\t.py", "new.py", "old.py", "é.py"]


@pytest.mark.parametrize(
    ("diff", "paths"),
    [
        (b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/no\n+++ b/no\n c\n--- a/y\n+++ /dev/null\n", ["x", "y"]),
        (b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n+++ b/z\n", ["x", "z"]),
        (b"no diff at all\n", []),
        (b"", []),
    ],
)
def test_a_files_own_text_is_no_header(diff: bytes, paths: list[str]) -> None:
    """The lines of hunks are counted."""
    assert paths_of(diff) == paths
