"""Folders of patches, quilt series and single patch files as series."""

from collections.abc import Callable
from pathlib import Path

import pytest

from maingate.errors import PlanError, UsageError
from maingate.importers.series.series import ImportedPlan
from support.factories import GitRepo
from support.imported import diffs_of, tasks_of, tree_after

Import = Callable[..., ImportedPlan]


@pytest.fixture
def patches(repo: GitRepo, tmp_path: Path) -> Path:
    """Give a folder with two bare diffs that build on each other, in a repository at their base."""
    folder = tmp_path / "queue"
    folder.mkdir()
    repo.commit({"a": "1\n"})
    (folder / "fix-2.patch").write_bytes(b"Make it two\n\nBecause.\n---\n" + repo.diff_of({"a": "2\n"}))
    repo.commit({"a": "2\n"})
    (folder / "fix-10.diff").write_bytes(
        b"# HG changeset patch\n# User Ada <a@b>\nTen\n\n" + repo.diff_of({"a": "10\n"})
    )
    (folder / "readme.txt").write_text("no patch")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    return folder


def test_a_folder_is_taken_in_natural_order(repo: GitRepo, patches: Path, do_import: Import) -> None:
    """2 comes before 10, other files are passed over, and words before the diff are the message."""
    made = do_import(patches)
    (_, two), (name, ten) = tasks_of(made)
    assert (two.title, two.message) == ("Make it two", "Make it two\n\nBecause.")
    assert (name, ten.title, ten.message, ten.author) == ("0002-ten", "Ten", None, "Ada <a@b>")
    assert diffs_of(made)[1].startswith(b"diff --git a/a b/a\n")
    repo.commit({"a": "10\n"})
    assert tree_after(repo, "HEAD~1", diffs_of(made)) == repo.tree()


def test_an_exported_changeset_keeps_author_date_and_message(
    repo: GitRepo, tmp_path: Path, do_import: Import
) -> None:
    """Mercurial counts a zone in seconds west of UTC; `#` in the message begins no header."""
    repo.commit({"a": "1\n"}, "base")
    head = (
        b"# HG changeset patch\n# User Ada <a@b>\n# Date 1700000000 -19080\n"
        b"#      Wed Nov 15 03:31:20 2023 +0518\n# Node ID 12345\n# Parent  0\nTopic: do it\n\n# really\n"
    )
    for name, zone in (("a.patch", b"-19080"), ("b.patch", b"12600"), ("c.patch", b"-19110")):
        text = head.replace(b"-19080", zone) + b"diff -r 0 -r 1 a\n" + repo.diff_of({"a": "2\n"})
        (tmp_path / name).write_bytes(text)
        made = do_import(tmp_path / name, out=f"{name}.yaml")
        ((_, task),) = tasks_of(made)
        assert (task.author, task.message) == ("Ada <a@b>", "Topic: do it\n\n# really")
        assert (
            str(task.date)
            == {
                "a.patch": "2023-11-15 03:31:20+05:18",
                "b.patch": "2023-11-14 18:43:20-03:30",
                "c.patch": "1700000000 +051830",
            }[name]
        )


@pytest.mark.parametrize(
    "words",
    [
        ("show", "HEAD"),
        ("show", "--format=fuller", "--stat", "-p", "HEAD"),
        ("log", "-1", "-p", "--decorate=short", "HEAD"),
        ("-c", "core.quotePath=false", "show", "--date=iso", "--notes", "HEAD"),
    ],
)
def test_a_commit_that_git_shows_keeps_author_date_and_message(
    repo: GitRepo, tmp_path: Path, do_import: Import, words: tuple[str, ...]
) -> None:
    """Its message is indented there, and fields and notes of git are no part of it."""
    repo.commit({"a": "1\n"}, "base")
    repo.write({"a": "2\n"})
    said = (
        "Größer\n\n    indented\n\nFix: all",
        "--author=Ada Ünal <a@b>",
        "--date=2026-03-03T10:00:00+0530",
    )
    repo.git("commit", "-q", "-a", "-m", *said)
    repo.git("notes", "add", "-m", "a note")
    (tmp_path / "shown.patch").write_bytes(repo.git_bytes(*words))
    repo.git("reset", "-q", "--hard", "HEAD~1")
    ((_, task),) = tasks_of(do_import(tmp_path / "shown.patch"))
    assert (task.author, task.message) == ("Ada Ünal <a@b>", "Größer\n\n    indented\n\nFix: all")
    assert str(task.date) == "2026-03-03 10:00:00+05:30"


