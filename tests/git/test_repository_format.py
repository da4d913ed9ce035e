"""Formats of repositories: those that cannot be worked with are refused by name before anything starts."""

import subprocess
from pathlib import Path

import pytest

from maingate.errors import UnknownFormatError
from maingate.git.repository import Repository
from support.factories import GitRepo


@pytest.fixture(name="apart")
def _apart(repo: GitRepo) -> GitRepo:
    """Return a repository whose extensions count."""
    repo.commit({"a.txt": "a\n"}, "first")
    repo.git("config", "core.repositoryFormatVersion", "1")
    return repo


def with_extension(repo: GitRepo, name: str, value: str) -> GitRepo:
    """Return a repository that says it has an extension, which this machine's git need not know."""
    config = repo.path / ".git" / "config"
    config.write_text(f"{config.read_text()}[Extensions]\n\t{name} = {value}\n")
    return repo


@pytest.mark.parametrize("bare", [(), ("--bare",)], ids=["with a work tree", "bare"])
def test_a_sha256_repository_is_refused_with_the_way_out(tmp_path: Path, bare: tuple[str, ...]) -> None:
    """A repository with other object ids is refused by name, not by a strange failure later."""
    subprocess.run(["git", "init", "-q", *bare, "--object-format=sha256", str(tmp_path / "r")], check=True)
    with pytest.raises(
        UnknownFormatError, match=r"named by sha256.*SHA-1 .* only.*libgit2.*fast-export.*fast-import"
    ):
        Repository.open(tmp_path / "r")


def test_the_way_out_of_sha256_keeps_the_content(tmp_path: Path) -> None:
    """The commands of the message make a SHA-1 repository with the same commits."""
    old, new = GitRepo(tmp_path / "old"), GitRepo(tmp_path / "new")
    subprocess.run(["git", "init", "-q", "-b", "main", "--object-format=sha256", str(old.path)], check=True)
    old.commit({"a.txt": "a\n"}, "first")
    old.commit({"b/c.txt": "c\n"}, "second")
    subprocess.run(["git", "init", "-q", "--object-format=sha1", str(new.path)], check=True)
    exported = subprocess.run(
        ["git", "fast-export", "--all", "--signed-tags=strip", "--reencode=no"],
        cwd=old.path,
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=new.path, input=exported.stdout, check=True)
    with Repository.open(new.path) as opened:
        target = opened.resolve_target("main")
        assert opened.blob_at(opened.tree_of(target.commit), b"b/c.txt").data == b"c\n"  # type: ignore[union-attr]
    assert new.git("log", "--format=%s", "main") == old.git("log", "--format=%s", "main")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noop", "true"),
        ("preciousObjects", "true"),
        ("worktreeConfig", "true"),
        ("partialClone", "origin"),
        ("relativeWorktrees", "true"),
        ("objectFormat", "sha1"),
    ],
)
def test_an_extension_that_changes_nothing_here_is_worked_with(apart: GitRepo, name: str, value: str) -> None:
    """Objects and refs are read and written as without it."""
    head = apart.head()
    with Repository.open(with_extension(apart, name, value).path) as opened:
        assert opened.resolve_commit(head) == head
        assert opened.read_blob(opened.write_blob(b"new\n")) == b"new\n"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("refStorage", "reftable", r"refs are stored as reftable.*git refs migrate --ref-format=files"),
        ("compatObjectFormat", "sha256", r"second name by sha256.*--unset extensions\.compatObjectFormat"),
        ("fromTheFuture", "much", r"the extension fromthefuture \(much\).*does not know it"),
    ],
)
def test_another_extension_is_refused_with_its_name_and_the_way_out(
    apart: GitRepo, name: str, value: str, said: str
) -> None:
    """Half of the work would be done by programs that know it, and the other half not."""
    with pytest.raises(UnknownFormatError, match=said):
        Repository.open(with_extension(apart, name, value).path)


def test_an_extension_that_git_ignores_is_ignored(repo: GitRepo) -> None:
    """In version 0 of the format an unknown extension says nothing."""
    repo.commit({"a.txt": "a\n"}, "first")
    with Repository.open(with_extension(repo, "fromTheFuture", "true").path) as opened:
        assert opened.root == repo.path


def test_a_partial_clone_of_an_old_git_is_known_as_one(apart: GitRepo) -> None:
    """A git before 2.24 wrote an extension, and no promisor of a remote."""
    with Repository.open(apart.path) as opened:
        assert not opened.is_partial
    with Repository.open(with_extension(apart, "partialClone", "origin").path) as opened:
        assert opened.is_partial
