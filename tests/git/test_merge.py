"""Merges in memory: one side's change on the other side's result."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maingate.errors import RepositoryError
from maingate.git.command import require_git
from maingate.git.merge import (
    MergeConflict,
    RebaseConflict,
    Rebased,
    merge_commits,
    merge_trees,
    pick,
    rebase,
)
from maingate.git.repository import Repository
from maingate.git.trees import EMPTY_TREE
from support.factories import GitRepo

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
LINES = "".join(f"line {n}\n" for n in range(1, 30))
Files = dict[str, str | bytes | None]


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": LINES, "b.txt": "b\n", "dir/c.txt": LINES.upper()}, "base")
    return Repository.open(repo.path)


def branch(repo: GitRepo, name: str, files: Files, *, base: str = "main") -> str:
    """Commit files on a new branch and come back to main."""
    repo.git("checkout", "-q", "-b", name, base)
    made = repo.commit(files, name)
    repo.git("checkout", "-q", "main")
    return made


def merged_by_git(repo: GitRepo, ours: str, theirs: str) -> str:
    """Return the tree that the git command makes of a merge."""
    repo.git("checkout", "-q", "--detach", ours)
    repo.git("merge", "-q", "--no-ff", "-m", "merge", theirs)
    tree = repo.tree()
    repo.git("checkout", "-q", "main")
    return tree


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"a.txt": "new\n"}, {"b.txt": "new\n"}),
        ({"a.txt": "first\n" + LINES}, {"a.txt": LINES + "last\n"}),
        ({"a.txt": None, "moved/a.txt": LINES}, {"a.txt": LINES + "last\n"}),
        ({"new": "same\n", "b.txt": None}, {"new": "same\n", "a.txt": "x\n"}),
        ({"b.txt": None, "b.txt/now/dir": "x\n"}, {"a.txt": "x\n"}),
        ({"b.txt": None}, {"b.txt": None, "a.txt": LINES + "x\n"}),
    ],
    ids=["apart", "one-file", "renamed", "same-addition", "file-to-directory", "same-deletion"],
)
def test_merges_are_those_of_git(repo: GitRepo, opened: Repository, ours: Files, theirs: Files) -> None:
    """Compatible changes give the tree of `git merge`, in both directions."""
    one, other = branch(repo, "ours", ours), branch(repo, "theirs", theirs)
    expected = merged_by_git(repo, one, other)
    assert merge_commits(opened, ours=one, theirs=other) == expected
    assert merge_commits(opened, ours=other, theirs=one) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "paths"),
    [
        ({"b.txt": "ours\n"}, {"b.txt": "theirs\n"}, (b"b.txt",)),
        ({"b.txt": None}, {"b.txt": "theirs\n"}, (b"b.txt",)),
        ({"new": "ours\n"}, {"new/file": "theirs\n"}, (b"new/file",)),
        ({"new": "ours\n"}, {"new": "theirs\n"}, (b"new",)),
    ],
    ids=["content", "deleted", "file-against-directory", "both-new"],
)
def test_what_does_not_go_together_is_a_conflict(
    repo: GitRepo, opened: Repository, ours: Files, theirs: Files, paths: tuple[bytes, ...]
) -> None:
    """A conflict is an outcome which names the paths; nothing is chosen for anybody."""
    one, other = branch(repo, "ours", ours), branch(repo, "theirs", theirs)
    assert merge_commits(opened, ours=one, theirs=other) == MergeConflict(paths)


@pytest.mark.skipif(require_git() < (2, 38), reason="this git merges in a working tree only")
def test_git_has_the_last_word_on_a_conflict(repo: GitRepo, opened: Repository) -> None:
    """A conflict of the library that git does not see is none: found in a real history."""
    blank = "\n"
    texts = {
        "base": blank * 10 + "b\n" + blank * 2 + "c\n" + blank * 48,
        "ours": blank * 13 + "c\n",
        "theirs": blank * 10 + "b\n" + blank + "c\n" + blank * 48,
    }
    trees = {
        side: repo.git("mktree", stdin=f"100644 blob {opened.write_blob(text.encode())}\tf\n".encode())
        for side, text in texts.items()
    }
    merged = merge_trees(opened, **trees)
    assert isinstance(merged, str)
    blob = opened.blob_at(merged, b"f")
    assert blob is not None
    assert blob.data.count(b"b\n") == 0


def test_one_sided_changes_are_taken_as_they_are(repo: GitRepo, opened: Repository) -> None:
    """When only one side changed anything its tree is the result."""
    base, new = repo.tree(), opened.tree_of(branch(repo, "x", {"b.txt": "x\n"}))
    for ours, theirs in ((base, new), (new, base), (new, new)):
        assert merge_trees(opened, base=base, ours=ours, theirs=theirs) == new
    assert merge_trees(opened, base=None, ours=EMPTY_TREE, theirs=new) == new


KEEP_BOTH = "cat %B >> %A; echo %P >> %A; pwd >> %A; git rev-parse --absolute-git-dir >> %A; exit 0"
"""A driver that shows its place, too."""


def both_sides(repo: GitRepo, files: Files, ours: Files, theirs: Files) -> tuple[str, str]:
    """Commit a base and a change of it on each of two branches."""
    repo.commit(files, "base of both")
    return branch(repo, "ours", ours), branch(repo, "theirs", theirs)


@pytest.mark.parametrize(
    ("attributes", "settings"),
    [
        ("b.txt merge=union", {}),
        ("*.txt merge=mine", {"merge.mine.driver": "true"}),
        ("b.txt merge=mine", {"merge.mine.driver": KEEP_BOTH, "merge.mine.name": "mine"}),
        ("", {"merge.default": "union"}),
    ],
    ids=["union", "ours", "custom", "default"],
)
@pytest.mark.parametrize("is_deep", [False, True])
def test_drivers_merge_as_for_git(
    repo: GitRepo, opened: Repository, attributes: str, settings: dict[str, str], is_deep: bool
) -> None:
    """Attributes count as the side has them that is merged into, at any depth; the driver is git's."""
    folder = "dir/deep/" if is_deep else ""
    for name, value in settings.items():
        repo.git("config", name, value)
    base: Files = {f"{folder}.gitattributes": f"{attributes}\n", f"{folder}b.txt": "one\ntwo\n"}
    ours, theirs = both_sides(
        repo, base, {f"{folder}b.txt": "one\nours\ntwo\n"}, {f"{folder}b.txt": "one\ntheirs\ntwo\n"}
    )
    expected = merged_by_git(repo, ours, theirs)
    assert merge_commits(opened, ours=ours, theirs=theirs) == expected
    assert pick(opened, theirs, onto=ours) == expected


