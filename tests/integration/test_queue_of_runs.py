"""Several runs on one target, each a process: they land together, and any of them may be killed anywhere."""

import random
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from maingate.db.audit.record_check import verify
from maingate.ids import RunId
from maingate.queries.queues.queue_report import queue_report
from maingate.queries.waits.explain import standing
from maingate.services.runs.run_watch import RunWatch
from support.crashing import KILLED, Command, World, check_nothing_is_left, kill_all, landings, wait_until
from support.examples import thorough

GATE = "until test -e {folder}/go; do sleep 0.02; done; ! grep -rq bad --include=*.txt ."


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world of three branches, of which one is red, whose gates wait until they may go on."""
    world = World.create(tmp_path / "world", {f"{name}.txt": f"{name}\n" for name in "abcd"})
    for name, text in {"a": "a good", "b": "b good", "c": "bad", "d": "d good"}.items():
        world.repo.git("checkout", "-qb", name, "main")
        world.repo.commit({f"{name}.txt": f"{text}\n"}, f"change {name}")
    world.repo.git("checkout", "-q", "main")
    return world


def land(world: World, *branches: str, fault: str = "") -> Command:
    """Start a command that lands branches."""
    gate = f"unit={GATE.format(folder=world.folder)}"
    return world.start("land", *branches, "--workers", "2", "--gate", gate, fault=fault)


def release(world: World) -> None:
    """Let gates go on."""
    (world.folder / "go").touch()


def wait_for_rows(world: World, count: int) -> None:
    """Wait until workstreams have been handed over."""
    wait_until(lambda: handed_over(world) == count, "a hand-over")


def handed_over(world: World) -> int:
    """Count the workstreams that are handed over."""
    return int(world.rows("SELECT count(*) FROM queue_items")[0][0])


def wait_for_gates(world: World) -> None:
    """Wait until a gate is running."""
    wait_until(
        lambda: world.has_begun and world.rows("SELECT 1 FROM gates WHERE state = 'RUNNING'"), "a gate"
    )


def has_fork_server(command: Command) -> bool:
    """Return whether a command has started the process that workers are forked from."""
    children = psutil.Process(command.pid).children()
    return any("fork_server_process" in " ".join(child.cmdline()) for child in children)


def names_on_main(world: World) -> list[str]:
    """Return the names of the workstreams that landed, oldest first."""
    names = dict(world.rows("SELECT id, name FROM workstreams"))
    return [names[each] for each in landings(world.repo)]


def check(world: World, landed: str) -> None:
    """All that is right is on the branch once, nothing is left open, and the record is intact."""
    assert sorted(names_on_main(world)) == sorted(landed)
    check_nothing_is_left(world)
    with world.open() as maingate:
        assert verify(maingate.database).findings == ()


def resume_all(world: World) -> None:
    """Resume each run that has not ended."""
    for (run,) in world.rows("SELECT id FROM runs WHERE completed_at IS NULL ORDER BY id"):
        assert world.start("resume", run, "--workers", "2").ended() in {0, 1}


def test_a_run_beside_another_is_proved_and_landed_with_it(world: World) -> None:
    """The second command lands by the process of the first, and has its own answer."""
    first = land(world, "a")
    wait_for_gates(world)
    second, third = land(world, "b", "c"), land(world, "d")
    wait_for_rows(world, 3)
    assert [has_fork_server(each) for each in (first, second, third)] == [True, False, False]
    release(world)
    assert (first.ended(), second.ended(), third.ended()) == (0, 1, 0), (second.said, third.said)
    check(world, "abd")
    assert "unit" in second.said
    states = dict(world.rows("SELECT name, state FROM workstreams"))
    assert states == {"a": "completed", "b": "completed", "c": "failed", "d": "completed"}


def test_the_next_takes_over_when_a_run_ends_or_is_interrupted(world: World) -> None:
    """The one whose process had the target is interrupted; the others go on, and it can be resumed."""
    first = land(world, "a")
    wait_for_gates(world)
    second = land(world, "b")
    wait_for_rows(world, 1)
    first.send(signal.SIGINT)
    wait_until(lambda: "stopping" in first.said, "the interrupt")
    release(world)
    assert first.ended() not in {0, 1}
    assert second.ended() == 0, second.said
    assert names_on_main(world) == ["b"]
    resume_all(world)
    check(world, "ab")


def test_one_that_is_cancelled_while_it_is_handed_over_leaves_the_others_alone(world: World) -> None:
    """It is asked back, and ends cancelled; nothing of it lands."""
    first = land(world, "a")
    wait_for_gates(world)
    second = land(world, "b")
    wait_for_rows(world, 1)
    [(run,)] = world.rows("SELECT run_id FROM queue_items")
    assert world.start("cancel", run).ended() == 0
    wait_until(lambda: not second.is_running, "the end of the cancelled run")
    release(world)
    assert first.ended() == 0
    check(world, "a")
    assert world.rows(f"SELECT state FROM runs WHERE id = '{run}'") == [("canceled",)]


def test_a_branch_that_two_commands_land_at_once_lands_once(world: World) -> None:
    """The second finds that the target has all of it by then: it is done, with a note and no commit."""
    first = land(world, "a")
    wait_for_gates(world)
    second = land(world, "a")
    wait_for_rows(world, 1)
    release(world)
    assert (first.ended(), second.ended()) == (0, 0), second.said
    assert "already there" in second.said
    check(world, "a")


def test_a_run_that_is_cancelled_lets_the_gates_of_others_come_to_their_end(world: World) -> None:
    """Its process lands for another run; the gate of that one is neither stopped nor run again."""
    gate = {"run": GATE.format(folder=world.folder)}
    slow = {"slow": {"tasks": {"t": {"command": ["sleep", "600"]}}}}
    world.write_plan({}, gates={"unit": gate}, workstreams=slow)
    first = world.start("run", str(world.plan), "--workers", "2")
    wait_until(
        lambda: world.has_begun and world.rows("SELECT 1 FROM tasks WHERE state = 'running'"), "the command"
    )
    second = land(world, "b")
    wait_for_gates(world)
    [(run,)] = world.rows("SELECT run_id FROM tasks WHERE state = 'running'")
    assert world.start("cancel", run).ended() == 0
    wait_until(lambda: "this run is over" in first.said, "the end of the cancelled run")
    release(world)
    assert (first.ended(), second.ended()) == (3, 0), (first.said, second.said)
    check(world, "b")
    assert world.rows("SELECT state FROM gates") == [("PASSED",)]


def waits(world: World, name: str) -> dict[str, Any]:
    """Return what a workstream waits for."""
    [(workstream,)] = world.rows(f"SELECT id FROM workstreams WHERE name = '{name}'")
    with world.open() as maingate:
        found: dict[str, Any] = standing(maingate.context, workstream)["waiting"]
        return found


def test_one_that_is_handed_over_names_the_run_that_lands_it(world: World) -> None:
    """Its task says the same; so do the report, with the next step, and the queue, which has both runs."""
    first = land(world, "a")
    wait_for_gates(world)
    second = land(world, "b")
    wait_until(lambda: handed_over(world) and waits(world, "b")["about"].get("place") == 2, "its place")
    runs = dict(world.rows("SELECT w.name, w.run_id FROM workstreams w"))
    with world.open() as maingate:
        report = maingate.report(RunId(runs["b"]))
        queue = queue_report(maingate.context, "refs/heads/main")
        watch = RunWatch(maingate.context, RunId(runs["b"]))
        watch.look()
    [stream], [task] = report["workstreams"], report["tasks"]
    assert (stream["waiting"]["code"], task["waiting"]["code"]) == ("handed_over", "handed_over")
    assert f"({runs['a']}), whose process lands on main: at place 2 of 2" in stream["waiting"]["for"]
    assert report["next_action"] == {
        "code": "wait",
        "about": runs["a"],
        "command": "maingate queue main --watch",
    }
    assert [each["run_id"] for each in queue["on_board"]] == [runs["a"], runs["b"]]
    assert queue["run_id"] == runs["a"]
    assert [each.note for each in watch.progress().workstreams] == ["handed to another run"]
    release(world)
    assert (first.ended(), second.ended()) == (0, 0)
    check(world, "ab")


def test_runs_with_other_gates_do_not_land_together(world: World) -> None:
    """Each is proved by its own; the second waits until the first lets the target go."""
    first = land(world, "a")
    wait_for_gates(world)
    second = world.start("land", "b", "--workers", "2", "--gate", "other=true")
    wait_for_rows(world, 1)
    wait_until(lambda: waits(world, "b")["code"] == "target", "the look of the first run")
    told = waits(world, "b")
    assert "to let main go, because the two are not proved alike: that run has no gate other" in told["for"]
    assert told["about"]["differences"] == [{"part": "missing_gate", "gate": "other"}]
    release(world)
    assert (first.ended(), second.ended()) == (0, 0)
    check(world, "ab")
    names = dict(world.rows("SELECT g.name, count(DISTINCT g.run_id) FROM gates g GROUP BY 1"))
    assert names == {"unit": 1, "other": 1}


def test_by_commit_each_commit_of_another_run_is_tested_where_it_lands(world: World) -> None:
    """Its gates are those of its own plan; the process that lands it knows them by the hand-over."""
    world.repo.commit({"maingate.toml": 'proof = "commit"\n'}, "settings")
    for name in ("one", "two"):
        world.repo.git("checkout", "-qb", name, "main")
        for step in ("first", "second"):
            world.repo.commit({f"{name}-{step}.txt": "good\n"}, f"{name}: {step}")
        world.repo.git("checkout", "-q", "main")
    before = world.repo.head("main")
    seen = world.folder / "seen"
    gate = f"unit=git rev-parse 'HEAD^{{tree}}' >> {seen}; {GATE.format(folder=world.folder)}"

    def command(branch: str) -> Command:
        return world.start("land", branch, "--landing", "rebase", "--workers", "2", "--gate", gate)

    first = command("one")
    wait_for_gates(world)
    second = command("two")
    wait_until(lambda: world.rows("SELECT count(*) FROM runs") == [(2,)], "the second run")
    release(world)
    assert (first.ended(), second.ended()) == (0, 0), (first.said, second.said)
    check_nothing_is_left(world)
    with world.open() as maingate:
        assert verify(maingate.database).findings == ()
    landed = world.repo.git("rev-list", f"{before}..main").split()
    assert len(landed) == 4
    assert {world.repo.git("rev-parse", f"{commit}^{{tree}}").strip() for commit in landed} <= {
        *seen.read_text().split()
    }


OF_THE_HOLDER = (
    "landing.before-ref@1",
    "landing.after-ref@1",
    "landing.after-checkout@1",
    "transaction.before@5",
    "transaction.after@5",
    "transaction.inside@6",
    "gate.started@2",
)


@pytest.mark.parametrize(
    "fault", [fault if at < 3 else thorough(fault, id=fault) for at, fault in enumerate(OF_THE_HOLDER)]
)
def test_the_process_that_lands_for_all_is_killed(world: World, fault: str) -> None:
    """The other finds out what has landed, lands the rest, and answers; the killed run is resumed."""
    first = land(world, "a", "c", fault=fault)
    wait_until(lambda: world.has_begun and handed_over(world) == 0, "the run")
    second = land(world, "b", "d")
    wait_until(lambda: not first.is_running or handed_over(world) == 2, "the hand-over")
    release(world)
    assert first.ended() == KILLED, first.said
    assert second.ended() == 0, second.said
    assert set(names_on_main(world)) >= {"b", "d"}
    resume_all(world)
    check(world, "abd")


OF_THE_OTHER = tuple(
    f"transaction.{place}@{number}" for number in (2, 3, 4, 5) for place in ("before", "inside", "after")
)


@pytest.mark.parametrize(
    "fault", [fault if at % 5 == 0 else thorough(fault, id=fault) for at, fault in enumerate(OF_THE_OTHER)]
)
def test_a_process_that_has_handed_over_is_killed(world: World, fault: str) -> None:
    """What it had handed over lands or not, and its next process finds out which."""
    first = land(world, "a")
    wait_for_gates(world)
    second = land(world, "b", "c", fault=fault)
    wait_until(lambda: not second.is_running or handed_over(world) == 2, "the hand-over")
    release(world)
    assert first.ended() == 0, first.said
    second.ended()
    resume_all(world)
    tidy_landed(world)


def tidy_landed(world: World) -> None:
    """A run whose process was killed before it was admitted has no name on the branch."""
    admitted = {name for (name,) in world.rows("SELECT name FROM workstreams")}
    check(world, "".join(sorted({"a", "b"} & admitted)))


@pytest.mark.parametrize("seed", [1, 2, 3, *(thorough(each, id=str(each)) for each in range(4, 24))])
def test_several_processes_are_killed_at_random_times(world: World, seed: int) -> None:
    """Whoever is killed whenever: in the end all that is right has landed once."""
    chance = random.Random(seed)
    release(world)
    commands = [land(world, name) for name in "abcd"]
    victims = chance.sample(commands, 2)
    place = wait_any(world)
    for victim in victims:
        wait_for_place(world, place)
        place += chance.randrange(1, 12)
        victim.send(signal.SIGKILL)
    for command in commands:
        command.ended()
    resume_all(world)
    admitted = {name for (name,) in world.rows("SELECT name FROM workstreams")}
    check(world, "".join(sorted({*"abd"} & admitted)))
    kill_all(commands)


def wait_any(world: World) -> int:
    """Wait until a run has begun; return how much is on record."""
    wait_until(lambda: world.has_begun, "a run")
    return on_record(world)


def wait_for_place(world: World, place: int) -> None:
    """Wait until so much is on record."""
    wait_until(lambda: on_record(world) >= place, "something on record")


def on_record(world: World) -> int:
    """Return how much is on record."""
    return int(world.rows("SELECT value FROM counters WHERE name = 'event'")[0][0])
