"""The commits of a tool's clone, read as files."""

import os
from pathlib import Path

from maingate.uet.worktree.clone_tips import CloneTips, read_tips
from support.factories import GitRepo


def tips(repo: GitRepo) -> CloneTips:
    """Read the tips of a repository."""
    return read_tips(os.fsencode(repo.path / ".git"))


def test_branches_stashes_and_worktrees_are_found(repo: GitRepo, tmp_path: Path) -> None:
    """Packed or loose; a loose ref counts before a packed one of the same name."""
    first = repo.commit({"a": "a\n"})
    repo.git("branch", "packed/one")
    repo.git("tag", "v1")
    repo.git("pack-refs", "--all")
    second = repo.commit({"a": "b\n"})
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"), first)
    (repo.path / "a").write_text("stashed\n")
    repo.git("stash")

    found = tips(repo)

    assert found == CloneTips(
        head=second,
        branches={"main": second, "packed/one": first},
        others={"stash@{0}": repo.git("rev-parse", "stash"), "worktrees/other/HEAD": first},
        tags={"tags/v1": first},
        dropped=(second, first),
    )
    assert found.published == {first}


def test_a_detached_head_is_a_branch_without_a_name(repo: GitRepo) -> None:
    """Its commits can be lost like others."""
    first = repo.commit({"a": "a\n"})
    repo.git("checkout", "-q", "--detach")
    assert tips(repo).head == first
    assert tips(repo).branches == {"main": first, "HEAD": first}
    assert tips(repo).dropped == (first,)


def test_nothing_but_files_of_ids_is_believed(repo: GitRepo, tmp_path: Path) -> None:
    """Links, pipes and folders without end are passed over, and a name that is no text is readable."""
    first = repo.commit({"a": "a\n"})
    heads = repo.path / ".git/refs/heads"
    (tmp_path / "id").write_text(first)
    (heads / "link").symlink_to(tmp_path / "id")
    (heads / "folder").symlink_to(tmp_path)
    os.mkfifo(heads / "pipe")
    (heads / "text").write_text("no id\n")
    Path(os.fsdecode(os.fsencode(heads) + b"/caf\xe9")).write_text(first)
    assert tips(repo).branches == {"main": first, "caf\\xe9": first}
    assert read_tips(os.fsencode(tmp_path / "none")) == CloneTips()
    (tmp_path / "linked").symlink_to(repo.path / ".git")
    assert read_tips(os.fsencode(tmp_path / "linked")) == CloneTips()