@pytest.mark.parametrize("where", ["info", "user"])
def test_attributes_that_no_commit_has_count_as_for_git(
    repo: GitRepo, opened: Repository, hermetic_environment: Path, where: str
) -> None:
    """The repository's own file, and the user's."""
    files = {
        "info": repo.path / ".git/info/attributes",
        "user": hermetic_environment / ".config/git/attributes",
    }
    files[where].parent.mkdir(parents=True, exist_ok=True)
    files[where].write_text("b.txt merge=union\n")
    ours, theirs = both_sides(repo, {}, {"b.txt": "1\n"}, {"b.txt": "2\n"})
    expected = merged_by_git(repo, ours, theirs)
    assert merge_commits(opened, ours=ours, theirs=theirs) == expected


def test_a_driver_of_a_commit_is_the_persons_program(repo: GitRepo, opened: Repository) -> None:
    """A script that a branch changes is not the one that runs, and rules count as they were at first."""
    (repo.path / "merge.sh").write_text("#!/bin/sh\necho person > $1\n")
    (repo.path / "merge.sh").chmod(0o755)
    repo.git("config", "merge.mine.driver", "./merge.sh %A")
    base: Files = {".gitattributes": "b.txt merge=mine\n"}
    ours, theirs = both_sides(
        repo, base, {"b.txt": "1\n"}, {"b.txt": "2\n", "merge.sh": "#!/bin/sh\necho tool > $1\n"}
    )
    (repo.path / "merge.sh").write_text("#!/bin/sh\necho person > $1\n")
    opened.read_merge_rules()
    repo.git("config", "merge.mine.driver", "echo later > %A")

    merged = merge_commits(opened, ours=ours, theirs=theirs)

    assert isinstance(merged, str)
    blob = opened.blob_at(merged, b"b.txt")
    assert blob is not None
    assert blob.data == b"person\n"


def test_a_driver_that_fails_is_a_conflict(repo: GitRepo, opened: Repository) -> None:
    """As for git."""
    repo.git("config", "merge.mine.driver", "false")
    base: Files = {".gitattributes": "b.txt merge=mine\n"}
    ours, theirs = both_sides(repo, base, {"b.txt": "1\n"}, {"b.txt": "2\n"})
    assert merge_commits(opened, ours=ours, theirs=theirs) == MergeConflict((b"b.txt",))


OPTIONS = [
    "-X ours",
    "--no-ff -Xtheirs",
    "--strategy-option=theirs",
    "--strategy-option ours -X renormalize",
    "-s recursive -X theirs",
    "-X theirs -X ignore-space-change",
    "-X theirs -X no-renames",
    "-X theirs -X find-renames=99%",
    "-X theirs -X diff-algorithm=patience",
]


