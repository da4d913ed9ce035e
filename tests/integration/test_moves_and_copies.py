"""Repositories that are moved, copied, or share a database: each goes on with its own runs only."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.errors import UsageError
from maingate.git.repository_identity import Home, Identity, identify
from maingate.ids import RunId
from support.crashing import World, check_the_record, landings, wait_until
from support.factories import GitRepo


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world with a plan of two workstreams and a gate that waits."""
    world = World.create(tmp_path / "w", {"a.txt": "a\n"})
    gate = f"touch {world.folder}/begun; until test -e {world.folder}/go; do sleep 0.02; done"
    world.write_plan(
        {"p": world.repo.diff_of({"b.txt": "b\n"}), "q": world.repo.diff_of({"c.txt": "c\n"})},
        gates={"unit": {"run": gate}},
        workstreams={
            "one": {"tasks": {"t": {"patch": "p"}}},
            "two": {"needs": ["one"], "tasks": {"t": {"patch": "q"}}},
        },
    )
    return world


def kill_within(world: World) -> str:
    """Kill the run while its first gate is at work; return its id."""
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    run.send(signal.SIGKILL)
    run.ended()
    wait_until(lambda: not world.processes(), "the end of its processes")
    (world.folder / "go").touch()
    return str(world.rows("SELECT id FROM runs")[0][0])


def opened(repo: Path) -> Maingate:
    """Open Maingate where it has run."""
    return Maingate.open(repo, create=False)


def test_a_repository_that_was_moved_goes_on_where_it_was(world: World) -> None:
    """`mv` loses no history: runs are resumed and rolled back, and clean finds all."""
    run_id = kill_within(world)
    old = world.repo.path
    with opened(old) as maingate:
        old_slots = maingate.paths.slots
    world.folder.joinpath("sub").mkdir()
    new = old.rename(world.folder / "sub" / "moved")
    world.repo = GitRepo(new)
    with opened(new) as maingate:
        assert [row.id for row in maingate.execution.interrupted()] == [run_id]
        assert maingate.execution.execute(RunId(run_id)) == "succeeded"
        assert maingate.report()["repository"] == str(new / ".git")
        assert maingate.paths.slots != old_slots
    assert len(landings(world.repo)) == 2
    check_the_record(world)
    environment = {"XDG_CACHE_HOME": str(world.folder / "cache")}
    assert world.start("rollback", run_id, "--reason", "x", **environment).ended() == 0
    cleaned = world.start("clean", "--json", **environment)
    assert cleaned.ended() == 0
    assert not any(path.name.isdecimal() for path in world.folder.glob("cache/maingate/worktrees/*/*"))


def test_a_plan_and_patches_in_a_repository_that_was_moved_are_found(world: World) -> None:
    """A patch that was not read yet is looked for where it is now."""
    inside = world.repo.path / "plans"
    shutil.move(world.plan.parent, inside)
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "plans")
    (inside / "plan.yaml").write_text((inside / "plan.yaml").read_text().replace("../repo", ".."))
    world.repo.git("commit", "-q", "-a", "-m", "plans")
    assert world.start("run", str(inside / "plan.yaml"), fault="transaction.after@1").ended() < 0
    new = world.repo.path.rename(world.folder / "moved")
    (world.folder / "go").touch()
    with opened(new) as maingate:
        (row,) = maingate.execution.interrupted()
        assert maingate.execution.execute(RunId(row.id)) == "succeeded"


def test_a_copy_never_goes_on_with_the_runs_of_the_original(world: World) -> None:
    """Its history is there to read; what has not ended is the original's to go on with."""
    run_id = kill_within(world)
    copy = Path(shutil.copytree(world.repo.path, world.folder / "copy", symlinks=True))
    before = GitRepo(copy).head("main")
    with opened(copy) as maingate:
        assert maingate.execution.interrupted() == []
        assert maingate.report()["run_id"] == run_id
        for refused in (
            lambda: maingate.execution.execute(RunId(run_id)),
            lambda: maingate.execution.take_hold(RunId(run_id)),
            lambda: maingate.operator.cancel(run_id, message="x", operator="x"),
        ):
            with pytest.raises(UsageError, match="is a copy; run this command there"):
                refused()
    assert GitRepo(copy).head("main") == before
    assert world.finish() == 0
    assert len(landings(world.repo)) == 2


