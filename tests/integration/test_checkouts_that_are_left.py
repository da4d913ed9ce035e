"""What people are told, and what the command line does, where a checkout has not followed its branch."""

import json

from support import patience
from support.chains import kill_in_a_row
from support.crashing import KILLED, World, check_the_checkout, end_of
from support.stories import Telling

OUTSIDE_FAULT = 4


FOLLOWING = (
    "checkout.file@1#1",
    "checkout.index@1#1",
    "checkout.index@2#2",
    "checkout.installed@1#2",
    "checkout.installed@1#3",
)
"""Kills while a checkout follows, and while a resume finishes what a killed landing still owed to it."""


def test_killed_while_the_checkout_follows_it_ends_the_same(tell: Telling) -> None:
    """Resuming finishes what was owed to the checkout, and lands nothing twice."""
    kill_in_a_row(tell, FOLLOWING)


def killed(tell: Telling) -> World:
    """Make a world in which a landing was killed when the branch had moved and the checkout had not."""
    world = tell.world()
    assert world.run(fault="landing.after-ref").ended() == KILLED
    return world


def test_status_says_so_until_it_is_repaired(tell: Telling) -> None:
    """In the report, the JSON, and what is printed; never that this is to be committed."""
    world = killed(tell)
    (left,) = world.report()["target"]["behind"]
    assert left["path"] == str(world.repo.path)
    assert left["next_action"]["command"] == "maingate checkout repair"
    asked = world.start("status")
    assert asked.ended() == 0
    assert "maingate checkout repair" in asked.said
    repaired = world.start("checkout", "repair", "--json")
    assert repaired.ended() == 0
    said = json.loads(repaired.said)
    assert [each["path"] for each in said["brought_along"]] == [str(world.repo.path)]
    assert said["behind"] == []
    assert world.report()["target"]["behind"] == []
    check_the_checkout(world)
    again = world.start("checkout", "repair")
    assert again.ended() == 0
    assert "Every checkout is up to date" in again.said
    assert end_of(world, world.finish()) == tell.story().end


def test_an_edit_that_cannot_be_brought_along_is_named_and_ends_with_4(tell: Telling) -> None:
    """Who goes on is told of it, with the commands that bring it over; no run calls it theirs to commit."""
    world = killed(tell)
    name = world.repo.git("diff", "--cached", "--name-only").splitlines()[0]
    world.repo.write({name: "mine\n"})
    repaired = world.start("checkout", "repair")
    assert repaired.ended() == OUTSIDE_FAULT
    assert name in repaired.said
    assert (world.repo.path / name).read_text() == "mine\n"
    resumed = world.resume()
    assert resumed.ended() == OUTSIDE_FAULT
    assert "did not follow" in resumed.said
    assert "commit or stash them first" not in resumed.said
    world.repo.git("checkout", "-q", "HEAD", "--", name)
    assert end_of(world, world.finish()) == tell.story().end


def test_a_foreign_lock_is_named_before_anything_moves(tell: Telling) -> None:
    """The run ends with 4; when the lock is gone, it goes on."""
    world = tell.world()
    before = world.repo.head("main")
    lock = world.repo.path / ".git" / "index.lock"
    lock.touch()
    run = world.run(**{patience.VARIABLE: "0.2"})
    assert run.ended() == OUTSIDE_FAULT
    assert str(lock) in run.said
    assert world.repo.head("main") == before
    lock.unlink()
    assert end_of(world, world.finish()) == tell.story().end


def test_a_file_in_the_way_is_named_before_a_gate_runs(tell: Telling) -> None:
    """A patch says itself which files it makes: it is refused at once, and its workstream alone."""
    world = tell.world()
    world.repo.write({"sub/c.txt": "mine\n"})
    run = world.run()
    assert run.ended() == 1
    patches = {task["name"]: task["patch"] for task in world.report()["tasks"]}
    assert patches["second/c"]["reason"]["code"] == "checkout_blocked"
    assert "sub/c.txt" in patches["second/c"]["reason"]["message"]
    assert world.rows(
        "SELECT count(*) FROM gates WHERE patch_id = ?".replace("?", repr(patches["second/c"]["id"]))
    ) == [(0,)]
    assert (world.repo.path / "sub/c.txt").read_text() == "mine\n"
