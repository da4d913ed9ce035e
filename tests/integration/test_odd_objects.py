"""Objects and refs that are not as in most repositories: named, with the command that helps."""

import subprocess
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.errors import RepositoryError
from maingate.plan.loader import load_plan
from support.crashing import World, landings, wait_until
from support.factories import GitRepo
from support.landing import land, one_each, write_plan

PATCH = b"diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+A\n"


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with one file."""
    repo.commit({"a.txt": "a\n", "b.txt": "b\n"}, "base")
    return repo


def refusal(repo: GitRepo, **plan: object) -> str:
    """Return what a plan for a repository is refused with."""
    described = {"repo": str(repo.path), "workstreams": one_each({"p": PATCH}), **plan}
    loaded = load_plan(write_plan(repo.path.parent / "refused", described, {"p": PATCH}))
    with pytest.raises(RepositoryError) as refused, Maingate.for_plan(loaded) as maingate:
        maingate.admission.admit(loaded)
    return str(refused.value)


def test_a_partial_clone_without_the_files_of_the_target_is_refused_until_they_are_there(
    base: GitRepo, tmp_path: Path
) -> None:
    """The message names an object that is missing; the command that it names brings all of them."""
    base.git("branch", "other")
    base.commit({"a.txt": "changed\n"}, "later")
    base.git("config", "uploadpack.allowFilter", "true")
    base.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = GitRepo(tmp_path / "clone")
    base.git("clone", "-q", "--filter=blob:none", f"file://{base.path}", str(clone.path))
    clone.git("branch", "other", "origin/other")
    said = refusal(clone, target="other")
    assert "partial clone" in said
    assert base.git("rev-parse", "other:a.txt") in said
    assert "git fetch --refetch --no-filter" in said
    clone.git("fetch", "-q", "--refetch", "--no-filter")
    assert land(clone, {"p": PATCH}, target="other").state == "succeeded"


def test_a_partial_clone_that_has_what_is_needed_lands(base: GitRepo, tmp_path: Path) -> None:
    """What is checked out is there."""
    base.git("config", "uploadpack.allowFilter", "true")
    clone = GitRepo(tmp_path / "clone")
    base.git("clone", "-q", "--filter=blob:none", f"file://{base.path}", str(clone.path))
    assert land(clone, {"p": PATCH}, gates={"unit": {"run": "grep -q A a.txt"}}).state == "succeeded"


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_ref_in_the_place_of_maingates_own_is_named(base: GitRepo, *, is_packed: bool) -> None:
    """Nothing is started; the commands that the message names help, and keep what it pointed to."""
    base.git("update-ref", "refs/maingate", "main")
    if is_packed:
        base.git("pack-refs", "--all")
    assert "git update-ref -d refs/maingate" in refusal(base)
    base.git("update-ref", "refs/heads/kept", "refs/maingate")
    base.git("update-ref", "-d", "refs/maingate")
    assert land(base, {"p": PATCH}).state == "succeeded"


@pytest.mark.parametrize("name", ["maingate", "maingate/logs", "maingate/maingate.db", "maingate/x"])
def test_a_branch_that_is_called_as_the_state_folder_is_a_target_like_any_other(
    base: GitRepo, name: str
) -> None:
    """Git looks for a name below its directory first, and finds no ref there."""
    base.git("checkout", "-q", "-b", name)
    for patch in (PATCH, PATCH.replace(b"a.txt", b"b.txt").replace(b"-a", b"-b").replace(b"+A", b"+B")):
        assert land(base, {"p": patch}, target=name).state == "succeeded"
    assert base.git("show", f"refs/heads/{name}:b.txt") == "B"
    assert base.git("status", "--porcelain") == ""


def test_a_git_directory_elsewhere_knows_its_working_tree_from_inside(tmp_path: Path) -> None:
    """`git init --separate-git-dir` writes down nowhere where the working tree is."""
    where = tmp_path / "git" / "x.git"
    where.parent.mkdir()
    repo = GitRepo(tmp_path / "repo")
    subprocess.run(["git", "init", "-q", "-b", "main", f"--separate-git-dir={where}", repo.path], check=True)
    repo.commit({"a.txt": "a\n"}, "base")
    assert land(repo, {"p": PATCH}).state == "succeeded"
    assert (repo.path / "a.txt").read_text() == "A\n"
    assert repo.git("status", "--porcelain") == ""
    assert (where / "maingate" / "maingate.db").exists()
    (repo.path / "sub").mkdir()
    with Maingate.open(repo.path / "sub") as maingate:
        assert maingate.repository.root == repo.path
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", str(linked))
    with pytest.raises(RepositoryError, match=r"run this there, or say it with .*core\.worktree"):
        Maingate.open(linked)
    repo.git("config", "core.worktree", str(repo.path))
    with Maingate.open(linked, create=False) as maingate:
        assert maingate.report()["state"] == "succeeded"


def test_a_working_tree_that_is_set_in_the_configuration_follows(tmp_path: Path) -> None:
    """`core.worktree` says where the files are."""
    tree = tmp_path / "tree"
    tree.mkdir()
    repo = GitRepo.create(tmp_path / "repo")
    repo.git("config", "core.worktree", str(tree))
    (tree / "a.txt").write_text("a\n")
    repo.git("-C", str(tree), f"--git-dir={repo.path}/.git", "add", "-A")
    repo.git("-C", str(tree), f"--git-dir={repo.path}/.git", "commit", "-q", "-m", "base")
    assert land(repo, {"p": PATCH}).state == "succeeded"
    assert (tree / "a.txt").read_text() == "A\n"
    assert repo.git("-C", str(tree), f"--git-dir={repo.path}/.git", "status", "--porcelain") == ""


def test_a_submodule_checkout_lands_with_its_state_in_its_own_git_directory(
    base: GitRepo, tmp_path: Path
) -> None:
    """Its git directory is inside that of the repository around it."""
    around = GitRepo.create(tmp_path / "around")
    around.commit({"x": "x\n"}, "base")
    around.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(base.path), "sub")
    sub = GitRepo(around.path / "sub")
    sub.git("checkout", "-q", "main")
    assert land(sub, {"p": PATCH}).state == "succeeded"
    assert (sub.path / "a.txt").read_text() == "A\n"
    assert (around.path / ".git" / "modules" / "sub" / "maingate" / "maingate.db").exists()
    assert not (around.path / ".git" / "maingate").exists()


def test_git_that_collects_under_a_run_is_said_to_be_resumed_from(tmp_path: Path) -> None:
    """`git gc --prune=now` takes what no ref holds yet: nothing is lost, and nobody is blamed."""
    world = World.create(tmp_path / "w", {"a.txt": "a\n"})
    gate = f"touch {world.folder}/begun; until test -e {world.folder}/go; do sleep 0.02; done"
    world.write_plan(
        {name: world.repo.diff_of({f"{name}.txt": f"{name}\n"}) for name in "pqr"},
        gates={"unit": {"run": gate}},
        workstreams={
            "one": {"tasks": {"t": {"patch": "p"}, "u": {"patch": "q", "needs": ["t"]}}},
            "two": {"tasks": {"t": {"patch": "r"}}},
        },
    )
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    world.repo.git("gc", "-q", "--prune=now")
    (world.folder / "go").touch()
    assert run.ended() == 4, run.said
    assert "`maingate resume` makes them again" in run.said
    assert world.finish() == 0
    assert len(landings(world.repo)) == 2