@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_the_branch_that_is_merged_into_count(
    repo: GitRepo, opened: Repository, options: str
) -> None:
    """A side is favoured where both changed the same, binary files too; other branches have none."""
    repo.git("config", "branch.main.mergeOptions", options)
    base: Files = {
        "b.bin": b"\0base",
        "b.txt": "one\ntwo\nthree\n" + LINES,
        "old.txt": LINES,
        "log": "1\n",
        ".gitattributes": "log merge=union\n",
        "dir/.gitattributes": "log merge=union\n",
        "dir/log": "1\n",
    }
    ours, theirs = both_sides(
        repo,
        base,
        {
            "b.bin": b"\0ours",
            "b.txt": "one\nours\nthree\n" + LINES,
            "log": "1\nours\n",
            "old.txt": None,
            "new.txt": f"{LINES}more\n",
            "dir/log": "1\nours\n",
        },
        {
            "b.bin": b"\0theirs",
            "b.txt": "one\ntheirs\nthree\n" + LINES + "last\n",
            "log": "1\ntheirs\n",
            "dir/log": "1\ntheirs\n",
            "b2.txt": "x\n",
        },
    )
    repo.git("checkout", "-q", "-B", "main", ours)
    repo.git("merge", "-q", "-m", "merge", theirs)
    assert merge_commits(opened, ours=ours, theirs=theirs, into="refs/heads/main") == repo.tree()
    assert isinstance(merge_commits(opened, ours=ours, theirs=theirs, into="refs/heads/x"), MergeConflict)


@pytest.mark.parametrize(
    "options", ["-X no-renames", "-X patience", "-s recursive", "-X ignore-space-change"]
)
def test_conflicts_under_options_of_the_branch_are_those_of_git(
    repo: GitRepo, opened: Repository, options: str
) -> None:
    """The same paths, where one side renamed a file and both changed the same line of another."""
    repo.git("config", "branch.main.mergeOptions", options)
    renamed: Files = {"old.txt": None, "new.txt": LINES, "b.txt": "ours\n"}
    edited: Files = {"old.txt": f"{LINES}more\n", "b.txt": "theirs\n"}
    ours, theirs = both_sides(repo, {"old.txt": LINES, "b.txt": "b\n"}, renamed, edited)
    repo.git("checkout", "-q", "-B", "main", ours)
    with pytest.raises(AssertionError, match="git merge"):
        repo.git("merge", "-q", "-m", "merge", theirs)
    listed = repo.git("diff", "--name-only", "--diff-filter=U").split()
    got = merge_commits(opened, ours=ours, theirs=theirs, into="refs/heads/main")
    assert isinstance(got, MergeConflict)
    assert [os.fsdecode(path) for path in got.paths] == sorted(listed)


def test_line_ends_are_made_alike_by_the_settings_of_conversions(repo: GitRepo, opened: Repository) -> None:
    """With `-X renormalize` a side in CRLF goes with one in LF, as `core.autocrlf` says."""
    repo.git("config", "branch.main.mergeOptions", "-X renormalize")
    base: Files = {"b.txt": "one\r\ntwo\r\n" + LINES}
    ours, theirs = both_sides(repo, base, {"b.txt": "one\ntwo\n" + LINES}, {"b.txt": "one\r\n2\r\n" + LINES})
    repo.git("config", "core.autocrlf", "input")
    repo.git("checkout", "-q", "-f", "-B", "main", ours)
    repo.git("merge", "-q", "-m", "merge", theirs)
    opened.read_merge_rules()
    assert merge_commits(opened, ours=ours, theirs=theirs, into="refs/heads/main") == repo.tree()


@pytest.mark.parametrize("setting", ["true", "false", "conflict"])
def test_a_folder_that_moved_is_as_for_git(repo: GitRepo, opened: Repository, setting: str) -> None:
    """A file that is added to it follows it where git would have it follow, though no path is in both."""
    repo.git("config", "merge.directoryRenames", setting)
    moved: Files = {"old/a": None, "old/b": None, "new/a": LINES, "new/b": LINES + "b\n"}
    ours, theirs = both_sides(repo, {"old/a": LINES, "old/b": LINES + "b\n"}, moved, {"old/c": "c\n"})
    for one, other in ((ours, theirs), (theirs, ours)):
        got = merge_commits(opened, ours=one, theirs=other)
        if setting == "conflict":
            assert isinstance(got, MergeConflict)
        else:
            assert got == merged_by_git(repo, one, other)


def test_several_best_ancestors_are_merged_as_for_git(repo: GitRepo, opened: Repository) -> None:
    """Two branches that were merged into each other: git merges their bases first."""
    ours, theirs = both_sides(repo, {"b.txt": LINES}, {"b.txt": "1\n" + LINES}, {"b.txt": LINES + "2\n"})
    tree = merged_by_git(repo, ours, theirs)
    crossed = [
        repo.git("commit-tree", "-m", "crossed", "-p", first, "-p", second, tree)
        for first, second in ((ours, theirs), (theirs, ours))
    ]
    tips = []
    for tip, line in zip(crossed, ("line 5\n", "line 15\n"), strict=True):
        repo.git("checkout", "-q", "--detach", tip)
        text = (repo.path / "b.txt").read_text().replace(line, "changed " + line)
        tips.append(repo.commit({"b.txt": text}))
    one, other = tips
    assert merge_commits(opened, ours=one, theirs=other) == merged_by_git(repo, one, other)


