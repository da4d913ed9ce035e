"""What has landed can be taken back as carefully: real git, real gates, real processes.

See docs/SPECIFICATION.md §2.5.
"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from maingate.db.audit.record_check import verify
from support import patience
from support.crashing import KILLED, World, wait_for
from support.examples import thorough
from support.made_once import made_once
from support.tampering import drop_triggers, rebind, rehash

COUNT = (sys.executable, "-c", "import sys; sys.exit('bad' in open('a.txt').read())")
"""A gate that fails where a.txt says `bad`."""

PAIR = (
    sys.executable,
    "-c",
    """import os
a = 'use' in open('a.txt').read()
print('a needs d')
raise SystemExit(a and not os.path.exists('d.txt'))""",
)
"""A gate that fails where a.txt uses d.txt and d.txt is not there."""


FILES = {"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n", "c.txt": "c\n"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a repository with a few files."""
    return World.create(tmp_path, FILES)


def gates(*run: str) -> dict[str, Any]:
    """Describe the one gate of a plan."""
    return {"unit": {"type": "UNIT", "run": list(run)}}


Streams = Mapping[str, Mapping[str, Mapping[str, str | None]]]
"""Workstreams, each with tasks that change files one after the other."""


def land(
    world: World, streams: Streams, *, run: tuple[str, ...] = COUNT, is_to_mend: bool = False, **plan: Any
) -> None:
    """Let workstreams have landed in a world in which nothing else was done: once for all tests that ask."""

    def make(folder: Path) -> None:
        land_anew(World.create(folder, FILES), streams, run=run, is_to_mend=is_to_mend, **plan)

    made_once(world.folder, (streams, run, is_to_mend, plan), make)


def land_anew(world: World, streams: Streams, *, run: tuple[str, ...], is_to_mend: bool, **plan: Any) -> None:
    """Land workstreams and check that they did."""
    patches, described = {}, {}
    for name, tasks in streams.items():
        base = world.repo.head()
        for task, files in tasks.items():
            before = world.repo.head()
            world.repo.commit(files)
            patches[f"{name}-{task}"] = world.repo.git_bytes(
                "diff", "--binary", "--full-index", before, "HEAD"
            )
        world.repo.git("reset", "-q", "--hard", base)
        described[name] = {"tasks": {task: {"patch": f"{name}-{task}"} for task in tasks}}
    gate = gates(*run)
    gate["unit"]["red_on_base"] = is_to_mend
    world.write_plan(patches, workstreams=described, gates=gate, **plan)
    command = world.run()
    assert command.ended() == 0, command.said


def roll_back(world: World, what: str, *more: str, code: int = 0, fault: str = "") -> dict[str, Any]:
    """Roll something back and return what was printed; only what was said when it failed to start."""
    command = world.start("rollback", what, "--reason", "it was wrong", "--json", *more, fault=fault)
    assert command.ended() == code, command.said
    text = command.out.read_text()
    told: dict[str, Any] = json.loads(text[text.index("{") :]) if "{" in text else {"said": command.said}
    return told


def states(world: World) -> dict[str, str]:
    """Give the state of each task's patch."""
    sql = "SELECT t.name, p.state FROM patches p JOIN tasks t ON t.id = p.task_id ORDER BY p.created_at"
    return dict(world.rows(sql))


def assert_sound(world: World) -> None:
    """Nothing is left open, every chain holds, the checkout is clean and no process is left."""
    assert world.rows("SELECT id FROM intents WHERE state = 'pending'") == []
    assert world.rows("SELECT id FROM gates WHERE state IN ('PENDING', 'RUNNING')") == []
    assert world.rows("SELECT id FROM workers WHERE state <> 'shutdown'") == []
    assert world.repo.git("status", "--porcelain") == ""
    assert world.processes() == []
    with world.open() as maingate:
        assert verify(maingate.database).is_intact


ONE = {"ws": {"x": {"a.txt": "1\ntwo\nthree\n"}, "y": {"b.txt": "B\n"}}}


