"""Objects of a repository that several users write to have the permissions that git gives them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.git.merge import MergeConflict, merge_commits
from maingate.git.repository import Repository
from maingate.git.shared_objects import shared_permissions
from support.factories import GitRepo
from support.landing import land


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Let no new file have more than its owner needs."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def objects_of(repo: GitRepo) -> dict[Path, int]:
    """Return the loose objects and their folders, with their permissions."""
    found = (repo.path / ".git/objects").glob("[0-9a-f][0-9a-f]/**/*")
    paths = {path for each in found for path in (each, each.parent)}
    return {path: stat.S_IMODE(path.stat().st_mode) for path in paths}


@pytest.mark.parametrize("value", ["group", "true", "all", "0640", "umask", "false"])
def test_they_are_those_that_git_gives(repo: GitRepo, value: str) -> None:
    """Whatever the umask, and whether the library or git has written them."""
    repo.commit({"a": "1\n2\n3\n4\n5\n", "f": "f\n"}, "base")
    repo.git("branch", "other")
    ours = repo.commit({"a": "one\n2\n3\n4\n5\n"})
    repo.git("switch", "-q", "other")
    theirs = repo.commit({"a": "1\n2\n3\n4\nfive\n"})
    repo.git("switch", "-q", "main")
    diff = repo.diff_of({"f": "landed\n"})
    repo.git("config", "core.sharedRepository", value)
    before = objects_of(repo)
    with Repository.open(repo.path) as opened:
        assert not isinstance(merge_commits(opened, ours=ours, theirs=theirs), MergeConflict)
    assert land(repo, {"p": diff}).state == "succeeded"
    made = {path: mode for path, mode in objects_of(repo).items() if path not in before}
    for number in range(200):
        repo.git("hash-object", "-w", "--stdin", stdin=b"%d" % number)
    by_git = {path: mode for path, mode in objects_of(repo).items() if path not in {*before, *made}}
    assert {path.is_dir() for path in made} == {path.is_dir() for path in by_git} == {True, False}
    for is_folder in (True, False):
        ways = [
            {mode for path, mode in each.items() if path.is_dir() is is_folder} for each in (made, by_git)
        ]
        assert ways[0] == ways[1]


@pytest.mark.parametrize(
    ("value", "permissions"),
    [
        ("", 0),
        ("0", 0),
        ("1", 0o660),
        ("2", 0o664),
        ("yes", 0o660),
        ("0660", 0o660),
        ("0664", 0o664),
        ("x", 0),
    ],
)
def test_a_setting_is_a_word_or_a_mode(value: str, permissions: int) -> None:
    """As for git."""
    assert shared_permissions(value) == permissions
