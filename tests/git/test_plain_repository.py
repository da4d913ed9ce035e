"""Reading a plain repository without the library: the same as with it, and nothing of any other."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pygit2
import pytest

from maingate.git import plain_repository
from maingate.git.command import run_git
from maingate.git.plain_repository import loose_commit, plain_git_dir
from support.factories import GitRepo


@pytest.fixture(name="git_repo")
def a_repository_with_a_commit(repo: GitRepo) -> GitRepo:
    """Return a repository with a commit."""
    repo.write({"a.txt": "a\n"})
    repo.git("add", "-A")
    repo.git("commit", "-qm", "base")
    return repo


def git(*words: str, cwd: Path) -> str:
    """Run git and return what it says."""
    return subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def test_a_plain_repository_is_found_as_the_library_finds_it(git_repo: GitRepo) -> None:
    """From its top, from a folder in it, and through a link, it is the one that libgit2 finds."""
    below = git_repo.path / "a" / "b"
    below.mkdir(parents=True)
    link = git_repo.path.parent / "link"
    link.symlink_to(below)
    for start in (git_repo.path, below, link):
        assert plain_git_dir(start) == Path(pygit2.discover_repository(str(start)) or "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.bare", "true"),
        ("core.worktree", "/elsewhere"),
        ("core.repositoryformatversion", "1"),
        ("extensions.worktreeConfig", "true"),
        ("extensions.fromTheFuture", "true"),
    ],
)
def test_a_repository_that_is_configured_to_be_another_is_left_to_the_library(
    git_repo: GitRepo, key: str, value: str
) -> None:
    """A configuration that redirects a repository is left to the library."""
    git("config", key, value, cwd=git_repo.path)
    assert plain_git_dir(git_repo.path) is None


@pytest.mark.parametrize(
    ("more", "is_asked", "is_plain"),
    [
        ("", False, True),
        ('[remote "origin"]\n\turl = https://example.org/x.git\n', False, True),
        ('[remote "bare"]\n\turl = /somewhere/bare.git\n', True, True),
        ("[core] # not bare\n\tbare = false\n", True, True),
        ("[core]\n\tBARE = true\n", True, False),
        ("[core]\n\tba\\\nre = true\n", True, False),
        ("[CORE]\n\tRepositoryFormatVersion = 1\n", True, False),
        ("[core] worktree = /elsewhere\n", True, False),
        ("[Extensions] objectFormat = sha256\n", True, False),
        ('[includeIf "gitdir:/"] path = more\n', True, False),
    ],
)
def test_git_is_asked_unless_the_configuration_is_as_git_made_it(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch, more: str, is_asked: bool, is_plain: bool
) -> None:
    """What is believed without git is what git says; where a word could say otherwise, git is asked."""
    git_dir = git_repo.path / ".git"
    (git_dir / "more").write_text("[core]\n\tbare = true\n")
    config = git_dir / "config"
    config.write_text(config.read_text() + more)
    asked = []

    def ask(*words: Any, **options: Any) -> Any:
        asked.append(words)
        return run_git(*words, **options)

    monkeypatch.setattr(plain_repository, "run_git", ask)
    assert (plain_git_dir(git_repo.path) is not None) == is_plain
    assert bool(asked) == is_asked


def test_a_setting_that_is_included_counts(git_repo: GitRepo) -> None:
    """A configuration may include another file, whose values count too."""
    (git_repo.path / ".git" / "more").write_text("[core]\n\tworktree = /elsewhere\n")
    git("config", "include.path", "more", cwd=git_repo.path)
    assert plain_git_dir(git_repo.path) is None


def test_a_linked_work_tree_is_left_to_the_library(git_repo: GitRepo) -> None:
    """Its `.git` is a file that names the real one."""
    linked = git_repo.path.parent / "linked"
    git("worktree", "add", "-q", "--detach", str(linked), "HEAD", cwd=git_repo.path)
    assert plain_git_dir(linked) is None


def test_a_bare_repository_and_no_repository_are_left_to_the_library(tmp_path: Path) -> None:
    """Neither has a work tree of its own."""
    git("init", "-q", "--bare", "bare.git", cwd=tmp_path)
    assert plain_git_dir(tmp_path / "bare.git") is None
    assert plain_git_dir(tmp_path / "bare.git" / "refs") is None
    assert plain_git_dir(tmp_path / "nothing") is None


def test_a_damaged_repository_is_left_to_the_library(git_repo: GitRepo) -> None:
    """The library says what is wrong with it."""
    (git_repo.path / ".git" / "HEAD").unlink()
    assert plain_git_dir(git_repo.path) is None


def test_a_repository_of_another_user_is_left_to_the_library(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting `safe.directory` decides whether it is trusted."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert plain_git_dir(git_repo.path) is None


def test_a_loose_commit_is_read_as_git_reads_it(git_repo: GitRepo) -> None:
    """The content is the object's; a damaged file, a blob, and one in a pack have none."""
    top, head = git_repo.path, git("rev-parse", "HEAD", cwd=git_repo.path)
    git_dir = top / ".git"
    content = loose_commit(git_dir, head)
    assert content is not None
    assert content.decode().strip() == git("cat-file", "commit", head, cwd=top)
    assert loose_commit(git_dir, git("rev-parse", "HEAD^{tree}", cwd=top)) is None
    assert loose_commit(git_dir, "HEAD") is None
    file = git_dir / "objects" / head[:2] / head[2:]
    whole = file.read_bytes()
    file.chmod(0o600)
    for damaged in (b"", whole[:-9], b"x" + whole, (git_dir / "HEAD").read_bytes()):
        file.write_bytes(damaged)
        assert loose_commit(git_dir, head) is None
    file.write_bytes(whole)
    git("gc", "-q", cwd=top)
    assert loose_commit(git_dir, head) is None