def test_attributes_of_odd_folders_are_not_written(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """A tree that no checkout could have leads nowhere outside."""
    blob = opened.write_blob(b"* merge=union\n")
    texts = [opened.write_blob(text) for text in (b"0\n", b"1\n", b"2\n")]
    inner = [
        repo.git("mktree", stdin=f"100644 blob {blob}\t.gitattributes\n100644 blob {text}\tf\n".encode())
        for text in texts
    ]
    base, ours, theirs = (opened.write_tree(b"40000 ..\0" + bytes.fromhex(tree)) for tree in inner)
    before = sorted(tmp_path.iterdir())
    assert isinstance(merge_trees(opened, base=base, ours=ours, theirs=theirs), MergeConflict)
    assert sorted(tmp_path.iterdir()) == before


def test_conflicting_names_are_bytes(repo: GitRepo, opened: Repository) -> None:
    """The conflict names its path as it is, in whatever encoding."""
    blobs = {name: opened.write_blob(name.encode()) for name in ("base", "ours", "theirs")}
    trees = {
        name: repo.git("mktree", "-z", stdin=b"100644 blob %s\tcaf\xe9\0" % blob.encode())
        for name, blob in blobs.items()
    }
    assert merge_trees(opened, **trees) == MergeConflict((b"caf\xe9",))


def test_unrelated_histories_are_refused(repo: GitRepo, opened: Repository) -> None:
    """Without a common ancestor there is nothing to merge on."""
    alone = opened.commit(tree=EMPTY_TREE, parents=[], message="alone", date=WHEN)
    with pytest.raises(RepositoryError, match="no common ancestor"):
        merge_commits(opened, ours=repo.head(), theirs=alone)


def test_a_commits_change_is_picked_onto_another(repo: GitRepo, opened: Repository) -> None:
    """Only what the commit itself changed comes along."""
    branch(repo, "one", {"b.txt": "1\n"})
    second = branch(repo, "two", {"dir/c.txt": "2\n"}, base="one")
    picked = pick(opened, second, onto=repo.head())
    assert isinstance(picked, str)
    assert set(opened.changed_paths(repo.tree(), picked)) == {b"dir/c.txt"}


def test_rebase_keeps_authors_and_messages(repo: GitRepo, opened: Repository) -> None:
    """Commits come again on the new base in order, as their authors' work; what is there already goes."""
    branch(repo, "one", {"a.txt": "first\n" + LINES})
    branch(repo, "two", {"b.txt": "same\n"}, base="one")
    top = branch(repo, "three", {"dir/c.txt": "3\n"}, base="two")
    commits = opened.commits_between(repo.head(), top)
    onto = repo.commit({"b.txt": "same\n"}, "on main meanwhile")
    done = rebase(opened, commits, onto=onto, date=WHEN)
    assert isinstance(done, Rebased)
    assert [old for old, _ in done.commits] == commits
    assert done.commits[1][1] == done.commits[0][1]
    assert done.head == done.commits[-1][1]
    assert repo.git("log", "--format=%s|%an|%cn", f"{onto}..{done.head}").splitlines() == [
        "three|Ada Example|Maingate",
        "one|Ada Example|Maingate",
    ]
    assert rebase(opened, commits, onto=onto, date=WHEN) == done
    later = rebase(opened, commits, onto=onto, date=WHEN + timedelta(seconds=1))
    assert isinstance(later, Rebased)
    assert later.head != done.head


def test_rebase_leaves_what_is_in_place(repo: GitRepo, opened: Repository) -> None:
    """Commits that are on the new base already stay the commits they are."""
    top = branch(repo, "one", {"a.txt": "1\n"})
    assert rebase(opened, [top], onto=repo.head(), date=WHEN) == Rebased(head=top, commits=((top, top),))


def test_rebase_names_the_commit_that_conflicts(repo: GitRepo, opened: Repository) -> None:
    """The first commit that does not fit ends it, and is named with its paths."""
    branch(repo, "one", {"a.txt": "1\n"})
    top = branch(repo, "two", {"b.txt": "theirs\n"}, base="one")
    commits = opened.commits_between(repo.head(), top)
    onto = repo.commit({"b.txt": "ours\n"})
    assert rebase(opened, commits, onto=onto, date=WHEN) == RebaseConflict(commit=top, paths=(b"b.txt",))
