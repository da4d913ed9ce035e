"""Ranges of git history as series."""

import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from maingate.errors import UsageError
from maingate.importers.series.git_range import EMPTY_TREES, is_range
from maingate.importers.series.series import ImportedPlan, import_series
from support.factories import GitRepo
from support.imported import diffs_of, tasks_of, tree_after

Import = Callable[..., ImportedPlan]

EVERY_KIND: tuple[dict[str, str | bytes | None], ...] = (
    {"a.txt": "one\ntwo\nthree\n" * 10, "dir/b.txt": "b\n", "crlf.txt": "x\r\ny\r\n"},
    {"a.txt": "one\nTWO\nthree\n" + "one\ntwo\nthree\n" * 9, "crlf.txt": "x\r\nz\r\n"},
    {"image.bin": bytes(range(256)) * 20},
    {"image.bin": bytes(reversed(range(256))) * 20},
    {"moved/a.txt": "one\nTWO\nthree\n" + "one\ntwo\nthree\n" * 9, "a.txt": None},
    {"no-newline": "last line"},
    {"no-newline": "last line\nand one\n", "empty": ""},
    {"with space": "1\n", 'with"quote\t\n': "2\n", "ümlaut": "3\n"},
    {"latin1.txt": b"caf\xe9\n"},
    {"latin1.txt": b"th\xe9\n", "dir/b.txt": None},
    {"late-nul.txt": b"text\n" * 2000 + b"\0\n"},
    {"late-nul.txt": b"text\n" * 2000 + b"\0\nmore\n", "image.bin": None},
)


WILFUL = (
    "diff.noprefix=true",
    "diff.mnemonicPrefix=true",
    "color.ui=always",
    "diff.external=false",
    "diff.renames=false",
    "diff.upper.textconv=tr a-z A-Z <",
    "diff.suppressBlankEmpty=true",
    "diff.context=0",
    "log.showSignature=true",
    "diff.submodule=log",
    "core.quotePath=false",
    "format.pretty=fuller",
    "log.date=relative",
    "diff.orderFile=/none",
)


def a_history_of_every_kind(repo: GitRepo) -> None:
    """Arrange commits of every kind of change, among them a mode change, a symlink and a submodule."""
    for number, files in enumerate(EVERY_KIND):
        repo.commit(files, f"change {number}")
    (repo.path / "no-newline").chmod(0o755)
    repo.commit({}, "make it run")
    (repo.path / "link").symlink_to("no-newline")
    repo.commit({}, "add a link")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.head()},sub")
    repo.git("commit", "-q", "-m", "add a submodule")


def test_every_kind_of_change_gives_the_tree_of_the_history(repo: GitRepo, do_import: Import) -> None:
    """Applied one after another, the patches give the very tree of the last commit, from the root on."""
    a_history_of_every_kind(repo)
    made = do_import(f"{EMPTY_TREES[0]}..HEAD")
    assert made.tasks == len(EVERY_KIND) + 3
    assert tree_after(repo, None, diffs_of(made)) == repo.tree()


def test_patches_are_what_git_diff_tree_prints(repo: GitRepo, do_import: Import) -> None:
    """Each patch has the bytes of `git diff-tree`, also where lines or files have NUL bytes."""
    a_history_of_every_kind(repo)
    commits = repo.git("rev-list", "--reverse", "HEAD").splitlines()
    printed = [
        repo.git_bytes("diff-tree", "-p", "--binary", "--full-index", "-M", "-r", f"{commit}^", commit)
        for commit in commits[1:]
    ]
    assert diffs_of(do_import(f"{commits[0]}..HEAD")) == printed


def test_binary_files_and_submodules_are_allowed_by_the_plan_and_told(
    repo: GitRepo, do_import: Import
) -> None:
    """What policies forbid by default is allowed in the plan when the series has it, and only then."""
    a_history_of_every_kind(repo)
    made = do_import("HEAD~14..HEAD")
    assert "binary: true\n  submodules: true\n" in made.path.read_text()
    assert len(made.notes) == 2
    plain = do_import("HEAD~3..HEAD~1", "plain.yaml")
    assert ("policy" in plain.path.read_text(), plain.notes) == (False, ())