def test_several_commits_that_git_shows_are_refused(repo: GitRepo, tmp_path: Path, do_import: Import) -> None:
    """They would be one patch with the author of the first."""
    for number in range(3):
        repo.commit({"a": f"{number}\n"}, f"commit {number}")
    (tmp_path / "log.patch").write_bytes(repo.git_bytes("log", "-p", "HEAD~2..HEAD"))
    with pytest.raises(UsageError, match=r"several commits.*git format-patch"):
        do_import(tmp_path / "log.patch")


def test_a_folder_of_mails_keeps_their_headers(repo: GitRepo, tmp_path: Path, do_import: Import) -> None:
    """Files that `git format-patch` wrote are mails, each with its author."""
    repo.commit({"a": "1\n"}, "base")
    repo.commit({"a": "2\n"}, "first")
    repo.commit({"a": "3\n"}, "second")
    repo.git("format-patch", "-q", "-o", str(tmp_path / "mails"), "HEAD~2")
    made = do_import(tmp_path / "mails")
    assert [(task.title, task.author) for _, task in tasks_of(made)] == [
        ("first", "Ada Example <ada@example.org>"),
        ("second", "Ada Example <ada@example.org>"),
    ]
    assert tree_after(repo, "HEAD~2", diffs_of(made)) == repo.tree()


@pytest.mark.parametrize("source", ["series", "."])
def test_a_quilt_series_is_taken_in_its_order(patches: Path, do_import: Import, source: str) -> None:
    """The series file decides the order; comments and -p1 are fine."""
    (patches / "series").write_text(
        "# our queue\nfix-10.diff -p1\n\nfix-2.patch # the small one\n#gone.patch\n"
    )
    made = do_import(patches / source)
    assert [task.title for _, task in tasks_of(made)] == ["Ten", "Make it two"]
    assert "quilt series" in made.path.read_text()


def test_a_quilt_tree_is_found_by_its_patches(patches: Path, tmp_path: Path, do_import: Import) -> None:
    """The series may be where quilt keeps it, in `patches/`."""
    (tmp_path / "tree").mkdir()
    patches.rename(tmp_path / "tree" / "patches")
    (tmp_path / "tree" / "patches" / "series").write_text("fix-2.patch\n")
    assert do_import(tmp_path / "tree").tasks == 1


def test_all_problems_of_a_quilt_series_are_told(patches: Path, do_import: Import) -> None:
    """Patches that are missing and options that are not supported are listed with their lines."""
    (patches / "series").write_text("gone.patch\nfix-2.patch -p0\nfix-10.diff -R\n")
    with pytest.raises(PlanError) as refused:
        do_import(patches)
    assert [str(problem).replace(f"{patches}/", "") for problem in refused.value.problems] == [
        "series:1: no file 'gone.patch' beside the series",
        (
            "series:2: fix-2.patch: only -p1 patches can be read "
            "(in the quilt tree, push it and say: quilt refresh -p1)"
        ),
        "series:3: fix-10.diff: the options '-R' are not supported",
    ]


def test_a_single_patch_is_a_series_of_one(patches: Path, do_import: Import) -> None:
    """A file with one diff gives one task."""
    assert do_import(patches / "fix-2.patch").tasks == 1


def test_bytes_are_kept(tmp_path: Path, do_import: Import) -> None:
    """A bare diff is copied byte for byte; so is what is no diff in a folder: the run will say so."""
    diff = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-caf\xe9\r\n+th\xe9\x00\n\\ No newline at end of file\n"
    (tmp_path / "x.patch").write_bytes(diff)
    assert diffs_of(do_import(tmp_path / "x.patch")) == [diff]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "y.patch").write_bytes(b"garbage\xff\n")
    assert diffs_of(do_import(folder, "y.yaml")) == [b"garbage\xff\n"]


def test_an_empty_file_is_left_out_and_told(patches: Path, do_import: Import) -> None:
    """A file with nothing in it becomes no task."""
    (patches / "fix-3.patch").write_bytes(b"")
    assert do_import(patches).skipped == ("fix-3.patch",)


def test_a_folder_without_patches_is_told(tmp_path: Path, do_import: Import) -> None:
    """Nothing to import is a mistake."""
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"no \*\.patch or \*\.diff files"):
        do_import(tmp_path / "none")
