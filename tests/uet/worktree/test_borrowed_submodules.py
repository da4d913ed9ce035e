"""Submodules whose remote is away are those of the person's own clone of them, where that has the commit."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.git.submodule_update import update_command
from maingate.system.process_tree import adopt_orphans
from maingate.uet.process.command import CommandResult
from support.factories import GitRepo
from support.submodule_world import SubmoduleWorld

LOOK = "cat sub/lib.txt && git status --porcelain && git -C sub status --porcelain && git submodule status"
NESTED = "cat sub/deep/deep.txt && git -C sub/deep describe --tags --all"


@pytest.fixture(autouse=True)
def _reaper() -> Iterator[None]:
    """Adopt orphans, as a worker does."""
    adopt_orphans()
    yield
    adopt_orphans(on=False)


@pytest.fixture
def world(repo: GitRepo, tmp_path: Path) -> SubmoduleWorld:
    """Give a repository with clones of its submodules, whose remotes are away."""
    world = SubmoduleWorld(repo, tmp_path)
    world.lib.git("commit", "-q", "--allow-empty", "-m", "newer")
    world.repo.git("update-index", "--cacheinfo", f"160000,{world.lib.head()},sub")
    world.repo.git("commit", "-q", "-m", "moved")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive")
    for remote in (world.lib, world.deep):
        remote.path.rename(remote.path.with_name(f"away-{remote.path.name}"))
    return world


def run(world: SubmoduleWorld, depth: str, look: str, *, keep: tuple[str, ...] = ("sub",)) -> CommandResult:
    """Run a job whose submodules Maingate checks out."""
    return world.run(look, prepare=(update_command(depth),), keep=keep)


@pytest.mark.parametrize("keep", [("sub",), ()])
def test_a_clone_of_the_person_stands_in_for_a_remote_that_is_away(
    world: SubmoduleWorld, keep: tuple[str, ...]
) -> None:
    """Also for a submodule of a submodule; no transport of git has to be allowed for it."""
    outcome = run(world, "recursive", f"{LOOK} && {NESTED} && git -C sub log --format=%s", keep=keep)
    assert outcome.passed, outcome
    text, status, deep, described, *log = outcome.excerpt.splitlines()
    assert (text, status[0], deep) == ("lib", " ", "deep")
    assert described.startswith("remotes/origin/")
    assert log == ["newer", "with deep"]


def test_the_newest_commit_alone_is_that_alone(world: SubmoduleWorld) -> None:
    """And the submodules of a submodule are not checked out, as where its remote is there."""
    outcome = run(world, "shallow", f"{LOOK} && git -C sub log --format=%s && ls sub/deep")
    assert outcome.passed, outcome
    text, _, *rest = outcome.excerpt.splitlines()
    assert (text, rest) == ("lib", ["newer"])


def test_the_clone_of_the_person_is_not_changed(world: SubmoduleWorld) -> None:
    """A gate may do in its submodule what it likes."""
    wreck = "cd sub && git commit -q --allow-empty -m x && git update-ref refs/heads/main HEAD && git gc -q"
    clone = world.repo.path / "sub"
    before = (
        world.repo.git("-C", str(clone), "for-each-ref"),
        world.repo.git("-C", str(clone), "rev-parse", "HEAD"),
    )
    assert run(world, "recursive", wreck).passed
    after = (
        world.repo.git("-C", str(clone), "for-each-ref"),
        world.repo.git("-C", str(clone), "rev-parse", "HEAD"),
    )
    assert after == before
    world.repo.git("-C", str(clone), "fsck", "--strict")


def test_only_the_submodule_whose_remote_is_away_is_borrowed(world: SubmoduleWorld) -> None:
    """The other one is cloned, if its transport is allowed: the first allows none."""
    home = world.deep.path.with_name("away-deep.git")
    home.rename(world.deep.path)
    shutil.rmtree(world.repo.path / ".git/modules/sub/modules/deep")
    refused = run(world, "recursive", LOOK)
    assert refused.fault == "prepare_failed"
    assert "transport 'file' not allowed" in refused.message


@pytest.mark.parametrize("harm", ["absent", "without the commit"])
def test_without_such_a_clone_the_remote_is_named(world: SubmoduleWorld, harm: str) -> None:
    """The error is that of git about the remote."""
    module = world.repo.path / ".git/modules/sub"
    if harm == "absent":
        module.rename(module.with_name("elsewhere"))
    else:
        shutil.rmtree(module / "objects")
        (module / "objects").mkdir()
    outcome = run(world, "recursive", LOOK)
    assert outcome.fault == "prepare_failed"
    assert "lib.git" in outcome.message


def test_a_name_that_leads_elsewhere_is_left_alone(world: SubmoduleWorld) -> None:
    """A patch cannot have a repository made beside those of submodules."""
    world.repo.git(
        "config", "--file", ".gitmodules", "--rename-section", "submodule.sub", "submodule.../made"
    )
    world.repo.git("config", "--file", ".gitmodules", "submodule.gone.path", "gone")
    world.repo.git("config", "--file", ".gitmodules", "submodule.gone.url", "../gone.git")
    world.repo.git("add", ".gitmodules")
    world.repo.git("update-index", "--add", "--cacheinfo", f"160000,{world.repo.head()},gone")
    world.repo.git("commit", "-q", "-m", "an unsafe name")
    (world.repo.path / ".git/made").symlink_to("modules/sub")
    outcome = run(world, "recursive", LOOK)
    assert outcome.fault == "prepare_failed"
    assert "gone.git" in outcome.message
    assert not (world.worktree.tree / ".git/made").exists()