def test_a_copy_of_a_repository_at_work_leaves_the_original_alone(world: World) -> None:
    """Runs, `clean` and `status` in it end no process of the original's and remove nothing of it."""
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    copy = Path(shutil.copytree(world.repo.path, world.folder / "copy", symlinks=True))
    other = World(folder=world.folder / "elsewhere")
    other.folder.mkdir()
    other.repo = GitRepo(copy)
    cache = {"XDG_CACHE_HOME": str(world.folder / "cache")}
    status = other.start("status", **cache)
    assert status.ended() == 0
    assert "this one is a copy" in status.said
    for words in (("clean",), ("resume",)):
        other.start(*words, **cache).ended()
    plan = world.folder / "plan" / "other.yaml"
    plan.write_text(
        world.plan.read_text().replace("../repo", "../copy").replace("until test -e", "until true || test -e")
    )
    assert other.start("run", str(plan), **cache).ended() == 0
    assert run.is_running
    (world.folder / "go").touch()
    assert run.ended() == 0, run.said
    assert len(landings(world.repo)) == 2
    check_the_record(world)
    with opened(copy) as maingate:
        assert maingate.report()["state"] == "succeeded"


def test_a_copy_whose_original_is_gone_is_the_repository(world: World) -> None:
    """Across file systems, `mv` copies and removes."""
    run_id = kill_within(world)
    copy = Path(shutil.copytree(world.repo.path, world.folder / "copy", symlinks=True))
    shutil.rmtree(world.repo.path)
    with opened(copy) as maingate:
        assert [row.id for row in maingate.execution.interrupted()] == [run_id]
        assert maingate.execution.execute(RunId(run_id)) == "succeeded"


def test_two_repositories_that_share_a_database_do_not_touch_each_other(tmp_path: Path) -> None:
    """The newest run, names and what was interrupted are those of the repository that one is in."""
    environment = {"MAINGATE_DATABASE_URL": f"sqlite:///{tmp_path}/shared.db"}
    one = World.create(tmp_path / "1", {"a.txt": "a\n"})
    one.environment = environment
    shutil.copytree(one.folder, tmp_path / "2")
    two = World(folder=tmp_path / "2", environment=environment)
    for world in (one, two):
        world.write_plan(
            {"p": world.repo.diff_of({"b.txt": "b\n"})}, workstreams={"w": {"tasks": {"t": {"patch": "p"}}}}
        )
    assert one.run(fault="landing.before-ref").ended() < 0
    assert two.run().ended() == 0
    os.environ.update(environment)
    with opened(one.repo.path) as mine, opened(two.repo.path) as other:
        (left,) = mine.execution.interrupted()
        assert other.execution.interrupted() == []
        assert mine.report()["run_id"] == left.id != other.report()["run_id"]
        with pytest.raises(UsageError, match="another repository"):
            other.execution.execute(RunId(left.id))
        assert mine.execution.execute(RunId(left.id)) == "succeeded"
    del os.environ["MAINGATE_DATABASE_URL"]


# -- who one is ----------------------------------------------------------------------------------------------


def known(git_dir: Path) -> Identity:
    """Make a git directory with a state folder that says which repository it is of."""
    state = git_dir / "maingate"
    state.mkdir(parents=True)
    found = identify(git_dir, state, may_have_moved_far=True)
    found.write(state)
    return found


def again(git_dir: Path, **options: Any) -> Identity:
    """Ask again who a repository is."""
    return identify(git_dir, git_dir / "maingate", **({"may_have_moved_far": True} | options))


