"""Many merges by one process: the same trees and conflicts as by one for each."""

import pytest

from maingate.git import merge_many as module
from maingate.git.merge import MergeConflict, merge_commits, merge_trees
from maingate.git.merge_many import SmallMerge, merge_branches, merge_many, merge_pairs
from maingate.git.repository import Repository
from support.factories import GitRepo

LINES = "".join(f"line {n}\n" for n in range(1, 30))
Files = dict[str, str | bytes | None]
SIDES: list[Files] = [
    {"a.txt": LINES.replace("line 5\n", "five\n")},
    {"a.txt": LINES.replace("line 5\n", "V\n"), "log": "log\none\n"},
    {"a.txt": LINES.replace("line 10\n", "").replace("line 20\n", "line 20\nline 10\n")},
    {"b.txt": None},
    {"b.txt": "c\n", "dir/c.txt": b"\0binary", "log": "log\ntwo\n"},
    {"dir/c.txt": b"\0other"},
    {"a.txt": None, "moved.txt": LINES},
]


def branch(repo: GitRepo, name: str, files: Files) -> str:
    """Commit files on a new branch and come back to main."""
    repo.git("checkout", "-q", "-b", name, "main")
    made = repo.commit(files, name)
    repo.git("checkout", "-q", "main")
    return made


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    files: Files = {"a.txt": LINES, "b.txt": "b\n", "dir/c.txt": LINES.upper(), "log": "log\n"}
    repo.commit({**files, ".gitattributes": "log merge=union\n"}, "base")
    return Repository.open(repo.path)


@pytest.fixture(name="merges")
def _merges(repo: GitRepo, opened: Repository) -> list[SmallMerge]:
    base = opened.tree_of(repo.head())
    trees = [opened.tree_of(branch(repo, f"side-{n}", files)) for n, files in enumerate(SIDES)]
    return [SmallMerge(base=base, ours=one, theirs=other) for one in trees for other in trees]


def test_merges_at_once_are_those_made_one_by_one(opened: Repository, merges: list[SmallMerge]) -> None:
    """Clean ones and conflicts, each in its place, by the attributes of the tree that is named."""
    alone = [merge_trees(opened, base=each.base, ours=each.ours, theirs=each.theirs) for each in merges]
    assert merge_many(opened, merges, rules_of=merges[0].base) == alone
    assert sum(isinstance(each, MergeConflict) for each in alone) >= 6
    assert merge_many(opened, [], rules_of=merges[0].base) == []


def test_an_older_git_is_asked_for_each_merge(
    opened: Repository, merges: list[SmallMerge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git before 2.39 makes one merge a process; the results are the same."""
    at_once = merge_many(opened, merges[:12], rules_of=merges[0].base)
    monkeypatch.setattr(module, "require_git", lambda: (2, 38))
    assert merge_many(opened, merges[:12], rules_of=merges[0].base) == at_once


def test_the_side_that_merges_into_a_branch_favour_is_taken(
    repo: GitRepo, opened: Repository, merges: list[SmallMerge]
) -> None:
    """As `git merge` goes by `branch.<name>.mergeOptions`."""
    repo.git("config", "branch.main.mergeOptions", "-X theirs")
    clash = [merges[1], merges[2]]
    into = "refs/heads/main"
    alone = [
        merge_trees(opened, base=each.base, ours=each.ours, theirs=each.theirs, into=into) for each in clash
    ]
    assert merge_many(opened, clash, rules_of=clash[0].base, into=into) == alone
    assert not any(isinstance(each, MergeConflict) for each in alone)


def test_branches_merged_at_once_are_as_each_alone(repo: GitRepo, opened: Repository) -> None:
    """Plain ones and those that only git merges: unions, conflicts, moved folders, merges in between."""
    tips = [branch(repo, f"side-{n}", files) for n, files in enumerate(SIDES)]
    tips += [branch(repo, f"more-{n}", {f"dir/new-{n}": "x\n", "log": f"log\n{n}\n"}) for n in range(2)]
    repo.git("checkout", "-q", "-b", "woven", "side-0")
    repo.git("merge", "-q", "--no-ff", "-m", "woven", "more-0")
    tips.append(repo.head())
    repo.git("checkout", "-q", "main")
    ours = repo.commit({"a.txt": LINES.replace("line 5\n", "main\n"), "log": "log\nmain\n"}, "main")
    ours = repo.commit({"dir/c.txt": None, "to/c.txt": LINES.upper()}, "folder")
    alone = [merge_commits(opened, ours=ours, theirs=tip) for tip in tips]
    assert merge_branches(opened, ours=ours, theirs=tips) == alone
    assert {type(each) for each in alone} == {str, MergeConflict}
    assert merge_branches(opened, ours=ours, theirs=tips[:1]) == alone[:1]
    assert merge_branches(opened, ours=ours, theirs=[]) == []


def test_branches_are_merged_by_an_older_git_too(
    repo: GitRepo, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by a process of its own."""
    tips = [branch(repo, f"side-{n}", files) for n, files in enumerate(SIDES[:3])]
    ours = repo.commit({"a.txt": LINES.replace("line 5\n", "main\n")}, "main")
    at_once = merge_branches(opened, ours=ours, theirs=tips)
    monkeypatch.setattr(module, "require_git", lambda: (2, 38))
    assert merge_branches(opened, ours=ours, theirs=tips) == at_once


def test_pairs_of_commits_are_merged_at_the_commits_that_they_share(
    repo: GitRepo, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was begun on the other goes on with its change; each is as alone, by an older git too."""
    below = branch(repo, "below", {"b.txt": "below\n"})
    repo.git("checkout", "-q", "-b", "above", "below")
    above = repo.commit({"b.txt": "above\n", "log": "log\nabove\n"}, "above")
    repo.git("checkout", "-q", "main")
    rival = branch(repo, "rival", {"b.txt": "rival\n", "log": "log\nrival\n"})
    sides = [(below, above), (below, rival), (above, below), (rival, above)]
    rules_of = opened.tree_of(repo.head("main"))
    found = merge_pairs(opened, sides, rules_of=rules_of)
    assert found == [merge_commits(opened, ours=ours, theirs=theirs) for ours, theirs in sides]
    conflict = MergeConflict((b"b.txt",))
    assert found == [opened.tree_of(above), conflict, opened.tree_of(above), conflict]
    monkeypatch.setattr(module, "require_git", lambda: (2, 38))
    assert merge_pairs(opened, sides, rules_of=rules_of) == found
