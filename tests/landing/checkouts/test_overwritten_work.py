"""What in a checkout keeps a patch from landing is found from the patch alone, and only what does."""

from pathlib import Path

from maingate.git.repository import Repository
from maingate.landing.checkouts.overwritten_work import refusal_of, seen_now
from maingate.patches.intake import Intake, take_in
from support.factories import GitRepo

MAIN = "refs/heads/main"


def test_what_is_in_a_submodule_is_in_the_way_of_what_replaces_it_only(repo: GitRepo, tmp_path: Path) -> None:
    """A submodule that is checked out can be moved, as `git checkout` does; a file cannot take its place."""
    other = GitRepo.create(tmp_path / "other")
    other.commit({"s.txt": "1\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.path), "sub")
    old = repo.commit({})
    second = other.commit({"s.txt": "2\n"})
    repo.git("update-index", "--cacheinfo", f"160000,{second},sub")
    repo.git("commit", "-q", "-m", "moved")
    moved = patch(repo, old)
    repo.git("reset", "-q", "--hard", old)
    repo.git("rm", "-q", "--cached", "sub")
    blob = repo.git("rev-parse", "HEAD:.gitmodules")
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},sub")
    repo.git("commit", "-q", "-m", "replaced")
    replaced = patch(repo, old)
    repo.git("reset", "-q", "--soft", old)
    repo.git("reset", "-q")
    opened = Repository.open(repo.path)
    assert refusal_of(opened, moved, seen_now(opened, MAIN)) is None
    refused = refusal_of(opened, replaced, seen_now(opened, MAIN))
    assert refused is not None
    assert "sub/s.txt" in refused.message


def patch(repo: GitRepo, old: str) -> Intake:
    """Take in the change from a commit to the newest one."""
    text = repo.git("diff", "--full-index", old, "HEAD") + "\n"
    taken = take_in(text.encode(), max_bytes=1 << 20)
    assert isinstance(taken, Intake)
    return taken
