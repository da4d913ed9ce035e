"""Keys of finished work: one key for each way to name the same work."""

from pathlib import Path
from typing import Any

import pytest

from maingate.git.repository import Repository, Target
from maingate.importers.finished_work.items import WorkItem
from maingate.importers.finished_work.plan import LandOptions, plan_of
from maingate.importers.finished_work.sources import Source, SourceFinder
from maingate.importers.finished_work.work_keys import target_here
from maingate.importers.series_entry import Entry
from maingate.plan.readers.reader import read_document
from maingate.settings import PolicyLayer
from support.factories import GitRepo


@pytest.fixture
def branched(repo: GitRepo) -> GitRepo:
    """Give a repository with a branch `agent` of two commits, which is checked out."""
    repo.commit({"a.txt": "a\n"})
    repo.git("switch", "-q", "-c", "agent")
    repo.commit({"b.txt": "b\n"})
    repo.commit({"c.txt": "c\n"})
    return repo


def keys(folder: Path, *arguments: str) -> list[str | None]:
    """Return the key of each argument, named in a folder."""
    with Repository.open(folder) as repository:
        finder = SourceFinder(repository)
        target = finder.target("main", arguments)
        return [finder.sources([each], target)[0].key for each in arguments]


@pytest.mark.parametrize(
    "argument",
    ["agent", "refs/heads/agent", "ag*", "main..agent", "main..HEAD", "HEAD~2..", "main..refs/heads/agent"],
)
def test_a_branch_and_a_range_with_all_of_it_are_the_same_work(
    branched: GitRepo, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    """The start of the range is in the target's history."""
    monkeypatch.chdir(branched.path)
    assert keys(branched.path, argument) == ["refs/heads/agent"]


def test_a_part_of_a_branch_is_other_work(branched: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that leaves commits out does not stand for the branch, nor one of no branch."""
    monkeypatch.chdir(branched.path)
    branched.git("tag", "v1")
    assert keys(branched.path, "agent~1..agent", "main..agent~1", "main..v1", "..agent") == [
        "agent~1..refs/heads/agent",
        "refs/heads/agent~1",
        "main..v1",
        "..refs/heads/agent",
    ]


def test_a_linked_work_tree_has_the_keys_of_its_own_head(
    branched: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch has its key everywhere; commits on no branch are those of their work tree."""
    linked, detached = tmp_path / "linked", tmp_path / "detached"
    branched.git("worktree", "add", "-q", "-b", "other", str(linked), "agent")
    branched.git("worktree", "add", "-q", "--detach", str(detached), "agent")
    monkeypatch.chdir(linked)
    assert keys(linked, "other", "main..HEAD") == ["refs/heads/other"] * 2
    monkeypatch.chdir(detached)
    (key,) = keys(detached, "main..HEAD")
    assert key == f"main..HEAD in {branched.path}/.git/worktrees/detached"


def test_a_file_is_known_by_its_place(branched: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is named; a diff on standard input has no place."""
    branched.write({"fix.patch": "x\n"})
    monkeypatch.chdir(branched.path)
    place = str(branched.path / "fix.patch")
    assert keys(branched.path, "fix.patch", f"../{branched.path.name}/fix.patch", "-") == [place, place, None]


def test_the_target_of_another_repository_is_known_by_what_was_fetched(branched: GitRepo) -> None:
    """Its newest commit may not be here."""
    branched.git("update-ref", "refs/remotes/origin/main", "agent~1")
    away = Target(ref="refs/heads/main", commit="1" * 40)
    with Repository.open(branched.path) as repository:
        assert target_here(repository, away) == [branched.git("rev-parse", "agent~1")]
        here = Target(ref="refs/heads/main", commit=branched.git("rev-parse", "main"))
        assert target_here(repository, here) == [here.commit]


@pytest.mark.parametrize(
    ("source", "options", "wanted"),
    [
        (Source(argument="a", key="refs/heads/a"), {}, "refs/heads/a"),
        (Source(argument="a", key="refs/heads/a"), {"sender": "ada"}, "ada: refs/heads/a"),
        (Source(argument="-"), {}, None),
        (Source(argument="-"), {"title": "Fix it"}, "- Fix it"),
        (Source(argument="-"), {"title": "Fix it", "sender": "ada"}, "ada: - Fix it"),
        (Source(argument="p.patch"), {"title": "Fix it"}, None),
    ],
)
def test_the_plan_names_the_work(source: Source, options: dict[str, Any], wanted: str | None) -> None:
    """A diff without a place is known by its title, and sent work is that of its sender."""
    diff = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    item = WorkItem(source=source, title="work", entries=(Entry(origin="x", diff=diff, message="m"),))
    made = plan_of([item], "main", LandOptions(**options), PolicyLayer())
    (stream,) = read_document(made.raw, file="plan.json").data["workstreams"].values()
    assert stream.get("source") == wanted
