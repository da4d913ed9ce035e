"""The tags and remotes that a worktree shows."""

import subprocess
from pathlib import Path

import pytest

from maingate.git.remote_view import RemoteView, read_remote_view, read_view_of
from support.factories import GitRepo

NOWHERE = "/dev/null/maingate-lands-what-passes-so-nothing-is-pushed-from-here"


def shown(view: RemoteView, folder: Path) -> dict[str, list[str]]:
    """Read the settings of a view as git reads them."""
    (folder / "config").write_text(view.config)
    listed = subprocess.run(
        ["git", "config", "-z", "--list", "--file", str(folder / "config")], capture_output=True, check=True
    ).stdout.decode()
    found: dict[str, list[str]] = {}
    for entry in listed.split("\0")[:-1]:
        name, _, value = entry.partition("\n")
        found.setdefault(name, []).append(value)
    return found


def test_a_repository_without_remotes_is_the_origin(repo: GitRepo, tmp_path: Path) -> None:
    """Its branches are those of origin, as in a clone; its tags are tags; other refs are not there."""
    first = repo.commit({"a": "a\n"})
    repo.git("branch", "topic/x")
    repo.git("tag", "v1")
    repo.git("update-ref", "refs/maingate/private", first)
    view = read_remote_view(repo.path / ".git")
    assert view.refs == "".join(
        f"{first} refs/{name}\n" for name in ("remotes/origin/main", "remotes/origin/topic/x", "tags/v1")
    )
    assert shown(view, tmp_path) == {
        "remote.origin.url": [str(repo.path)],
        "remote.origin.fetch": ["+refs/heads/*:refs/remotes/origin/*"],
        "remote.origin.pushurl": [NOWHERE],
    }


def test_remotes_are_those_of_the_repository(repo: GitRepo, tmp_path: Path) -> None:
    """Their branches are where they were fetched; no password is told, nothing can be pushed."""
    first = repo.commit({"a": "a\n"})
    repo.git("remote", "add", "up.stream", "https://me:secret@example.org/x.git")
    repo.git("config", "remote.up.stream.pushurl", "https://push.example.org")
    repo.git("config", "--add", "remote.up.stream.fetch", "+refs/notes/*:refs/notes/*")
    repo.git("update-ref", "refs/remotes/up/main", first)
    view = read_remote_view(repo.path / ".git")
    assert view.refs == f"{first} refs/remotes/up/main\n"
    assert shown(view, tmp_path) == {
        "remote.up.stream.url": ["https://me@example.org/x.git"],
        "remote.up.stream.fetch": ["+refs/heads/*:refs/remotes/up.stream/*", "+refs/notes/*:refs/notes/*"],
        "remote.up.stream.pushurl": [NOWHERE],
    }


@pytest.mark.parametrize("change", [("tag", "v1"), ("branch", "other"), ("remote", "add", "x", "y")])
def test_every_change_of_them_is_another_view(repo: GitRepo, change: tuple[str, ...]) -> None:
    """Verdicts of gates that look at the commit go by the view."""
    repo.commit({"a": "a\n"})
    before = read_remote_view(repo.path / ".git")
    assert before == read_remote_view(repo.path / ".git")
    repo.git(*change)
    assert before.to_bytes() != read_remote_view(repo.path / ".git").to_bytes()


def test_a_view_is_stored_as_a_blob(repo: GitRepo) -> None:
    """Names that are no UTF-8 text come back as they are; without a blob there is nothing to see."""
    view = RemoteView(refs="1234 refs/tags/caf\udce9\n", config='[remote "x"]\n')
    blob = repo.git("hash-object", "-w", "--stdin", stdin=view.to_bytes())
    assert read_view_of(repo.path / ".git", blob) == view
    assert read_view_of(repo.path / ".git", "") == RemoteView()
