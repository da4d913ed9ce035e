"""Repositories that are not a plain clone with main checked out: each works, or is refused helpfully."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.errors import MaingateError, OutsideFaultError, PlanError, RepositoryError
from maingate.plan.loader import load_plan
from support.factories import GitRepo
from support.landing import land, one_each, write_plan

PATCH = b"diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+A\n"


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with one file and two commits."""
    repo.commit({"b.txt": "b\n"}, "first")
    repo.commit({"a.txt": "a\n"}, "second")
    return repo


def refusal(folder: Path, repo: Path, **plan: object) -> str:
    """Return what admitting a plan for a repository is refused with."""
    described = {"repo": str(repo), "name": "x", "workstreams": one_each({"p": b""}), **plan}
    loaded = load_plan(write_plan(folder / "plan", described, {"p": PATCH}))
    with pytest.raises(MaingateError) as refused, Maingate.for_plan(loaded) as maingate:
        maingate.admission.admit(loaded)
    assert isinstance(refused.value, RepositoryError), refused.value
    return str(refused.value)


def test_not_a_repository(tmp_path: Path) -> None:
    """The plan's problem, with its line and the folder that it names."""
    (tmp_path / "plain").mkdir()
    described = {"repo": str(tmp_path / "plain"), "name": "x", "workstreams": one_each({"p": b""})}
    with pytest.raises(PlanError, match="plain"):
        load_plan(write_plan(tmp_path / "plan", described, {"p": PATCH}))


def test_an_empty_repository(repo: GitRepo, tmp_path: Path) -> None:
    """Without a commit there is nothing to land on."""
    assert "commit" in refusal(tmp_path, repo.path)


def test_a_detached_head_without_a_target(base: GitRepo, tmp_path: Path) -> None:
    """Which branch was meant cannot be guessed; naming one helps."""
    base.git("checkout", "-q", "--detach")
    assert "target" in refusal(tmp_path, base.path)
    assert land(base, {"p": PATCH}).state == "succeeded"


def test_a_target_that_is_missing(base: GitRepo, tmp_path: Path) -> None:
    """The name is repeated, so that a slip shows."""
    assert "mian" in refusal(tmp_path, base.path, target="mian")


def test_a_target_that_is_a_tag(base: GitRepo, tmp_path: Path) -> None:
    """Only branches move."""
    base.git("tag", "v1")
    assert "v1" in refusal(tmp_path, base.path, target="v1")


def test_a_shallow_clone(base: GitRepo, tmp_path: Path) -> None:
    """Patches land on a shallow clone as on any other, gates included."""
    shallow = GitRepo(tmp_path / "shallow")
    base.git("clone", "-q", "--depth", "1", f"file://{base.path}", str(shallow.path))
    landed = land(shallow, {"p": PATCH}, gates={"unit": {"run": "grep -q A a.txt && git status"}})
    assert landed.state == "succeeded"
    assert shallow.git("show", "main:a.txt") == "A"


def test_a_bare_repository(base: GitRepo, tmp_path: Path) -> None:
    """State goes into the git directory; there is no checkout to move."""
    bare = GitRepo(tmp_path / "bare.git")
    base.git("clone", "-q", "--bare", str(base.path), str(bare.path))
    landed = land(bare, {"p": PATCH}, gates={"unit": {"run": "grep -q A a.txt"}})
    assert landed.state == "succeeded"
    assert bare.git("show", "main:a.txt") == "A"
    assert (bare.path / "maingate" / "maingate.db").exists()


def test_a_linked_worktree(base: GitRepo, tmp_path: Path) -> None:
    """The plan's default target is the branch checked out there, and that checkout follows."""
    linked = tmp_path / "linked"
    base.git("worktree", "add", "-q", "-b", "feature", str(linked))
    path = write_plan(
        tmp_path / "plan",
        {"repo": str(linked), "name": "x", "workstreams": one_each({"p": b""})},
        {"p": PATCH},
    )
    loaded = load_plan(path)
    with Maingate.for_plan(loaded) as maingate:
        assert maingate.execution.execute(maingate.admission.admit(loaded)) == "succeeded"
    assert (linked / "a.txt").read_text() == "A\n"
    assert base.git("show", "main:a.txt") == "a"
    assert base.git("status", "--porcelain") == ""
    assert (base.path / ".git" / "maingate" / "maingate.db").exists()