def test_message_author_and_date_are_in_the_plan(
    repo: GitRepo, do_import: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of a commit is carried in the plan, whatever its message looks like."""
    repo.commit({"a": "1"})
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Zoë Ünal")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "zoe@example.org")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "1700000000 +0530")
    hostile = "---\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n\nFrom me\r\nwith: colon \\ *"
    message = f"Änder: alles\n\n{hostile}"
    repo.git("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", "nothing")
    repo.write({"a": "2"})
    repo.git("add", "-A")
    repo.git("commit", "-q", "--cleanup=verbatim", "-F", "-", stdin=message.encode())
    made = do_import("HEAD~2..HEAD")
    ((name, task),) = tasks_of(made)
    assert (name, task.title, task.message) == ("0001-ander-alles", "Änder: alles", message)
    assert task.author == "Zoë Ünal <zoe@example.org>"
    assert task.date is not None
    assert str(task.date) == "2023-11-15 03:43:20+05:30"
    assert diffs_of(made)[0].startswith(b"diff --git a/a b/a\n")


def test_empty_commits_are_left_out_and_told(repo: GitRepo, do_import: Import) -> None:
    """A commit that changes nothing becomes no task and is named."""
    repo.commit({"a": "1"})
    empty = repo.commit({}, "nothing to see")
    repo.commit({"a": "2"})
    made = do_import("HEAD~2..HEAD")
    assert (made.tasks, made.skipped) == (1, (f"{empty}: nothing to see",))


def test_a_merge_is_what_it_changed_on_its_branch(repo: GitRepo, do_import: Import) -> None:
    """Only first parents are followed, and a merge counts as its diff to the first parent."""
    base = repo.commit({"a": "1"}, "base")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"side1": "1"}, "side one")
    repo.commit({"side2": "2"}, "side two")
    repo.git("checkout", "-q", "main")
    repo.commit({"a": "2"}, "on main")
    repo.git("merge", "-q", "--no-ff", "-m", "merge side", "side")
    made = do_import(f"{base}..main")
    assert [task.title for _, task in tasks_of(made)] == ["on main", "merge side"]
    assert tree_after(repo, base, diffs_of(made)) == repo.tree()


def test_the_configuration_of_the_user_does_not_change_patches(repo: GitRepo, do_import: Import) -> None:
    """However the repository's configuration wants diffs to look, patches look as `git apply` wants them."""
    repo.commit({"a.x": "1\n\n2\n\n3\n", "b": "1"})
    repo.commit({"a.x": "1\n\n2\n\n4\n", "c": "1", "b": None, ".gitattributes": "*.x diff=upper\n"})
    plain = diffs_of(do_import("HEAD~1..HEAD"))
    for setting in WILFUL:
        key, _, value = setting.partition("=")
        repo.git("config", key, value)
    assert diffs_of(do_import("HEAD~1..HEAD", "again.yaml")) == plain


def test_another_repository_can_be_the_source(repo: GitRepo, tmp_path: Path) -> None:
    """The range is of the repository that is named; the plan records what it was built on."""
    base = repo.commit({"a": "1"})
    last = repo.commit({"a": "2"})
    made = import_series("HEAD~1..main", out=tmp_path / "elsewhere.yaml", repo=repo.path)
    assert made.path.read_text().startswith(
        f"# Imported from the commits HEAD~1..main, first parents only.\n# base: {base}\n# last: {last}\n"
    )


@pytest.mark.parametrize("source", ["v1..v2", "..main", "HEAD~3..", "a/b..c"])
def test_two_dots_make_a_range(source: str) -> None:
    """A range has two dots; a side left out is HEAD."""
    assert is_range(source)


@pytest.mark.parametrize("source", ["main", "a...b", "plan.patch"])
def test_other_words_are_no_range(source: str) -> None:
    """Three dots mean something else, and a name alone is no range."""
    assert not is_range(source)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere..HEAD", "'nowhere' is not a commit of the repository"),
        ("HEAD..--all", "'--all' is not a commit"),
        ("HEAD..HEAD", "no diff found in HEAD..HEAD"),
        ("nothing-like-that", "is no file, folder or git range"),
    ],
)
def test_a_range_that_leads_nowhere_is_told(repo: GitRepo, do_import: Import, source: str, said: str) -> None:
    """What cannot be found is named, and nothing is written."""
    repo.commit({"a": "1"})
    with pytest.raises(UsageError, match=said):
        do_import(source)


