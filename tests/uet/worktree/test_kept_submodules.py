"""Submodules that `prepare` checks out work in every job that finds them kept."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.system.process_tree import adopt_orphans
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.kept_submodules import embed_submodules
from support.factories import GitRepo
from support.submodule_world import SubmoduleWorld

LOOK = (
    "cat sub/lib.txt sub/deep/deep.txt && git status --porcelain && git submodule status --recursive"
    " && git -C sub log --format=%s -1 && git -C sub/deep status --porcelain"
)


@pytest.fixture(autouse=True)
def _reaper() -> Iterator[None]:
    """Adopt orphans, as a worker does."""
    adopt_orphans()
    yield
    adopt_orphans(on=False)


@pytest.fixture
def world(repo: GitRepo, tmp_path: Path) -> SubmoduleWorld:
    """Give the world."""
    return SubmoduleWorld(repo, tmp_path)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_kept_submodule_works_in_every_job(world: SubmoduleWorld, is_shared: bool) -> None:
    """Also after a gate that harmed it; nothing is changed, and it is not fetched again."""
    for number in range(3):
        outcome = world.run(LOOK, keep_shared=is_shared)
        assert outcome.passed, outcome
        said = outcome.excerpt.splitlines()
        assert said[:2] == ["lib", "deep"]
        assert [line[0] for line in said[2:4]] == [" ", " "]
        assert said[4:] == ["with deep"]
        if number == 0:
            world.lib.path.rename(world.lib.path.with_name("away"))
        if not is_shared:
            assert world.run("rm -rf sub/.git/HEAD sub/deep/.git; echo evil > sub/lib.txt").passed


def test_another_commit_of_a_submodule_is_prepared_anew(world: SubmoduleWorld) -> None:
    """What is kept belongs to the commit that the tree has."""
    assert world.run(LOOK).passed
    world.lib.commit({"lib.txt": "newer\n"}, "newer")
    world.repo.git("update-index", "--cacheinfo", f"160000,{world.lib.head()},sub")
    world.repo.git("commit", "-q", "-m", "moved")
    assert world.run("cat sub/lib.txt && git status --porcelain").excerpt == "newer\n"


def test_a_pointer_that_leads_elsewhere_is_left_alone(repo: GitRepo, tmp_path: Path) -> None:
    """A `prepare` that lies moves nothing of the person's."""
    repo.commit({"f": "f\n"})
    tree = tmp_path / "tree"
    (tree / ".git/modules").mkdir(parents=True)
    (tree / ".git/modules/link").symlink_to(repo.path / ".git")
    for name, pointer in (
        ("a", f"{repo.path}/.git"),
        ("b", "../.git/modules/link"),
        ("c", "../.git/modules/../../x"),
    ):
        (tree / "kept" / name).mkdir(parents=True)
        (tree / "kept" / name / ".git").write_text(f"gitdir: {pointer}\n")

    embed_submodules(os.fsencode(tree), KeepRules(["kept"]), [])

    assert all((tree / "kept" / name / ".git").is_file() for name in "abc")
    subprocess.run(["git", "status"], cwd=repo.path, check=True, capture_output=True)
