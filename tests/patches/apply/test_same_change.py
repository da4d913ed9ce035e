"""Comparison of commits with patches, and of patches with each other."""

import pytest

from maingate.git.repository import Repository
from maingate.patches.apply.same_change import did
from maingate.patches.intake import Intake, take_in
from support.factories import GitRepo

LINES = [f"line {number}\n" for number in range(30)]
TEXT = "".join(LINES)


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a": TEXT, "b": "b\n"}, "base")
    return Repository.open(repo.path)


def taken(diff: bytes) -> Intake:
    """Take in a diff that is in order."""
    intake = take_in(diff, max_bytes=1 << 20)
    assert isinstance(intake, Intake), intake
    return intake


def said(repo: GitRepo, files: dict[str, str | bytes | None], *options: str) -> Intake:
    """Return what a patch says that makes these files, without the ids of its blobs."""
    diff = repo.diff_of(files, *options)
    return taken(b"".join(line for line in diff.splitlines(keepends=True) if line[:6] != b"index "))


def test_the_same_at_another_line_is_the_same(repo: GitRepo, opened: Repository) -> None:
    """Line numbers, the width of context and the way of finding differences do not count."""
    patches = [said(repo, {"a": TEXT.replace("line 20\n", "x\ny\n")}, f"-U{width}") for width in (1, 3, 9)]
    before = repo.tree(repo.commit({"a": "more\n" + TEXT}))
    after = repo.tree(repo.commit({"a": "more\n" + TEXT.replace("line 20\n", "x\ny\n")}))
    for patch in patches:
        assert did(opened, before, after, patch.files)
        assert not did(opened, after, before, patch.files)


@pytest.mark.parametrize(
    "files",
    [
        {"a": TEXT.replace("line 20\n", "x\ny\nz\n")},
        {"a": TEXT.replace("line 20\n", "x\ny \n")},
        {"a": TEXT.replace("line 20\n", "x\ny\n").replace("line 2\n", "two\n")},
        {"a": TEXT.replace("line 21\n", "x\ny\n")},
        {"a": None},
        {"b": "x\ny\n"},
    ],
    ids=["more", "a-space-more", "elsewhere-too", "another-line", "deleted", "another-file"],
)
def test_another_change_is_not_the_same(
    repo: GitRepo, opened: Repository, files: dict[str, str | bytes | None]
) -> None:
    """Each line, also its white space, and each other line of the file counts."""
    patch = said(repo, {"a": TEXT.replace("line 20\n", "x\ny\n")})
    before = repo.tree()
    assert not did(opened, before, repo.tree(repo.commit(files)), patch.files)


def test_files_that_come_go_and_move_are_told_apart(repo: GitRepo, opened: Repository) -> None:
    """New, deleted, renamed and binary files."""
    changes: list[dict[str, str | bytes | None]] = [
        {"new": "n\n"},
        {"b": None},
        {"a": None, "moved": TEXT.replace("line 2\n", "two\n")},
        {"image": bytes(range(256))},
    ]
    patches = [said(repo, files, "-M") for files in changes[:3]] + [taken(repo.diff_of(changes[3]))]
    base, before = repo.head(), repo.tree()
    for number, files in enumerate(changes):
        after = repo.tree(repo.commit(files))
        assert [did(opened, before, after, patch.files) for patch in patches].index(True) == number
        repo.git("reset", "-q", "--hard", base)


def test_a_key_is_of_what_is_changed() -> None:
    """A mail around it, ids and line numbers do not count; each line does, and its white space."""
    diff = b"--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+c\n d\n"
    mail = b"From: A <a@b.c>\nSubject: [PATCH] x\n\nwords\n---\n f | 2 +-\n\n" + diff + b"-- \n2.39\n\n"
    moved = diff.replace(b"@@ -1,3 +1,3 @@", b"@@ -7,3 +9,3 @@ def f():")
    git = b"diff --git a/f b/f\nindex 1234567..89abcde 100644\n" + diff
    assert len({taken(text).key for text in (diff, mail, moved, git)}) == 1
    others = [diff.replace(b"+c", b"+c "), diff.replace(b" d", b" e"), diff.replace(b"/f", b"/g")]
    assert len({taken(text).key for text in (diff, *others)}) == 4
