"""Orders about a queue, given beside the process at work, over kills, and while no process is at work."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from maingate.db.dao import workstreams
from maingate.db.dao.history import events
from maingate.events import EventType
from maingate.ids import RunId
from maingate.queries.inbox.open_matters import inbox
from maingate.queries.queues.queue_report import queue_report, queue_target
from maingate.queries.waits.explain import why
from maingate.state.holds import HoldCode
from support.crashing import KILLED, Command, World, check_nothing_is_left, wait_until

REF = "refs/heads/main"


def new_file(name: str, line: str) -> bytes:
    """Return the diff that adds a file of one line."""
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1 @@\n+{line}\n".encode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world with three ready workstreams, whose gate waits for a file that the test makes."""
    made = World.create(tmp_path, {"f.txt": "0\n"})
    made.write_plan(
        {f"{name}.patch": new_file(f"{name}.txt", name) for name in "abc"},
        name="queue",
        gates={"unit": {"run": f"until [ -e {tmp_path}/go ]; do sleep 0.02; done", "on": ["landing"]}},
        workstreams={name: {"tasks": {"t": {"patch": f"{name}.patch"}}, "critical": False} for name in "abc"},
    )
    return made


def report(world: World) -> dict[str, Any]:
    """Return the queue as another process reads it."""
    with world.open() as maingate:
        return queue_report(maingate.context, queue_target(maingate.context, None))


def told(world: World, *words: str) -> str:
    """Run a command to its end, and return what it said."""
    done = world.start(*words)
    assert done.ended() == 0, done.said
    return done.said


def under_test(world: World) -> bool:
    """Return whether the view says that all workstreams are tested."""
    if not world.has_begun or not world.rows("SELECT 1 FROM queue_views"):
        return False
    states = [member["state"] for member in report(world)["on_board"]]
    return states == ["testing"] * 3


def let_go(world: World) -> None:
    """Let the gates pass."""
    (world.folder / "go").touch()


def ids(world: World) -> Mapping[str, str]:
    """Return the ids of the workstreams by name."""
    with world.open() as maingate, maingate.database.read() as conn:
        run_id = str(world.rows("SELECT id FROM runs")[0][0])
        return {row.name: row.id for row in workstreams.of_run(conn, RunId(run_id))}


def landed(world: World) -> list[str]:
    """Return the names of what has landed, in the order of the branch."""
    subjects = world.repo.git("log", "--first-parent", "--reverse", "--format=%s", "main").splitlines()
    return [subject.split()[1] for subject in subjects[1:]]


def started(world: World) -> Command:
    """Start the run, and wait until all its workstreams are tested."""
    run = world.run()
    wait_until(lambda: under_test(world), "the tests")
    return run


def test_others_see_what_is_tested_together_and_that_nothing_is_on_board_after_the_end(world: World) -> None:
    """The view is that of the living process; after it, nothing waits."""
    run = started(world)
    seen = report(world)
    assert seen["alive"]
    assert [each["name"] for each in seen["on_board"]] == ["a", "b", "c"]
    whole = next(test for test in seen["tests"] if len(test["contains"]) == 3)
    assert (whole["gates"], whole["purpose"], whole["assumes_bad"]) == (["unit"], "search", [])
    assert seen["next_action"]["code"] == "wait"
    let_go(world)
    assert run.ended() == 0
    after = report(world)
    assert (after["alive"], after["on_board"], after["next_action"]["code"]) == (False, [], "none")
    check_nothing_is_left(world)


def test_a_paused_queue_lands_nothing_over_a_kill_until_it_is_resumed(world: World) -> None:
    """The test that runs goes on and passes; the order holds for the next process; people are told."""
    run = started(world)
    told(world, "queue", "pause", "--reason", "release")
    let_go(world)
    wait_until(lambda: {each["state"] for each in report(world)["on_board"]} == {"proven"}, "the proof")
    with world.open() as maingate:
        explained = why(maingate.context, ids(world)["b"])
        items = [item for item in inbox(maingate.context) if item.code == "queue"]
    assert explained.code is HoldCode.QUEUE
    assert "the queue is paused by " in explained.sentence
    assert explained.sentence.endswith(": release; until `maingate queue resume main`")
    assert [item.command for item in items] == ["maingate queue resume main"]
    run.send(signal.SIGKILL)
    assert run.ended() == KILLED
    resumed = world.resume()
    wait_until(lambda: report(world)["alive"] and report(world)["on_board"], "the next process")
    assert landed(world) == []
    assert report(world)["next_action"]["command"] == "maingate queue resume main"
    told(world, "queue", "resume")
    assert resumed.ended() == 0
    assert landed(world) == ["a", "b", "c"]
    check_nothing_is_left(world)