def test_a_target_checked_out_in_a_dirty_linked_worktree(base: GitRepo, tmp_path: Path) -> None:
    """It is found wherever it is checked out."""
    linked = tmp_path / "linked"
    base.git("worktree", "add", "-q", "-b", "feature", str(linked))
    (linked / "a.txt").write_text("dirty\n")
    assert str(linked) in refusal(tmp_path, base.path, target="feature")


def test_hooks_configuration_and_filters_of_the_person_do_not_interfere(
    base: GitRepo, tmp_path: Path
) -> None:
    """Hooks do not run, signing is not asked for, a hostile fsmonitor is not started."""
    trap = tmp_path / "trap"
    for hook in ("pre-commit", "commit-msg", "post-checkout", "reference-transaction", "post-index-change"):
        path = base.path / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {trap}\nexit 1\n")
        path.chmod(0o755)
    for key, value in {
        "core.fsmonitor": f"touch {trap}",
        "apply.whitespace": "error",
        "core.autocrlf": "true",
        "user.name": "",
    }.items():
        base.git("config", key, value)
    patch = PATCH.replace(b"+A", b"+A trailing \t ")
    landed = land(base, {"p": patch}, gates={"unit": {"run": "grep -q A a.txt"}})
    assert landed.state == "succeeded"
    assert not trap.exists()
    assert base.git_bytes("show", "main:a.txt") == b"A trailing \t \n"


def test_a_checkout_that_cannot_follow_stops_the_run_and_nothing_lands(base: GitRepo) -> None:
    """A file that the person made meanwhile, and that would be overwritten, is not."""
    patch = base.diff_of({"new.txt": "theirs\n"})
    gate = f"echo mine > {base.path}/new.txt"
    old = base.head("main")
    with pytest.raises(OutsideFaultError, match=r"new\.txt"):
        land(base, {"p": patch}, gates={"unit": {"run": gate}})
    assert base.head("main") == old
    assert (base.path / "new.txt").read_text() == "mine\n"
    assert base.git("status", "--porcelain") == "?? new.txt"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a read-only file system")
def test_a_read_only_disk_is_a_clear_error(base: GitRepo, tmp_path: Path) -> None:
    """Not a traceback, and nothing half made."""
    path = write_plan(
        tmp_path / "plan",
        {"repo": str(base.path), "name": "x", "workstreams": one_each({"p": b""})},
        {"p": PATCH},
    )
    script = (
        f"mount --bind {base.path} {base.path} && mount -o remount,ro,bind {base.path} && "
        f"exec {sys.executable} -m maingate run {path}"
    )
    mounted = subprocess.run(["unshare", "-m", "sh", "-c", "true"], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mount namespaces are not allowed here")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert str(base.path) in done.stderr.replace("\n", "")


def test_a_path_that_was_the_state_folder_is_a_path_like_any_other(base: GitRepo) -> None:
    """State is in git's common directory: a tree may have `.maingate/`, and git is told of no exception."""
    patch = (
        b"diff --git a/.maingate/maingate.db b/.maingate/maingate.db\nnew file mode 100644\n"
        b"--- /dev/null\n+++ b/.maingate/maingate.db\n@@ -0,0 +1 @@\n+junk\n"
    )
    assert land(base, {"p": patch}).state == "succeeded"
    assert (base.path / ".maingate" / "maingate.db").read_text() == "junk\n"
    assert (base.path / ".git" / "maingate" / "maingate.db").exists()
    exclude = base.path / ".git" / "info" / "exclude"
    assert not exclude.exists() or "maingate" not in exclude.read_text()
    assert base.git("status", "--porcelain") == ""