def test_a_folder_that_is_no_repository_is_told(tmp_path: Path) -> None:
    """Git's own words say that there is no repository."""
    with pytest.raises(UsageError, match="is not in a git repository"):
        import_series("a..b", out=tmp_path / "plan.yaml", repo=tmp_path)
    assert list(tmp_path.glob("*plan*")) == []


def test_two_hundred_commits_take_one_process(repo: GitRepo, do_import: Import) -> None:
    """A long range is read in one go, also when it is longer than what is read at once."""
    stream = b"".join(
        b"commit refs/heads/long\nauthor A <a@b> %d +0000\ncommitter A <a@b> %d +0000\n"
        b"data 4\nc%03d\nM 100644 inline f\ndata %d\n%s\n" % (number, number, number, len(text), text)
        for number, text in ((n, b"line %d\n" % n * 2000) for n in range(1, 202))
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, input=stream, check=True, env=os.environ)
    made = do_import("long~200..long")
    assert made.tasks == 200
    assert tree_after(repo, "long~200", diffs_of(made)) == repo.tree("long")


@pytest.mark.parametrize(
    ("date", "iso"),
    [("0 +0000", "1970-01-01T00:00:00+00:00"), ("1700000000 -0330", "2023-11-14T18:43:20-03:30"),
     ("1700000000 +9959", "1700000000 +9959"), ("253402300800 +0000", "253402300800 +0000"),
     ("1700000000 +051800", "1700000000 +051800"), ("-5 +0000", "-5 +0000")],
)  # fmt: skip
def test_strange_dates_are_kept(repo: GitRepo, do_import: Import, date: str, iso: str) -> None:
    """A date that no calendar has stands in the plan as git writes it."""
    repo.commit({"a": "1"})
    tree, parent = repo.tree(), repo.head()
    raw = f"tree {tree}\nparent {parent}\nauthor A <a@b> {date}\ncommitter A <a@b> {date}\n\nx\n"
    repo.commit({"a": "2"})
    raw = raw.replace(tree, repo.tree())
    commit = repo.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw.encode())
    ((_, task),) = tasks_of(do_import(f"{parent}..{commit}"))
    assert (task.date.isoformat() if isinstance(task.date, datetime) else task.date) == iso


def test_messages_in_other_encodings_and_empty_names_are_read(repo: GitRepo, do_import: Import) -> None:
    """Git translates messages to UTF-8; an author without a name is called by the address."""
    parent = repo.commit({"a": "1"})
    repo.commit({"a": "2"})
    raw = (
        b"tree %s\nparent %s\nauthor  <a@b> 1 +0000\ncommitter C <c@d> 1 +0000\n"
        b"encoding ISO-8859-1\n\ncaf\xe9\n" % (repo.tree().encode(), parent.encode())
    )
    commit = repo.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw)
    ((_, task),) = tasks_of(do_import(f"{parent}..{commit}"))
    assert (task.title, task.author) == ("café", "a@b <a@b>")


def test_a_branch_wins_over_a_tag_of_its_name_and_that_is_told(repo: GitRepo, do_import: Import) -> None:
    """Git prefers the tag; a range is made of branches. The full name is never ambiguous."""
    old = repo.commit({"a": "0"}, "old")
    repo.commit({"a": "1"}, "base")
    repo.git("branch", "feature")
    repo.git("tag", "-m", "x", "main", old)
    repo.git("checkout", "-q", "feature")
    repo.commit({"a": "2"}, "work")
    made = do_import("main..feature")
    assert [task.title for _, task in tasks_of(made)] == ["work"]
    assert made.notes[0] == "main is the branch; tags/main is another commit (write refs/tags/main for that)"
    made = do_import("main~1..feature~1", out="b.yaml")
    assert [task.title for _, task in tasks_of(made)] == ["base"]
    made = do_import("refs/tags/main..feature", out="c.yaml")
    assert ([task.title for _, task in tasks_of(made)], made.notes) == (["base", "work"], ())
    repo.git("tag", "-f", "main", "refs/heads/main")
    assert do_import("main..feature", out="d.yaml").notes == ()