def test_what_is_ordered_while_no_process_is_at_work_is_obeyed_by_the_next(world: World) -> None:
    """One comes first, another one is removed, and both are on record with person and reason."""
    run = started(world)
    run.send(signal.SIGKILL)
    assert run.ended() == KILLED
    told(world, "queue", "promote", "c", "--reason", "hot", "--operator", "ada")
    told(world, "queue", "remove", "b", "--reason", "wrong", "--operator", "ada")
    let_go(world)
    resumed = world.resume()
    assert resumed.ended() == 0, resumed.said
    assert landed(world) == ["c", "a"]
    with world.open() as maingate, maingate.database.read() as conn:
        given = events.query(conn, type=EventType.QUEUE_ORDER)
    by_whom = [(each.trigger, each.operator, (each.reason or {}).get("message")) for each in given]
    assert by_whom == [("promote", "ada", "hot"), ("remove", "ada", "wrong")]
    assert {each.workstream_id for each in given} == {ids(world)["b"], ids(world)["c"]}


def test_a_drain_lands_what_is_on_board_also_after_a_kill(world: World) -> None:
    """The process that hears of it writes down what that is."""
    run = started(world)
    told(world, "queue", "drain")
    wait_until(lambda: world.rows("SELECT 1 FROM queue_controls WHERE on_board IS NOT NULL"), "the board")
    run.send(signal.SIGKILL)
    assert run.ended() == KILLED
    let_go(world)
    resumed = world.resume()
    assert resumed.ended() == 0, resumed.said
    assert landed(world) == ["a", "b", "c"]


def test_a_frozen_queue_tests_and_lands_when_the_freeze_is_over(world: World) -> None:
    """Nothing lands before its end, and nobody has to do anything then."""
    run = started(world)
    told(world, "queue", "freeze", "--for", "1h")
    let_go(world)
    wait_until(lambda: {each["state"] for each in report(world)["on_board"]} == {"proven"}, "the proof")
    [order] = report(world)["orders"]
    assert (order["order"], order["in_force"]) == ("freeze", True)
    assert report(world)["next_action"]["code"] == "wait"
    assert min(each["expected_seconds"]["p50"] for each in report(world)["on_board"]) > 3000
    told(world, "queue", "freeze", "--for", "1s")
    assert run.ended() == 0
    assert landed(world) == ["a", "b", "c"]


def test_workstreams_of_several_runs_are_shown_moved_and_removed_in_one_queue(world: World) -> None:
    """Each command has its own answer; the process that holds the target obeys for the others."""
    for name in "de":
        world.repo.git("checkout", "-qb", name, "main")
        world.repo.commit({f"{name}.txt": f"{name}\n"}, f"add {name}")
    world.repo.git("checkout", "-q", "main")
    gate = f"unit=until [ -e {world.folder}/go ]; do sleep 0.02; done"
    first = world.start("land", "d", "--workers", "2", "--gate", gate)
    wait_until(lambda: world.has_begun and on_board(world) == ["d"], "the first")
    second = world.start("land", "e", "--workers", "2", "--gate", gate)
    wait_until(lambda: on_board(world) == ["d", "e"], "the second")
    seen = report(world)
    assert len({each["run_id"] for each in seen["on_board"]}) == len(seen["runs"]) == 2
    told(world, "queue", "promote", "e", "--reason", "hot")
    wait_until(lambda: on_board(world) == ["e", "d"], "the promotion")
    [d] = [each["id"] for each in seen["on_board"] if each["name"] == "d"]
    told(world, "queue", "remove", d, "--reason", "wrong")
    wait_until(lambda: on_board(world) == ["e"], "the removal")
    let_go(world)
    assert second.ended() == 0, second.said
    assert first.ended() == 1, first.said
    assert landed(world) == ["e"]
    check_nothing_is_left(world)


def on_board(world: World) -> list[str]:
    """Return the names of the workstreams on board, in order."""
    return [each["name"] for each in report(world)["on_board"]]