@pytest.mark.parametrize("style", ["merge", thorough("squash"), thorough("rebase")])
def test_a_workstream_is_rolled_back_whole(world: World, style: str) -> None:
    """The target has the tree it had before, as new commits that say why; the ledger says `rolled_back`."""
    tree = world.repo.tree("main")
    land(world, ONE, landing=style)
    landed = world.repo.head("main")
    assert world.repo.tree("main") != tree
    told = roll_back(world, "ws", "--operator", "ada")
    assert told["state"] == "rolled_back"
    assert told["target"] == {"ref": "refs/heads/main", "old": landed, "new": world.repo.head("main")}
    assert told["gates"] == ["unit"]
    assert world.repo.tree("main") == tree
    assert world.repo.git("rev-list", "--count", f"{landed}..main") == ("2" if style == "rebase" else "1")
    message = world.repo.git("log", "-1", "--format=%B", "main")
    assert "it was wrong" in message
    assert "Maingate-Rollback: rollback_" in message
    assert states(world) == {"x": "rolled_back", "y": "rolled_back"}
    assert {each["commit"] is not None for each in told["patches"]} == {True}
    assert (world.repo.path / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert_sound(world)
    [said] = world.rows("SELECT severity, operator, reason FROM events WHERE event_type = 'rollback'")
    assert said[:2] == ("critical", "ada")
    assert "it was wrong" in said[2]


@pytest.mark.parametrize("style", ["squash", thorough("merge"), thorough("rebase")])
def test_one_patch_of_several_is_rolled_back_alone(world: World, style: str) -> None:
    """Whatever the style of the landing, the other patch stays on the target."""
    land(world, ONE, landing=style)
    roll_back(world, "ws/x")
    assert world.repo.git("show", "main:a.txt") == "one\ntwo\nthree"
    assert world.repo.git("show", "main:b.txt") == "B"
    assert states(world) == {"x": "rolled_back", "y": "committed"}
    roll_back(world, "ws")
    assert world.repo.git("show", "main:b.txt") == "b"
    assert states(world) == {"x": "rolled_back", "y": "rolled_back"}
    assert_sound(world)


@pytest.mark.parametrize("style", ["rebase", thorough("merge"), thorough("squash")])
def test_a_run_is_rolled_back_newest_first_as_one_step(world: World, style: str) -> None:
    """Changes that build on each other come off in the other order; nobody sees a state between."""
    tree = world.repo.tree("main")
    first = {
        "one": {"x": {"a.txt": "1\ntwo\nthree\n"}},
        "two": {"y": {"b.txt": "B\n"}, "z": {"b.txt": "BB\n"}},
    }
    land(world, first, landing=style)
    landed = world.repo.head("main")
    run_id = world.report()["run_id"]
    roll_back(world, run_id)
    assert world.repo.tree("main") == tree
    assert set(states(world).values()) == {"rolled_back"}
    steps = world.repo.git("rev-list", "--count", "--first-parent", f"{landed}..main")
    assert steps == ("3" if style == "rebase" else "1")
    assert_sound(world)


def test_what_others_changed_meanwhile_stays(world: World) -> None:
    """A rollback takes back its patch, not the history since."""
    land(world, ONE)
    world.repo.commit({"c.txt": "C\n", "a.txt": "1\ntwo\nIII\n"}, "by hand")
    roll_back(world, "ws")
    assert world.repo.git("show", "main:a.txt") == "one\ntwo\nIII"
    assert world.repo.git("show", "main:c.txt") == "C"
    assert_sound(world)


def test_a_conflict_changes_nothing_and_says_so(world: World) -> None:
    """Later changes of the same lines keep a revert from being made; exit code 1, branch and ledger stay."""
    land(world, ONE)
    head = world.repo.commit({"a.txt": "uno\ntwo\nthree\n"}, "by hand")
    told = roll_back(world, "ws", code=1)
    assert told["reason"]["code"] == "conflict"
    assert "a.txt" in told["reason"]["message"]
    assert world.repo.head("main") == head
    assert states(world) == {"x": "committed", "y": "committed"}
    assert_sound(world)


def test_a_dependent_patch_shows_as_a_red_gate_with_its_output(world: World) -> None:
    """What later patches need is not taken away from under them."""
    streams = {"base": {"d": {"d.txt": "d\n"}}, "user": {"u": {"a.txt": "use\ntwo\nthree\n"}}}
    land_in_order(world, streams)
    head = world.repo.head("main")
    told = roll_back(world, "base", code=1)
    assert told["reason"]["code"] == "gate_failed"
    assert "a needs d" in told["reason"]["detail"]["output"]
    assert world.repo.head("main") == head
    assert states(world) == {"d": "committed", "u": "committed"}
    assert world.rows("SELECT count(*) FROM events WHERE event_type = 'rollback_refused'") == [(1,)]
    assert_sound(world)
    told = roll_back(world, world.report()["run_id"])
    assert told["state"] == "rolled_back"


def land_in_order(world: World, streams: Mapping[str, Mapping[str, Mapping[str, str | None]]]) -> None:
    """Land workstreams of which the second needs the first."""
    patches = {}
    for tasks in streams.values():
        for task, files in tasks.items():
            patches[task] = world.repo.diff_of(files)
    described: dict[str, Any] = {
        name: {"tasks": {task: {"patch": task, "gates": []} for task in tasks}}
        for name, tasks in streams.items()
    }
    described["user"]["needs"] = ["base"]
    world.write_plan(patches, workstreams=described, gates=gates(*PAIR))
    command = world.run()
    assert command.ended() == 0, command.said


def test_a_red_target_may_be_made_green_by_a_rollback(world: World) -> None:
    """Only the result must pass; where it fails without the rollback too, that is said."""
    land(world, ONE)
    world.repo.commit({"a.txt": "1\ntwo\nthree\nbad\n"}, "somebody broke it")
    told = roll_back(world, "ws/y", code=1)
    assert told["reason"]["code"] == "base_red"
    assert states(world) == {"x": "committed", "y": "committed"}


@pytest.mark.parametrize("later", [{}, {"a.txt": "one\nzwei\nthree\n"}])
def test_what_was_reverted_by_hand_only_moves_the_ledger(world: World, later: dict[str, str | None]) -> None:
    """A revert by hand is recognised, also when the lines were changed again since."""
    land(world, ONE)
    world.repo.git("revert", "-m", "1", "--no-edit", "main")
    if later:
        world.repo.commit({"a.txt": "1st\ntwo\nthree\n"}, "since")
    head = world.repo.head("main")
    told = roll_back(world, "ws")
    assert world.repo.head("main") == head
    assert [each["by_hand"] for each in told["patches"]] == [True, True]
    assert states(world) == {"x": "rolled_back", "y": "rolled_back"}
    assert_sound(world)


def test_a_dirty_checkout_is_refused_before_anything_starts(world: World) -> None:
    """A person's changes are never touched; exit code 2."""
    land(world, ONE)
    head, ran = world.repo.head("main"), world.rows("SELECT count(*) FROM gates")
    world.repo.write({"c.txt": "mine\n"})
    told = roll_back(world, "ws", code=2)
    assert "uncommitted changes" in told["said"]
    assert world.repo.head("main") == head
    assert world.rows("SELECT count(*) FROM gates") == ran


def test_only_what_is_on_the_target_can_be_rolled_back(world: World) -> None:
    """Again is refused with a sentence, and so is what is not known."""
    land(world, ONE)
    roll_back(world, "ws/x")
    assert "already rolled back" in roll_back(world, "ws/x", code=2)["said"]
    assert "not found: " in roll_back(world, "nonsense", code=2)["said"]


def test_it_does_not_run_beside_a_run_on_the_same_target(world: World) -> None:
    """A living process holds the target; a rollback is refused with who does."""
    land(world, ONE)
    waiting = world.folder / "go"
    wait = f"import os, time\nwhile not os.path.exists({str(waiting)!r}): time.sleep(0.02)"
    diff = world.repo.diff_of({"c.txt": "C\n"})
    world.write_plan(
        {"p": diff},
        workstreams={"w": {"tasks": {"t": {"patch": "p"}}}},
        gates=gates(sys.executable, "-c", wait),
    )
    command = world.run()
    wait_for(command, lambda: world.rows("SELECT id FROM gates WHERE state = 'RUNNING'"))
    assert "is held by" in roll_back(world, "ws/x", "--run", oldest_run(world), code=4)["said"]
    waiting.touch()
    assert command.ended() == 0, command.said
    roll_back(world, "ws/x")
    assert_sound(world)


def oldest_run(world: World) -> str:
    """Give the id of the first run."""
    [(run_id,)] = world.rows("SELECT id FROM runs ORDER BY created_at LIMIT 1")
    return str(run_id)


@pytest.mark.parametrize(
    ("place", "is_moved"),
    [
        ("transaction.inside", False),
        thorough("rollback.intent", False),
        ("rollback.before-ref", False),
        ("rollback.after-ref", True),
        thorough("rollback.after-checkout", True),
        ("rollback.booked", True),
    ],
)
def test_a_rollback_that_is_killed_is_finished_or_forgotten(world: World, place: str, is_moved: bool) -> None:
    """Killed anywhere, the branch says whether it happened, and the next command makes the ledger agree."""
    tree = world.repo.tree("main")
    land(world, ONE)
    landed = world.repo.head("main")
    roll_back(world, "ws", code=KILLED, fault=place)
    assert (world.repo.head("main") != landed) is is_moved
    if place == "rollback.booked":
        assert "already" in roll_back(world, "ws", code=2)["said"]
    else:
        told = roll_back(world, "ws")
        assert told["state"] == "rolled_back"
        assert all(each["commit"] for each in told["patches"])
    assert world.repo.tree("main") == tree
    assert world.repo.git("rev-list", "--count", f"{landed}..main") == "1"
    assert states(world) == {"x": "rolled_back", "y": "rolled_back"}
    assert world.rows("SELECT count(*) FROM events WHERE event_type = 'rollback'") == [(1,)]
    assert world.start("resume").ended() == 2, "there is no run to resume; it only clears up"
    assert_sound(world)


def test_another_plan_on_the_target_finishes_a_killed_rollback(world: World) -> None:
    """Whoever takes the target next settles it; nobody has to know that there was one."""
    land(world, ONE)
    roll_back(world, "ws", code=KILLED, fault="rollback.after-ref")
    assert states(world) == {"x": "committed", "y": "committed"}
    world.unlock_by_hand()
    world.repo.git("reset", "-q", "--hard")
    diff = world.repo.diff_of({"c.txt": "C\n"})
    world.write_plan({"p": diff}, workstreams={"w": {"tasks": {"t": {"patch": "p"}}}}, gates={})
    command = world.run()
    assert command.ended() == 0, command.said
    assert states(world) == {"x": "rolled_back", "y": "rolled_back", "t": "committed"}
    assert world.repo.git("show", "main:a.txt") == "one\ntwo\nthree"
    assert_sound(world)


def change_gate(world: World, command: str) -> None:
    """Let the gate of the plan on record be another, as if it had been from the beginning."""
    with world.open() as maingate:
        with maingate.database.write() as conn:
            [(stored,)] = conn.exec_driver_sql("SELECT plan FROM runs").fetchall()
            plan = json.loads(stored)
            plan["gates"]["unit"]["run"] = command
            drop_triggers(conn)
            conn.exec_driver_sql("UPDATE runs SET plan = ?", (json.dumps(plan),))
            rebind(conn)
            rehash(conn)
        maingate.paths.transitions.unlink()


def test_a_target_that_moves_meanwhile_is_judged_anew(world: World) -> None:
    """What somebody pushes while the gates run is kept, and the rollback is proved on top of it."""
    land(world, ONE)
    flag = world.folder / "push"
    push = (
        f"cd {world.repo.path} && echo C > c.txt && git -c user.name=A -c user.email=a@b commit -qam pushed"
    )
    change_gate(world, f"if [ -e {flag} ]; then rm {flag}; {push}; fi")
    flag.touch()
    told = roll_back(world, "ws")
    assert told["state"] == "rolled_back"
    assert world.repo.git("show", "main:c.txt") == "C"
    assert world.repo.git("show", "main:a.txt") == "one\ntwo\nthree"
    assert world.repo.git("log", "-1", "--format=%s", "main^") == "pushed"
    assert_sound(world)


def test_a_person_may_interrupt_it_and_nothing_has_changed(world: World) -> None:
    """Exit code 3; neither branch nor ledger moved, and nothing of it is left."""
    land(world, ONE)
    head = world.repo.head("main")
    change_gate(world, "sleep 600")
    command = world.start("rollback", "ws", "--reason", "r")
    wait_for(command, lambda: world.rows("SELECT id FROM gates WHERE state = 'RUNNING'"))
    command.send(signal.SIGINT)
    assert command.ended() == 3, command.said
    assert "nothing was changed" in command.said
    assert world.repo.head("main") == head
    assert states(world) == {"x": "committed", "y": "committed"}
    assert_sound(world)


def test_a_part_of_an_interrupted_run_is_rolled_back_and_the_rest_goes_on(world: World) -> None:
    """What landed before the interruption may go; what has not landed yet lands without it."""
    flag = world.folder / "go"
    patches = {
        "p": world.repo.diff_of({"a.txt": "1\ntwo\nthree\n"}),
        "q": world.repo.diff_of({"c.txt": "C\n"}),
    }
    wait = f"while [ ! -e {flag} ]; do sleep 0.02; done"
    streams: dict[str, Any] = {
        "one": {"tasks": {"t": {"patch": "p"}}},
        "two": {"needs": ["one"], "tasks": {"wait": {"command": wait}, "t": {"patch": "q"}}},
    }
    world.write_plan(patches, workstreams=streams, gates=gates(*COUNT))
    command = world.run()
    begun = "SELECT 1 FROM tasks WHERE name = 'wait' AND state = 'running'"
    wait_for(command, lambda: world.has_begun and world.rows(begun))
    command.send(signal.SIGKILL)
    command.ended()
    assert roll_back(world, "one")["state"] == "rolled_back"
    flag.touch()
    resumed = world.resume()
    assert resumed.ended() == 0, resumed.said
    assert world.repo.git("show", "main:a.txt") == "one\ntwo\nthree"
    assert world.repo.git("show", "main:c.txt") == "C"
    assert world.rows("SELECT state FROM patches ORDER BY state") == [("committed",), ("rolled_back",)]
    assert_sound(world)


# -- refused patches -----------------------------------------------------------------------------------------


def tell(world: World, *words: str, code: int = 0) -> Any:
    """Run a command line and return its JSON, or what it said when it printed none."""
    command = world.start(*words)
    assert command.ended() == code, command.said
    text = command.out.read_text()
    starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    return json.loads(text[min(starts) :]) if "--json" in words and starts else command.said


def refuse_one(
    world: World, stream: Mapping[str, Any] = MappingProxyType({}), code: int = 1, **task: Any
) -> str:
    """Have a patch refused by its gate, once for all tests that ask; return its id."""

    def make(folder: Path) -> None:
        fresh = World.create(folder, FILES)
        diff = fresh.repo.diff_of({"a.txt": "bad\ntwo\nthree\n"})
        ws = {"tasks": {"t": {"patch": "p", **task}}, **stream}
        fresh.write_plan({"p": diff}, workstreams={"ws": ws}, gates=gates(*COUNT))
        assert fresh.run().ended() == code

    made_once(world.folder, ("refused", dict(stream), code, task), make)
    [(patch_id,)] = world.rows("SELECT id FROM patches WHERE state = 'quarantined'")
    return str(patch_id)


def test_a_refused_patch_is_recovered_by_a_better_one(world: World) -> None:
    """A new run of one task with the same gates; run, task and patch say what they repeat."""
    old = refuse_one(world)
    better = world.folder / "better.patch"
    better.write_bytes(world.repo.diff_of({"a.txt": "good\ntwo\nthree\n"}))
    told = tell(world, "patch", "recover", old, "--patch", str(better), "--json")
    assert told["state"] == "succeeded"
    assert world.repo.git("show", "main:a.txt") == "good\ntwo\nthree"
    assert world.rows("SELECT state, replaces FROM patches ORDER BY created_at") == [
        ("quarantined", None),
        ("committed", old),
    ]
    [(repeats, task)] = world.rows(
        "SELECT r.retry_of, t.retry_of FROM runs r JOIN tasks t ON t.run_id = r.id"
        " WHERE r.retry_of IS NOT NULL"
    )
    assert repeats.startswith("run_")
    assert task.startswith("task_")
    assert_sound(world)


def test_the_same_patch_is_tried_again_and_refused_again(world: World) -> None:
    """Without a better diff the same one meets the target of today; what has not changed fails again."""
    old = refuse_one(world)
    told = tell(world, "patch", "recover", old, "--json", code=1)
    assert told["state"] == "failed"
    assert told["tasks"][0]["patch"]["state"] == "quarantined"


def test_a_tool_that_the_plan_does_not_have_is_refused_with_those_that_it_has(world: World) -> None:
    """Before a run is made for it."""
    old = refuse_one(world)
    said = tell(world, "patch", "recover", old, "--tool", "claude", code=2)
    assert "has no tool 'claude': it has no tools" in said
    diff = world.repo.diff_of({"a.txt": "bad\ntwo\nthree\n"})
    tools = {"robot": {"run": "true"}, "helper": {"run": "true"}}
    world.write_plan(
        {"p": diff}, workstreams={"p": {"tasks": {"t": {"patch": "p"}}}}, gates=gates(*COUNT), tools=tools
    )
    assert world.run().ended() == 1
    said = tell(world, "patch", "recover", "p/t", "--tool", "robt", code=2)
    assert "has no tool 'robt': its tools are helper, robot; did you mean 'robot'?" in said
    assert len(world.rows("SELECT id FROM runs")) == 2


@pytest.mark.parametrize("optional", ["task", thorough("workstream"), "both"])
def test_a_recovery_succeeds_only_if_what_was_asked_for_lands(world: World, optional: str) -> None:
    """That others could do without a patch is of the plan that it comes from; here it is all there is."""
    stream = {"critical": False} if optional != "task" else {}
    task = {"critical": False} if optional != "workstream" else {}
    old = refuse_one(world, stream, code=0, **task)
    told = tell(world, "patch", "recover", old, "--json", code=1)
    assert told["state"] == "failed"
    assert told["tasks"][0]["patch"]["reason"]["code"] == "gate_failed"
    better = world.folder / "better.patch"
    better.write_bytes(world.repo.diff_of({"a.txt": "good\ntwo\nthree\n"}))
    assert tell(world, "patch", "recover", old, "--patch", str(better), "--json")["state"] == "succeeded"


def test_a_quarantined_patch_can_be_dropped_and_no_other(world: World) -> None:
    """The reason and the operator are on record; again is refused."""
    old = refuse_one(world)
    told = tell(world, "patch", "drop", old, "--reason", "not worth it", "--operator", "ada", "--json")
    assert told["state"] == "dropped"
    assert "not worth it" in told["reason"]["message"]
    assert "dropped" in tell(world, "patch", "drop", old, "--reason", "again", code=2)
    said = "SELECT operator FROM events WHERE event_type = 'manual_override' AND trigger = 'drop'"
    assert world.rows(said) == [("ada",)]
    assert "changes nothing any more" in tell(world, "patch", "approve", old, code=2)


# -- what a rollback brings about ----------------------------------------------------------------------------

TOLD = 'printf "%s|" "$MAINGATE_WORKSTREAM" "$MAINGATE_ROLLBACK" "$MAINGATE_REASON" "$MAINGATE_PATCHES"'
"""A shell command that prints what an `on_rollback` command is told, in one line."""


def land_with(world: World, streams: Mapping[str, Any], on_rollback: Mapping[str, Any], **plan: Any) -> None:
    """Land workstreams that have `on_rollback` commands."""
    patches, described = {}, {}
    for name, tasks in streams.items():
        for task, files in tasks.items():
            patches[f"{name}-{task}"] = world.repo.diff_of(files)
        described[name] = {
            "tasks": {task: {"patch": f"{name}-{task}"} for task in tasks},
            "on_rollback": on_rollback[name],
        }
    world.write_plan(patches, workstreams=described, gates=gates(*COUNT), **plan)
    command = world.run()
    assert command.ended() == 0, command.said


def compensations(world: World) -> list[tuple[str, str, int]]:
    """Give what is on record of `on_rollback` commands: type, severity and number, in their order."""
    sql = (
        "SELECT event_type, severity, metadata FROM events WHERE event_type LIKE 'on_rollback%' ORDER BY seq"
    )
    return [(kind, severity, json.loads(facts)["number"]) for kind, severity, facts in world.rows(sql)]


def test_what_a_workstream_brought_about_is_undone_once_nothing_of_it_is_left(world: World) -> None:
    """After its last patch, on the target's new head, with all that its commands need to know."""
    said = world.folder / "undone"
    command = f"{TOLD} >> {said}; git rev-parse HEAD >> {said}; cat b.txt >> {said}"
    land_with(world, ONE, {"ws": [command, ["touch", str(world.folder / "second")]]})
    roll_back(world, "ws/x")
    assert not said.exists(), "one of its patches is still there"
    assert compensations(world) == []
    told = roll_back(world, "ws/y")
    assert told["notes"] == []
    line, content = said.read_text().splitlines()
    name, rollback, reason, ids, head = line.split("|")
    assert (name, reason, head) == ("ws", "it was wrong", world.repo.head("main"))
    assert world.rows(f"SELECT state FROM intents WHERE id = '{rollback}'") == [("landed",)]
    assert ids.split() == [row[0] for row in world.rows("SELECT id FROM patches ORDER BY created_at, id")]
    assert content == "b", "it runs on what the rollback made"
    assert (world.folder / "second").exists()
    assert compensations(world) == [("on_rollback", "info", 1), ("on_rollback", "info", 2)]
    assert_sound(world)
    assert "already" in roll_back(world, "ws", code=2)["said"], "nothing is owed any more"
    assert len(said.read_text().splitlines()) == 2


def test_the_newest_landed_workstream_is_undone_first(world: World) -> None:
    """A run is undone in the other order; what was undone before is left alone."""
    said = world.folder / "order"
    streams = {
        "one": {"x": {"a.txt": "1\ntwo\nthree\n"}},
        "two": {"y": {"b.txt": "B\n"}},
        "three": {"z": {"c.txt": "C\n"}},
    }
    land_with(world, streams, {name: [f"echo $MAINGATE_WORKSTREAM >> {said}"] for name in streams})
    landed = world.rows(
        "SELECT w.name FROM intents i JOIN workstreams w ON w.id = i.workstream_id ORDER BY i.created_at"
    )
    roll_back(world, "two")
    assert said.read_text().split() == ["two"]
    roll_back(world, oldest_run(world))
    assert said.read_text().split() == ["two", *(name for (name,) in landed[::-1] if name != "two")]
    assert_sound(world)


def test_a_command_that_fails_undoes_nothing_and_is_told(world: World) -> None:
    """The rollback stands, the other commands run, and the exit code and the record say what went wrong."""
    second = world.folder / "second"
    land_with(world, ONE, {"ws": ["echo no such deployment; exit 3", f"touch {second}"]})
    tree = world.repo.tree("main~1")
    command = world.start("rollback", "ws", "--reason", "r")
    assert command.ended() == 1
    assert "the rollback itself stands" in command.said
    assert "on_rollback 1 of ws exited with 3: no such deployment" in command.said
    assert states(world) == {"x": "rolled_back", "y": "rolled_back"}
    assert world.repo.tree("main") == tree
    assert second.exists()
    assert compensations(world) == [("on_rollback_failed", "error", 1), ("on_rollback", "info", 2)]
    [event] = tell(world, "events", "--type", "on_rollback_failed", "--json")
    assert (event["metadata"]["exit_code"], event["metadata"]["output"]) == (3, "no such deployment\n")
    assert_sound(world)


def test_a_rollback_that_is_refused_undoes_nothing_outside(world: World) -> None:
    """Nor does one whose gates fail; what is still on the target keeps its effects."""
    said = world.folder / "undone"
    land_with(world, ONE, {"ws": [f"touch {said}"]})
    world.repo.commit({"a.txt": "uno\ntwo\nthree\n"}, "by hand")
    roll_back(world, "ws", code=1)
    assert not said.exists()
    assert compensations(world) == []


@pytest.mark.parametrize(
    ("place", "ran"),
    [
        ("rollback.after-ref", ["1", "2"]),
        thorough("rollback.booked", ["1", "2"]),
        ("compensation.before@2", ["1", "2"]),
        thorough("compensation.recorded", ["1", "2"]),
        ("compensation.recorded@2", ["1", "2"]),
    ],
)
def test_what_a_killed_rollback_still_owed_is_run_by_the_next(
    world: World, place: str, ran: list[str]
) -> None:
    """The record says which commands ran; the same command again runs the rest."""
    said = world.folder / "undone"
    land_with(world, ONE, {"ws": [f"echo 1 >> {said}", f"echo 2 >> {said}"]})
    roll_back(world, "ws", code=KILLED, fault=place)
    if place == "compensation.recorded@2":
        assert "already" in roll_back(world, "ws", code=2)["said"]
    else:
        assert roll_back(world, "ws")["state"] == "rolled_back"
    assert said.read_text().split() == ran
    assert [number for _, _, number in compensations(world)] == [1, 2]
    assert world.start("resume").ended() == 2, "there is no run to resume; it only clears up"
    assert_sound(world)


def test_a_failure_that_a_killed_rollback_told_nobody_is_told_by_the_next(world: World) -> None:
    """Also when all that is left to run goes well; later it is said where to look."""
    land_with(world, ONE, {"ws": ["echo no such deployment; exit 3", "true"]})
    roll_back(world, "ws", code=KILLED, fault="compensation.recorded")
    again = world.start("rollback", "ws", "--reason", "r")
    assert again.ended() == 1
    assert "on_rollback 1 of ws exited with 3: no such deployment" in again.said
    said = roll_back(world, "ws", code=2)["said"]
    assert "1 on_rollback command failed then: `maingate events --type on_rollback_failed`" in said


def test_a_name_means_what_is_on_the_target_whatever_came_later(world: World) -> None:
    """A later run of the same plan that lands nothing hides nothing."""
    land(world, ONE)
    first, tree = oldest_run(world), world.repo.tree("main~1")
    assert world.run().ended() == 0
    assert roll_back(world, "ws")["what"] == f"workstream ws of {first}"
    assert world.repo.tree("main") == tree
    assert f"workstream ws of {first} is already rolled back" in roll_back(world, "ws", code=2)["said"]


def test_a_rollback_of_what_was_rolled_back_names_the_command_that_lands_it_again(world: World) -> None:
    """By what it took back, by the commit that it made, and by its own id."""
    land(world, ONE)
    roll_back(world, "ws")
    patch = world.rows("SELECT id FROM patches ORDER BY created_at, id")[0][0]
    ((rollback,),) = world.rows("SELECT id FROM intents WHERE kind = 'rollback'")
    assert f"`maingate patch recover {patch}` lands it again" in roll_back(world, patch, code=2)["said"]
    for what in ("ws", world.repo.head("main")[:10], rollback):
        assert "`maingate patch recover patch_" in roll_back(world, what, code=2)["said"]
    before = world.repo.head("main")
    assert world.start("patch", "recover", patch).ended() == 0
    assert world.repo.head("main") != before


def test_what_made_a_gate_green_can_be_taken_back_while_nobody_else_needs_it(world: World) -> None:
    """The gate is red again then, as it was before; while something that landed under it stays, it counts."""
    mending = {"ws": {"x": {"d.txt": "d\n"}, "y": {"b.txt": "B\n"}}}
    land(world, mending, run=("sh", "-c", "test -e d.txt"), is_to_mend=True)
    assert roll_back(world, "ws/x", code=1)["reason"]["code"] == "gate_failed"
    assert roll_back(world, "ws")["gates"] == []
    assert states(world) == {"x": "rolled_back", "y": "rolled_back"}


def test_what_is_in_the_way_in_the_checkout_is_named_and_kept(world: World) -> None:
    """An untracked file where a rollback would put one back: nothing is started, nothing overwritten."""
    land(world, {"ws": {"x": {"c.txt": None}}})
    (world.repo.path / "c.txt").write_text("mine\n")
    before = world.repo.head("main")
    said = roll_back(world, "ws", code=4)["said"]
    assert "c.txt is not tracked and would be overwritten; commit, stash or move that away first" in said
    assert "Nothing was changed; fix that, then roll" in said
    assert (world.repo.head("main"), (world.repo.path / "c.txt").read_text()) == (before, "mine\n")


def test_a_lock_of_anothers_in_the_way_of_a_rollback_is_not_to_be_committed(world: World) -> None:
    """What is advised suits what is in the way: a lock file is no work of anybody's."""
    land(world, {"ws": {"x": {"c.txt": None}}})
    lock = world.repo.path / ".git" / "index.lock"
    lock.touch()
    before = world.repo.head("main")
    world.environment = {patience.VARIABLE: "0.2"}
    said = roll_back(world, "ws", code=4)["said"]
    assert "index.lock` helps. Nothing was changed; fix that, then roll back again" in said
    assert "commit" not in said
    assert world.repo.head("main") == before


@pytest.mark.parametrize(
    ("style", "what"),
    [("merge", "workstream ws"), thorough("squash", "workstream ws"), ("rebase", "patch patch_")],
)
def test_what_is_rolled_back_may_be_told_by_its_commit(world: World, style: str, what: str) -> None:
    """What a log shows: a merge and a squash are a workstream, another commit is the patch in it."""
    land(world, ONE, landing=style)
    tip = world.repo.head("main")
    assert roll_back(world, tip[:12])["what"].startswith(what)
    expected = {"x": "committed"} if style == "rebase" else {"x": "rolled_back"}
    assert states(world) == {**expected, "y": "rolled_back"}
    assert "not found: " in roll_back(world, "0123456789ab", code=2)["said"]


def test_a_command_that_a_person_interrupts_is_run_by_the_next(world: World) -> None:
    """Exit code 3; the rollback stands, nothing of the command is left, and again runs it."""
    flag, said = world.folder / "go", world.folder / "undone"
    wait = f"touch {said}.began; [ -e {flag} ] || sleep 600; echo done >> {said}"
    land_with(world, ONE, {"ws": [wait]})
    command = world.start("rollback", "ws", "--reason", "r")
    wait_for(command, Path(f"{said}.began").exists)
    command.send(signal.SIGINT)
    assert command.ended() == 3, command.said
    assert "the rollback stands" in command.said
    assert states(world) == {"x": "rolled_back", "y": "rolled_back"}
    assert compensations(world) == []
    assert_sound(world)
    flag.touch()
    roll_back(world, "ws")
    assert said.read_text() == "done\n"


# -- who wants to be told ------------------------------------------------------------------------------------

VARIABLES = ("EVENT", "RUN", "STATE", "MESSAGE")


def notifying(file: Path) -> str:
    """Give a command that writes down where it runs and what it is told."""
    told = " ".join(f'"$MAINGATE_{name}"' for name in VARIABLES)
    return f'printf "%s|" "$PWD" {told} "$NOT_ALLOWED" >> {file}; echo >> {file}'


def told_in(file: Path) -> list[list[str]]:
    """Read what such a command wrote: place, event, run, state, message, and what it must not see."""
    return [line.split("|")[:-1] for line in file.read_text().splitlines()] if file.exists() else []


def test_rollbacks_are_told_of_done_or_refused(world: World) -> None:
    """In the repository's root, with the environment that gates have."""
    file = world.folder / "told"
    land_with(world, ONE, {"ws": []}, notify=[notifying(file)])
    assert told_in(file) == [], "the run went well"
    head = world.repo.head("main")
    world.repo.commit({"a.txt": "uno\ntwo\nthree\n"}, "by hand")
    command = world.start("rollback", "ws", "--reason", "r", NOT_ALLOWED="secret")
    assert command.ended() == 1
    world.repo.git("reset", "-q", "--hard", head)
    roll_back(world, "ws")
    run_id, place = oldest_run(world), str(world.repo.path)
    refused, done = told_in(file)
    assert refused[:4] == [place, "rollback", run_id, "refused"]
    assert "a.txt" in refused[4]
    assert refused[5] == ""
    assert done == [place, "rollback", run_id, "rolled_back", "workstream ws: it was wrong", ""]


def test_the_end_of_a_run_is_told_of_when_something_went_wrong(world: World) -> None:
    """A patch in quarantine is enough, though the run succeeded; one that is resumed is told of once."""
    file = world.folder / "told"
    patches = {"good": world.repo.diff_of({"c.txt": "C\n"}), "bad": world.repo.diff_of({"a.txt": "bad\n"})}
    streams: dict[str, Any] = {
        "ws": {"tasks": {"good": {"patch": "good"}}},
        "other": {"critical": False, "tasks": {"bad": {"patch": "bad"}}},
    }
    world.write_plan(patches, workstreams=streams, gates=gates(*COUNT), notify=[notifying(file)])
    assert world.run(fault="landing.after-ref").ended() == KILLED
    assert told_in(file) == [], "it has not ended"
    command = world.resume()
    assert command.ended() == 0, command.said
    [(place, event, run_id, state, message, _)] = told_in(file)
    assert (place, event, state) == (str(world.repo.path), "run_ended", "succeeded")
    assert run_id == oldest_run(world)
    assert "in quarantine: other/bad" in message


@pytest.mark.parametrize(("place", "before"), [("notify.owed", 0), ("notify.delivered", 1)])
def test_a_message_of_a_killed_process_is_delivered_by_the_next_one(
    world: World, place: str, before: int
) -> None:
    """At least once, and recorded once: the run has ended, so nothing else would ever tell of it."""
    file = world.folder / "told"
    bad = {"p": world.repo.diff_of({"a.txt": "bad\n"})}
    stream = {"ws": {"tasks": {"t": {"patch": "p"}}}}
    world.write_plan(bad, workstreams=stream, gates=gates(*COUNT), notify=[notifying(file), "exit 7"])
    assert world.run(fault=place).ended() == KILLED
    assert world.report()["state"] == "failed"
    assert len(told_in(file)) == before
    said = tell(world, "resume", code=2)
    assert "notify 2 exited with 7" in said
    assert [line[1:4] for line in told_in(file)] == [["run_ended", oldest_run(world), "failed"]] * (
        before + 1
    )
    for _ in range(2):
        tell(world, "resume", code=2)
    assert len(told_in(file)) == before + 1
    warnings = world.rows("SELECT reason FROM events WHERE event_type = 'warning'")
    assert len([reason for (reason,) in warnings if "notify 2" in reason]) == 1


def test_a_rollback_of_a_killed_process_is_told_of_by_the_next_run(world: World) -> None:
    """With the names of its tasks, since the words of the person are gone with the process."""
    file = world.folder / "told"
    land_with(world, ONE, {"ws": []}, notify=[notifying(file)])
    fault = world.start("rollback", "ws", "--reason", "it was wrong", fault="notify.owed")
    assert fault.ended() == KILLED
    assert told_in(file) == []
    world.write_plan({}, workstreams={"w": {"tasks": {"t": {"noop": True}}}})
    assert world.run().ended() == 0
    [(_, event, run_id, state, message, _)] = told_in(file)
    assert (event, run_id, state) == ("rollback", oldest_run(world), "rolled_back")
    assert message.startswith("rollback of ws/")
    assert message.endswith(": it was wrong")


def test_a_run_that_failed_is_told_of_and_what_fails_with_that_is_a_warning(world: World) -> None:
    """The exit code is the run's; a command that does not end is ended with all that it started."""
    file = world.folder / "told"
    bad = world.repo.diff_of({"a.txt": "bad\n"})
    hanging = f"sh -c 'cd {world.folder}; exec setsid sleep 600' & echo out of order; exit 7"
    world.write_plan(
        {"p": bad},
        workstreams={"ws": {"tasks": {"t": {"patch": "p"}}}},
        gates=gates(*COUNT),
        notify=[hanging, notifying(file)],
    )
    command = world.run()
    assert command.ended() == 1, command.said
    [(_, _, _, state, _, _)] = told_in(file)
    assert state == "failed"
    [(reason,)] = world.rows("SELECT reason FROM events WHERE event_type = 'warning'")
    assert "notify 1 exited with 7: out of order" in json.loads(reason)["message"]
    assert_sound(world)


def test_a_breaker_that_opened_is_told_of(world: World) -> None:
    """Also when the run went well in the end, without the tool."""
    file = world.folder / "told"
    (world.repo.path / "maingate.toml").write_text("breaker_threshold = 1\nbreaker_cooldown = '0.1s'\n")
    world.repo.git("add", "maingate.toml")
    world.repo.git("commit", "-qm", "settings")
    flag = world.folder / "up"
    tool = f"if [ -e {flag} ]; then echo C > c.txt; else touch {flag}; exit 9; fi"
    world.write_plan(
        {},
        tools={"robot": {"run": tool}},
        workstreams={"ws": {"tasks": {"t": {"tool": "robot", "prompt": "do it", "max_retries": 2}}}},
        notify=[notifying(file)],
    )
    command = world.run()
    assert command.ended() == 0, command.said
    [(_, _, _, state, message, _)] = told_in(file)
    assert state == "succeeded"
    assert "robot" in message


# -- hands on the controls -----------------------------------------------------------------------------------


def test_breakers_by_hand(world: World) -> None:
    """A tool can be left alone and used again by a person, with a reason, and the list says so."""
    land(world, ONE)
    told = tell(world, "breaker", "trip", "claude", "--reason", "too dear", "--operator", "ada", "--json")
    assert (told["tool"], told["state"], told["cooldown_seconds"]) == ("claude", "OPEN", 60.0)
    [listed] = tell(world, "breaker", "list", "--json")
    assert "ada: too dear" in listed["reason"]["message"]
    assert "already" in tell(world, "breaker", "trip", "claude", "--reason", "x", code=2)
    assert "paused (circuit breaker open)" in tell(world, "breaker", "list")
    told = tell(world, "breaker", "reset", "claude", "--reason", "paid", "--json")
    assert (told["state"], told["failures"]) == ("CLOSED", 0)
    assert_sound(world)


def interrupted(world: World, command: str) -> None:
    """Leave a run behind whose process was killed while a command of it ran."""
    diff = world.repo.diff_of({"c.txt": "C\n"})
    streams: dict[str, Any] = {
        "ws": {"tasks": {"wait": {"command": command}, "t": {"patch": "p", "needs": ["wait"]}}},
        "after": {"needs": ["ws"], "tasks": {"nothing": {"noop": True}}},
    }
    world.write_plan({"p": diff}, workstreams=streams)
    command_line = world.run()
    begun = "SELECT id FROM uet_workers WHERE state = 'BUSY'"
    wait_for(command_line, lambda: world.has_begun and world.rows(begun))
    command_line.send(signal.SIGKILL)
    assert command_line.ended() == KILLED


def test_a_step_is_taken_as_done_by_hand_and_the_run_goes_on(world: World) -> None:
    """While no process is at work on the run; the event says who and why."""
    interrupted(world, "sleep 600")
    told = tell(
        world, "override", "force-complete", "ws/wait", "--reason", "did it", "--operator", "ada", "--json"
    )
    assert told["state"] == "completed"
    resumed = world.resume()
    assert resumed.ended() == 0, resumed.said
    assert world.repo.git("show", "main:c.txt") == "C"
    assert world.rows("SELECT operator FROM events WHERE event_type = 'manual_override'") == [("ada",)]
    assert_sound(world)


@pytest.mark.parametrize("words", [("force-fail", "ws/wait"), ("fail", "ws")])
def test_a_failure_by_hand_goes_as_far_as_one_of_its_own(world: World, words: tuple[str, str]) -> None:
    """What needs it ends too, nothing lands, and the run ends when it is resumed."""
    head = world.repo.head("main")
    interrupted(world, "sleep 600")
    told = tell(world, "override", *words, "--reason", "never ends", "--json")
    assert told["state"] == "failed"
    assert world.report()["state"] == "failed"
    assert world.resume().ended() == 2
    assert world.repo.head("main") == head
    assert_sound(world)


def test_overrides_obey_the_tables(world: World) -> None:
    """What has ended stays ended."""
    land(world, ONE)
    assert "makes a patch" in tell(world, "override", "force-complete", "ws/x", "--reason", "r", code=2)
    assert "stays ended" in tell(world, "override", "force-fail", "ws/x", "--reason", "r", code=2)
    assert "stays ended" in tell(world, "override", "fail", "ws", "--reason", "r", code=2)
    assert "stays ended" in tell(world, "override", "reset", "ws/x", "--reason", "r", code=2)
    assert "not blocked" in tell(world, "override", "unblock", "ws/x", "--reason", "r", code=2)
    assert "stays ended" in tell(world, "override", "validate", "ws", "--reason", "r", code=2)
    assert world.rows("SELECT id FROM requests") == []


def test_the_process_at_work_does_what_is_decided_by_hand(world: World) -> None:
    """It stops the command, says so, and goes on with what needs it; what does not suit is refused."""
    steps = {
        "wait": {"command": "sleep 600"},
        "t": {"patch": "p", "needs": ["wait"]},
        "more": {"command": "sleep 600", "critical": False},
    }
    world.write_plan({"p": world.repo.diff_of({"c.txt": "C\n"})}, workstreams={"ws": {"tasks": steps}})
    running = world.run()
    begun = "SELECT id FROM uet_workers WHERE state = 'BUSY'"
    wait_for(running, lambda: world.has_begun and len(world.rows(begun)) >= 2)
    said = tell(world, "override", "validate", "ws", "--reason", "r", code=2)
    assert "cannot land without" in said
    done = ("override", "force-complete", "ws/wait", "--reason", "did it", "--operator", "ada")
    told = tell(world, *done, "--json")
    assert (told["name"], told["action"], told["state"]) == ("ws/wait", "force-complete", "completed")
    assert (told["operator"], told["reason"]) == ("ada", None)
    assert "stays ended" in tell(world, *done, code=2)
    wait_for(running, lambda: world.rows("SELECT state FROM tasks WHERE name = 't'") == [("completed",)])
    said = tell(world, "override", "validate", "ws", "--reason", "enough", "--operator", "ada")
    assert said.startswith("ws is validating; ada decided it.")
    assert "resume" not in said
    assert running.ended() == 0, running.said
    assert world.repo.git("show", "main:c.txt") == "C"
    assert world.rows("SELECT trigger, operator FROM events WHERE event_type = 'manual_override'") == [
        ("force-complete", "ada"),
        ("validate", "ada"),
    ]
    assert world.rows("SELECT count(*) FROM requests WHERE answer IS NULL OR is_refused") == [(0,)]
    assert_sound(world)


def test_killed_while_it_decides_by_hand_what_was_decided_is_not_lost(world: World) -> None:
    """Whoever takes the run up next does it, once."""
    interrupted(world, "sleep 600")
    command = ("override", "force-complete", "ws/wait", "--reason", "did it")
    assert world.start(*command, fault="transaction.inside").ended() == KILLED
    assert world.rows("SELECT count(*) FROM requests WHERE answer IS NULL") == [(1,)]
    resumed = world.resume()
    assert resumed.ended() == 0, resumed.said
    assert world.repo.git("show", "main:c.txt") == "C"
    assert world.rows("SELECT count(*) FROM events WHERE event_type = 'manual_override'") == [(1,)]
    assert_sound(world)


# -- which patch was it? -------------------------------------------------------------------------------------


def land_unseen(world: World, style: str) -> None:
    """Land three patches, the second of which breaks a gate that nobody had asked."""
    patches, base = {}, world.repo.head()
    changes = {"x": {"b.txt": "B\n"}, "y": {"a.txt": "bad\ntwo\nthree\n"}, "z": {"c.txt": "C\n"}}
    for name, files in changes.items():
        before = world.repo.head()
        world.repo.commit(files)
        patches[name] = world.repo.git_bytes("diff", "--binary", "--full-index", before, "HEAD")
    world.repo.git("reset", "-q", "--hard", base)
    tasks = {name: {"patch": name, "gates": []} for name in changes}
    world.write_plan(
        patches, workstreams={"ws": {"gates": [], "tasks": tasks}}, gates=gates(*COUNT), landing=style
    )
    command = world.run()
    assert command.ended() == 0, command.said


@pytest.mark.parametrize("style", ["merge", thorough("squash"), thorough("rebase")])
def test_the_patch_that_broke_a_gate_is_found(world: World, style: str) -> None:
    """Whatever the style of the landing; the second time every verdict is known."""
    land_unseen(world, style)
    head = world.repo.head("main")
    told = tell(world, "bisect", "ws", "--gate", "unit", "--json")
    assert (told["state"], told["patch"]["task"]) == ("found", "ws/y")
    assert told["reason"]["detail"]["gate"] == "unit"
    again = tell(world, "bisect", "ws", "--gate", "unit", "--json")
    assert again["patch"] == told["patch"]
    assert again["asked"] == 0
    assert world.repo.head("main") == head
    assert_sound(world)


def test_a_range_is_searched_as_well_and_green_or_always_red_is_said(world: World) -> None:
    """Commits of people are found by their ids; exit code 1 when it fails from the beginning."""
    land(world, ONE)
    start = world.repo.git("rev-list", "--max-parents=0", "main")
    for number in range(4):
        world.repo.commit({"n.txt": f"{number}\n"})
    bad = world.repo.commit({"a.txt": "bad\n"}, "by hand")
    world.repo.commit({"n.txt": "last\n"})
    told = tell(world, "bisect", f"{start}..", "--gate", "unit", "--json")
    assert (told["state"], told["commit"], told["patch"]) == ("found", bad, None)
    assert tell(world, "bisect", "ws", "--gate", "unit", "--json")["state"] == "green"
    assert "already" in tell(world, "bisect", f"{bad}..", "--gate", "unit", code=1)
    assert "has no gate" in tell(world, "bisect", "ws", "--gate", "lint", code=2)
    assert_sound(world)