def test_an_identity_stays(tmp_path: Path) -> None:
    """Asked again it is the same, also at the same path on another device, as after a restart."""
    first = known(tmp_path / "a")
    assert again(tmp_path / "a") == first
    elsewhere = Identity(
        id=first.id, home=Home(git_dir=first.home.git_dir, host="another", device=0, inode=0)
    )
    elsewhere.write(tmp_path / "a" / "maingate")
    assert again(tmp_path / "a") == first


def test_one_that_was_moved_is_itself_and_knows_where_it_was(tmp_path: Path) -> None:
    """There and back again."""
    first = known(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    moved = again(tmp_path / "b")
    assert (moved.id, moved.former, moved.copied_from) == (first.id, (str(tmp_path / "a"),), None)
    moved.write(tmp_path / "b" / "maingate")
    (tmp_path / "b").rename(tmp_path / "a")
    back = again(tmp_path / "a")
    assert (back.id, back.former) == (first.id, (str(tmp_path / "b"),))


def test_one_that_was_moved_while_another_came_to_its_place_is_itself(tmp_path: Path) -> None:
    """What is at the old path is somebody else."""
    first = known(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    known(tmp_path / "a")
    assert again(tmp_path / "b").id == first.id


def test_a_copy_is_another_one_and_knows_of_which(tmp_path: Path) -> None:
    """Also a copy of a copy, and for good once that is written down."""
    first = known(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = again(tmp_path / "b")
    assert copy.id != first.id
    assert copy.copied_from == str(tmp_path / "a")
    copy.write(tmp_path / "b" / "maingate")
    shutil.rmtree(tmp_path / "a")
    assert again(tmp_path / "b").id == copy.id


def test_one_from_another_machine_is_itself_only_with_a_record_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a server has the record, the repository that it came from may be at work there."""
    first = known(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "a")
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert again(tmp_path / "b").id == first.id
    assert again(tmp_path / "b", may_have_moved_far=False).id != first.id


@pytest.mark.parametrize("damage", ["", "[", "[]", "{}"])
def test_what_does_not_say_who_one_is_is_an_error(tmp_path: Path, damage: str) -> None:
    """Nothing is guessed; the message names the file."""
    known(tmp_path / "a")
    path = tmp_path / "a" / "maingate" / "repository.json"
    path.write_text(damage)
    with pytest.raises(Exception, match=r"repository\.json does not say which repository this is"):
        again(tmp_path / "a")


# -- what a checkout is owed ---------------------------------------------------------------------------------


def killed_before_the_checkout_followed(world: World) -> Path:
    """Kill the run when the branch has moved and its checkout has not; return the repository."""
    (world.folder / "go").touch()
    assert world.run(fault="landing.after-ref").ended() < 0
    wait_until(lambda: not world.processes(), "the end of its processes")
    return world.repo.path


def test_a_checkout_that_had_not_followed_is_brought_along_after_a_move(world: World) -> None:
    """What is owed to it is found at the new place."""
    new = killed_before_the_checkout_followed(world).rename(world.folder / "moved")
    world.repo = GitRepo(new)
    assert world.start("checkout", "repair").ended() == 0
    assert world.repo.git("status", "--porcelain") == ""
    assert (new / "b.txt").exists()


def test_a_copy_brings_its_own_checkout_along_and_no_other(world: World) -> None:
    """Neither a file nor a lock of the original is touched from the copy."""
    old = killed_before_the_checkout_followed(world)
    copy = Path(shutil.copytree(old, world.folder / "copy", symlinks=True))
    lock = old / ".git" / "refs" / "heads" / "main.lock"
    lock.touch()
    before = GitRepo(old).git("status", "--porcelain")
    other = World(folder=world.folder / "elsewhere")
    other.folder.mkdir()
    other.repo = GitRepo(copy)
    assert other.start("checkout", "repair").ended() == 0
    assert other.repo.git("status", "--porcelain") == ""
    assert GitRepo(old).git("status", "--porcelain") == before != ""
    assert lock.exists()
