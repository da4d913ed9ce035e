"""Merges in memory: one side's change on the other side's result."""

from datetime import UTC, datetime, timedelta

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


def test_attributes_and_configuration_take_no_part(repo: GitRepo, opened: Repository) -> None:
    """A merge driver in the person's configuration or attributes never decides, nor runs."""
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("* merge=union\n")
    (repo.path / ".gitattributes").write_text("* merge=mine\n")
    repo.git("config", "merge.mine.driver", "touch ran")
    one, other = branch(repo, "ours", {"b.txt": "1\n"}), branch(repo, "theirs", {"b.txt": "2\n"})
    conflict = merge_commits(opened, ours=one, theirs=other)
    assert isinstance(conflict, MergeConflict)
    assert b"b.txt" in conflict.paths
    assert not (repo.path / "ran").exists()


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
