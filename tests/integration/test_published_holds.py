"""What the process at work publishes of its holds, read by others, over a kill and to the end of the run."""

import os
import signal
from functools import partial
from pathlib import Path

from maingate.db.dao import tasks
from maingate.ids import RunId
from maingate.queries.waits.explain import why
from maingate.queries.waits.explanation import Explanation
from maingate.state.holds import HoldCode
from support.crashing import KILLED, World, check_nothing_is_left, wait_until


def world_of_two_tools(folder: Path) -> tuple[World, Path]:
    """Make a world whose two tool tasks write the same file, each with what comes through a pipe."""
    world, pipe = World.create(folder, {"f.txt": "0\n"}), folder / "pipe"
    os.mkfifo(pipe)
    task = {"tool": "sh", "prompt": "p", "scope": ["f.txt"]}
    world.write_plan(
        {},
        name="pipes",
        tools={"sh": {"run": f"cat {pipe} > f.txt"}},
        workstreams={"w": {"tasks": {"first": task, "second": task}}},
    )
    return world, pipe


def ids(world: World) -> dict[str, str]:
    """Return the ids of the run's tasks by name, and of the run."""
    with world.open() as maingate, maingate.database.read() as conn:
        run_id = str(conn.exec_driver_sql("SELECT id FROM runs").scalar_one())
        return {task.name: task.id for task in tasks.of_run(conn, RunId(run_id))} | {"run": run_id}


def asked(world: World, entity_id: str) -> Explanation:
    """Return why an entity waits, as another process finds it."""
    with world.open() as maingate:
        return why(maingate.context, entity_id)


def runs_attempt(world: World, number: int) -> bool:
    """Return whether the first task is in this attempt, and the second is held."""
    running = f"name = 'first' AND state = 'running' AND attempt = {number}"
    return bool(
        world.has_begun
        and world.rows(f"SELECT 1 FROM tasks WHERE {running}")
        and world.rows("SELECT 1 FROM holds WHERE code = 'paths'")
    )


def test_a_hold_is_read_by_others_survives_a_kill_and_goes_with_the_run(tmp_path: Path) -> None:
    """Its beginning stays where the next process finds it again; without a process the run waits for one."""
    world, pipe = world_of_two_tools(tmp_path)
    run = world.run()
    wait_until(lambda: runs_attempt(world, 1), "the hold of the second task")
    known = ids(world)
    first = asked(world, known["second"])
    assert (first.code, first.about) == (HoldCode.PATHS, {"task": known["first"]})
    assert first.sentence == "waits for w/first (running), which may write the same paths; until it ends"
    assert asked(world, known["first"]).code is HoldCode.WORK
    run.send(signal.SIGKILL)
    assert run.ended() == KILLED
    assert {asked(world, each).code for each in known.values()} == {HoldCode.RESUME}
    resumed = world.resume()
    wait_until(lambda: runs_attempt(world, 2), "the second attempt")
    again = asked(world, known["second"])
    assert (again.code, again.about, again.since) == (first.code, first.about, first.since)
    for number, name in enumerate(("first", "second"), start=1):
        running = f"SELECT 1 FROM tasks WHERE name = '{name}' AND state = 'running'"
        wait_until(partial(world.rows, running), f"the start of {name}")
        with pipe.open("w") as end:
            end.write(f"{number}\n")
    assert resumed.ended() == 0
    check_nothing_is_left(world)
    ended = asked(world, known["run"])
    assert (ended.code, ended.sentence, ended.command) == (
        HoldCode.ENDED,
        "succeeded",
        f"maingate status {known['run']} --all",
    )
