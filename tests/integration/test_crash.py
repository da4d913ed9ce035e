"""Kill it anywhere: nothing is lost, nothing lands twice, and the end is that of a run nobody touched."""

import itertools
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from maingate.db.dao import artifacts
from support import patience
from support.chains import check_after_a_kill, kill_at, kill_in_a_row, noted
from support.crashing import (
    KILLED,
    Command,
    World,
    check_each_landed_once,
    check_nothing_is_left,
    check_the_checkout,
    check_the_record,
    end_of,
    landings,
    tidy,
    wait_until,
)
from support.examples import thorough
from support.seeds import KILLS
from support.stories import PREPARE, READY, STYLES, UNIT, Telling


def test_the_story_ends_as_it_is_told(tell: Telling) -> None:
    """What every crash below is compared with; a comparison with nothing would prove nothing."""
    end = tell.story().end
    assert end.code == 0
    assert {ws["name"]: ws["state"] for ws in end.report["workstreams"]} == {
        "first": "completed",
        "clash": "failed",
        "refused": "failed",
        "second": "completed",
        "third": "completed",
    }
    assert {task["name"]: (task["patch"] or {}).get("state") for task in end.report["tasks"]} == {
        "first/ready": None,
        "first/a": "committed",
        "first/point": None,
        "first/red": "quarantined",
        "first/b": "committed",
        "clash/t": "quarantined",
        "refused/t": "quarantined",
        "second/c": "committed",
        "second/check": None,
        "third/d": "committed",
    }
    assert len(end.history) == 1 + 3 + 4


# -- at named places -----------------------------------------------------------------------------------------


IN_A_ROW = {
    "from the first transaction": (
        "transaction.before@1",
        "transaction.inside@1",
        "transaction.after@1",
        "transaction.before@2",
        "transaction.inside@2",
        "transaction.after@2",
        "gate.started@1",
        "transaction.before@5",
    ),
    "from the third": (
        "transaction.after@3",
        "transaction.before@1",
        "transaction.before@2",
        "transaction.before@2",
        "transaction.before@2",
        "gate.started@2",
        "transaction.inside@5",
        "transaction.before@9",
    ),
    "from the fifth": ("transaction.after@5", "transaction.inside@9"),
    "from the fifth gate": ("gate.started@5", "transaction.after@9"),
}
"""Kills around transactions, and as a gate begins: a worker has the job, nothing of it is on record."""

QUICK = ("from the first transaction", "from the fifth gate")
"""Those that have every place."""


@pytest.mark.parametrize(
    "faults",
    [(pytest.param if name in QUICK else thorough)(faults, id=name) for name, faults in IN_A_ROW.items()],
)
def test_killed_around_transactions_and_as_gates_begin_it_ends_the_same(
    tell: Telling, faults: tuple[str, ...]
) -> None:
    """What is on record is whole decisions; the rest is asked for again, and again after the next kill."""
    kill_in_a_row(tell, faults)


AS_IT_LANDS = {
    "the branch": (
        "landing.before-ref@1#1",
        "landing.after-ref@1#1",
        "landing.before-ref@1#2",
        "landing.after-ref@1#2",
        "landing.before-ref@1#3",
        "landing.after-ref@1#3",
    ),
    "its checkout": (
        "landing.after-checkout@1#1",
        "landing.after-checkout@1#2",
        "landing.after-checkout@1#3",
    ),
    "again and again": (
        "gate.started@1",
        "gate.started@1",
        "landing.before-ref@1#1",
        "landing.before-ref@1#1",
        "landing.after-ref@1#1",
        "transaction.before@1#1",
        "transaction.inside@1#1",
        "landing.after-checkout@1#2",
    ),
}
"""Kills of all three landings: before and after the branch moves, and when its checkout has followed.

A landing is killed twice before it moves, and the resumed run while it finds out whether it moved."""


@pytest.mark.parametrize(
    ("style", "chain"),
    [
        ("merge", "again and again"),
        ("squash", "its checkout"),
        ("rebase", "the branch"),
        thorough("merge", "the branch"),
        thorough("merge", "its checkout"),
        thorough("squash", "the branch"),
        thorough("rebase", "its checkout"),
    ],
)
def test_killed_while_it_lands_it_lands_exactly_once(tell: Telling, style: str, chain: str) -> None:
    """`INTENT -> update-ref -> LANDED`: on the target or not, the resumed run finds out which."""
    kill_in_a_row(tell, AS_IT_LANDS[chain], style)


# -- while workers work --------------------------------------------------------------------------------------

VICTIMS = ("$control", "$control $server $PPID", "-$control")
"""The control process alone, with the worker and its fork server, or its whole process group."""


def test_killed_during_a_command_it_ends_the_same(tell: Telling) -> None:
    """In a preparation, a task's command, a gate; its worker with it, or its whole process group."""
    world = tell.world()
    world.environment = {"MAINGATE_LOST_ATTEMPTS": "99"}
    world.rewrite({command: deadly(world, command) for command in (PREPARE, READY, UNIT)})
    for command, victims in itertools.product((PREPARE, READY, UNIT), VICTIMS):
        with noted(f"killed during {command}: {victims}"):
            run = world.go_on()
            orders(world, run.pid, command).write_text(f"kill -9 {victims}; sleep 60\n")
            assert run.ended() == KILLED
            check_after_a_kill(world, tell.story().end)
    assert end_of(world, world.finish()) == tell.story().end


def deadly(world: World, command: str) -> str:
    """Make a command follow the orders for its control process, once, before it does what it is for."""
    file = orders(world, "$control", command)
    return (
        "read -r _ _ _ server _ < /proc/$PPID/stat; read -r _ _ _ control _ < /proc/$server/stat; "
        f"if mv {file} {file}.obeyed.$$ 2>/dev/null; then . {file}.obeyed.$$; fi; {command}"
    )


def orders(world: World, control: object, command: str) -> Path:
    """Return the file with what a command is to do below a control process."""
    return world.folder / f"orders.{(PREPARE, READY, UNIT).index(command)}.{control}"


def test_killed_during_the_set_up_of_a_worktree_it_ends_the_same(tell: Telling) -> None:
    """A worktree that is half a commit and half another is made anew."""
    faults = [f"worktree.setup@{passing}:{victims}" for passing in (3, 1) for victims in ("control", "both")]
    kill_in_a_row(tell, faults, MAINGATE_ENV_ALLOW="PATH,HOME,MAINGATE_FAULTPOINT")


def test_killed_amid_quick_commands_each_is_run_and_none_is_given_up(tmp_path: Path) -> None:
    """Those that were handed out ahead and had not begun are run by the next process."""
    world = World.create(tmp_path, {"a.txt": "a\n"})
    ran, flag = tmp_path / "ran", tmp_path / "go"
    quick = {f"t{number}": {"command": f"echo {number} >> {ran}"} for number in range(20)}
    held = {
        f"t{number}": {"command": f"until [ -e {flag} ]; do sleep 0.05; done; echo {number} >> {ran}"}
        for number in range(20, 40)
    }
    world.write_plan({}, workstreams={"w": {"tasks": quick | held}})
    command = world.run()
    wait_until(lambda: ran.exists() and len(ran.read_text().split()) == len(quick), "the quick commands")
    wait_until(lambda: running(world) > 2, "commands that wait for a worker")
    command.send(signal.SIGKILL)
    assert command.ended() == KILLED
    flag.touch()
    assert world.finish() == 0
    assert set(map(int, ran.read_text().split())) == set(range(40))
    assert world.rows("SELECT DISTINCT state FROM tasks") == [("completed",)]


def running(world: World) -> int:
    """Count the tasks that were handed out."""
    return int(world.rows("SELECT count(*) FROM tasks WHERE state = 'running'")[0][0])


def test_killed_while_it_writes_a_ref_of_its_own_it_ends_the_same(tell: Telling) -> None:
    """The lock that is left on it is nobody's: `resume` goes on, and nothing of it stays."""
    world = tell.world()
    assert world.run(fault="transaction.after@5").ended() == KILLED
    [(run,)] = world.rows("SELECT id FROM runs")
    folder = world.repo.path / ".git" / "refs" / "maingate" / run
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("first", "second", "third"):
        (folder / f"{name}.lock").touch()
    assert end_of(world, world.finish()) == tell.story().end


def test_without_its_control_process_a_worker_ends_by_itself(tell: Telling) -> None:
    """Also when nobody resumes: the gate that hangs is ended with its worker."""
    world = tell.held_up()
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    run.send(signal.SIGKILL)
    assert run.ended() == KILLED
    wait_until(lambda: not world.processes(), "the end of all workers")


# -- at any time --------------------------------------------------------------------------------------------


@pytest.mark.simulation
@pytest.mark.parametrize("seed", [*KILLS[:2], *map(thorough, KILLS[2:])])
def test_killed_at_any_time_it_ends_the_same(tell: Telling, seed: int) -> None:
    """Up to three kills, whenever; the places are those that nobody thought of."""
    style = STYLES[seed % len(STYLES)]
    world, story = tell.world(style), tell.story(style)
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        command = world.go_on()
        command.process.join(chance.uniform(0, story.seconds))
        command.send(signal.SIGKILL)
        if command.ended() != KILLED or world.is_over:
            break
    if world.is_over:
        wait_until(lambda: not world.processes(), "the end of all workers")
        tidy(world)
    else:
        assert world.finish() == story.end.code
    assert end_of(world, story.end.code) == story.end


# -- others at work ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["landing.before-ref", "landing.after-ref"])
def test_a_push_on_top_before_it_is_resumed_is_kept(tell: Telling, place: str) -> None:
    """Landed or not, what somebody else pushed meanwhile stays, and everything is there once."""
    world = tell.world()
    assert world.run(fault=place).ended() == KILLED
    if place == "landing.before-ref":
        world.unlock_by_hand()
        pushed = world.repo.commit({"pushed.txt": "p\n"}, "pushed")
    else:
        pushed = push(world, {"pushed.txt": "p\n"})
    assert world.finish() == 0
    check_all(world)
    assert world.repo.git("merge-base", pushed, "main") == pushed
    assert world.repo.git("show", "main:pushed.txt") == "p"
    assert world.repo.git("show", "main:b.txt") == "b"


def test_a_landing_that_somebody_rewrote_away_lands_again(tell: Telling) -> None:
    """What was on the target and is not any more has not landed; it lands on what is there now."""
    world = tell.world()
    base = world.repo.head("main")
    assert world.run(fault="landing.after-ref").ended() == KILLED
    world.unlock_by_hand()
    world.repo.git("reset", "-q", "--hard", base)
    pushed = world.repo.commit({"pushed.txt": "p\n"}, "pushed")
    assert world.finish() == 0
    check_all(world)
    assert world.repo.git("rev-list", "--first-parent", "main").split()[-2:] == [pushed, base]


def push(world: World, files: dict[str, str]) -> str:
    """Put a commit on the target from elsewhere: the checkout is not touched."""
    clone = world.folder / "clone"
    world.repo.git("clone", "-q", str(world.repo.path), str(clone))
    other = type(world.repo)(clone)
    pushed = other.commit(files, "pushed")
    world.repo.git("fetch", "-q", str(clone), "main")
    world.repo.git("update-ref", "refs/heads/main", pushed)
    return pushed


def check_all(world: World) -> None:
    """Nothing is left half done, whatever else is on the target, and each workstream is there once."""
    check_nothing_is_left(world)
    check_the_record(world)
    check_the_checkout(world)
    check_each_landed_once(world)
    assert len(landings(world.repo)) == 3


def test_a_holder_that_was_thought_dead_writes_nothing_any_more(tell: Telling) -> None:
    """It slept, its lease ran out, another one finished; it wakes, is refused, and says so."""
    world, sleeper = put_to_sleep(tell, "transaction.before@6")
    move_lease_away(world)
    assert world.finish() == 0
    history = world.repo.git("rev-list", "main")
    sleeper.send(signal.SIGCONT)
    assert sleeper.ended() == 4
    assert "lost to another process" in sleeper.said
    assert world.repo.git("rev-list", "main") == history
    tidy(world)
    assert end_of(world, 0) == tell.story().end


@pytest.mark.parametrize("place", ["landing.before-ref", "landing.after-ref"])
def test_a_holder_that_sleeps_amid_a_landing_is_never_overtaken(tell: Telling, place: str) -> None:
    """It holds the branch and the checkout's index, so another one stops; what it began is there once."""
    world, sleeper = put_to_sleep(tell, place)
    move_lease_away(world)
    other = world.go_on(**{patience.VARIABLE: "0.5"})
    assert other.ended() == 4
    assert "is being moved by another process" in other.said
    sleeper.send(signal.SIGCONT)
    assert sleeper.ended() == 4
    assert "lost to another process" in sleeper.said
    assert end_of(world, world.finish()) == tell.story().end
    check_each_landed_once(world)


def put_to_sleep(tell: Telling, place: str) -> tuple[World, Command]:
    """Stop a run at a place; one that was just writing is no use, because nobody else could write then."""
    for _ in range(10):
        world = tell.world()
        sleeper = world.run(fault=f"{place}:stop")
        wait_until(lambda sleeper=sleeper: sleeper.is_stopped, "its sleep")  # type: ignore[misc]
        if not world.is_locked:
            return world, sleeper
        sleeper.send(signal.SIGKILL)
    raise AssertionError("it was always writing")


def move_lease_away(world: World) -> None:
    """Let the lease be one of another machine, and over: it was not renewed there."""
    with world.open() as maingate, maingate.database.write() as conn:
        conn.exec_driver_sql("UPDATE leases SET host = 'elsewhere', expires_at = acquired_at + 1")


# -- collected by git ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["merge", thorough("squash"), thorough("rebase")])
def test_commits_that_git_collected_meanwhile_are_made_again(tell: Telling, style: str) -> None:
    """They were on record and on no ref; the recorded patches give the very same ones."""
    world, end = tell.world(style), tell.story(style).end
    gone: list[str] = []
    for place in ("gate.started@5", "transaction.after@9", "landing.before-ref@1"):
        with noted(f"collected after a kill at {place}"):
            kill_at(world, place, end)
            wait_until(lambda: not world.processes(), "the end of all workers")
            assert warned(world) >= bool(gone)
            on_record = [row[0] for row in world.rows(STANDING)]
            collect(world)
            gone = [commit for commit in on_record if not has(world, commit)]
    assert gone
    before = warned(world)
    assert end_of(world, world.finish()) == end
    assert all(has(world, commit) for commit in gone)
    assert warned(world) > before


def warned(world: World) -> int:
    """Count the warnings about commits that were made again."""
    reasons = world.rows("SELECT reason FROM events WHERE event_type = 'warning'")
    return sum("made again from the recorded patches" in row[0] for row in reasons)


STANDING = """SELECT "commit" FROM patches WHERE state IN ('verified', 'applied')"""


def collect(world: World) -> None:
    """Do by hand what loses every object that no branch holds."""
    for ref in world.repo.git("for-each-ref", "--format=%(refname)", "refs/maingate").split():
        world.repo.git("update-ref", "-d", ref)
    world.repo.git("reflog", "expire", "--expire=now", "--all")
    world.repo.git("gc", "-q", "--prune=now")


def has(world: World, commit: str) -> bool:
    """Tell whether the repository has a commit."""
    said = world.repo.git("cat-file", "--batch-check", stdin=f"{commit}\n".encode())
    return not said.endswith("missing")


def test_what_cannot_be_made_again_ends_its_workstream(tell: Telling) -> None:
    """The diff on record is another by now: nothing of it is landed, and the others go on."""
    world = tell.world()
    assert world.run(fault="gate.started@5").ended() == KILLED
    wait_until(lambda: not world.processes(), "the end of all workers")
    collect(world)
    with world.open() as maingate, maingate.database.write() as conn:
        forge(conn, world.repo.diff_of({"e.txt": "e\n"}))
    failed = world.resume()
    assert failed.ended() == 1, failed.said
    ended = [
        ws for ws in world.report()["workstreams"] if (ws["reason"] or {}).get("code") == "object_missing"
    ]
    assert ended, failed.said
    for workstream in ended:
        assert workstream["state"] == "failed"
        assert "is gone from the repository" in workstream["reason"]["message"]
        assert "does not give it again: it gives the tree" in workstream["reason"]["message"]
        assert workstream["id"] not in landings(world.repo)
    check_nothing_is_left(world)
    check_the_checkout(world)


def forge(conn: Connection, diff: bytes) -> None:
    """Put another diff in the place of each one on record."""
    conn.exec_driver_sql("DELETE FROM patch_artifacts")
    artifacts.store_many(conn, {row[0]: diff for row in conn.exec_driver_sql("SELECT id FROM patches").all()})


# -- interrupted by people -----------------------------------------------------------------------------------


def test_interrupted_once_it_finishes_what_runs_and_can_be_resumed(tell: Telling) -> None:
    """The gates that run come to their ends, no further one begins; the rest is for later."""
    world = tell.held_up()
    begun, go = world.folder / "begun", world.folder / "go"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with noted(f"interrupted by {number.name}"):
            begun.unlink(missing_ok=True)
            go.unlink(missing_ok=True)
            run = world.go_on()
            wait_until(begun.exists, "a gate")
            run.send(number)
            wait_until(lambda run=run: "stopping" in run.said, "that it stops")  # type: ignore[misc]
            go.touch()
            assert run.ended() == 3
            assert not world.is_over
            check_stopped(world)
    assert end_of(world, world.finish()) == tell.story().end


def test_interrupted_twice_it_is_cancelled(tell: Telling) -> None:
    """Ctrl-C and Ctrl-C again: everything ends at once and the run is over."""
    world = tell.held_up()
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    run.send(signal.SIGINT)
    wait_until(lambda: "stopping" in run.said, "that it stops")
    run.send(signal.SIGINT)
    assert run.ended() == 3
    assert world.report()["state"] == "canceled"
    check_stopped(world)
    assert landings(world.repo) == []


def test_terminated_twice_it_stops_at_once_and_can_be_resumed(tell: Telling) -> None:
    """A service manager that cannot wait cancels nothing."""
    world = tell.held_up()
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    run.send(signal.SIGTERM)
    wait_until(lambda: "stopping" in run.said, "that it stops")
    run.send(signal.SIGTERM)
    assert run.ended() == 3
    assert not world.is_over
    check_stopped(world)
    (world.folder / "go").touch()
    assert end_of(world, world.finish()) == tell.story().end


def check_stopped(world: World) -> None:
    """No process, no lock file, no half state; the record and the checkout are whole."""
    check_nothing_is_left(world)
    check_the_record(world)
    check_the_checkout(world)


# -- cancelled from elsewhere --------------------------------------------------------------------------------


def test_a_cancelled_run_ends_with_all_that_runs_for_it(tell: Telling) -> None:
    """The gates that hang are ended, though nobody lets them go on."""
    world = tell.held_up()
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    assert cancel(world, world.report()["run_id"]).ended() == 0
    assert run.ended() == 3
    report = world.report()
    assert report["state"] == "canceled"
    assert report["reason"]["code"] == "cancelled"
    check_stopped(world)
    assert landings(world.repo) == []


def test_a_cancelled_workstream_ends_and_the_others_go_on(tell: Telling) -> None:
    """What needs it is skipped; its gates are ended at once, those of the others are not."""
    world = tell.held_up()
    run = world.run("--workers", "5")
    wait_until(lambda: gates_at_work(world, "first"), "a gate of it")
    assert cancel(world, id_of(world, "workstreams", "first")).ended() == 0
    wait_until(lambda: not gates_at_work(world, "first"), "the end of its gates")
    assert run.is_running
    (world.folder / "go").touch()
    assert run.ended() == 1
    states = {ws["name"]: ws["state"] for ws in world.report()["workstreams"]}
    assert states["first"] == "cancelled"
    assert states["second"] == "skipped"
    assert states["third"] == "completed"
    check_stopped(world)


def test_a_cancelled_task_ends_and_its_workstream_with_it_if_it_is_critical(tell: Telling) -> None:
    """Only a task that is not critical can be missing from what lands."""
    world = tell.held_up()
    run = world.run("--workers", "5")
    wait_until(lambda: gates_at_work(world, "first"), "a gate of it")
    assert cancel(world, id_of(world, "tasks", "first/a")).ended() == 0
    wait_until(lambda: not gates_at_work(world, "first"), "the end of its gates")
    (world.folder / "go").touch()
    assert run.ended() == 1
    report = world.report()
    assert next(task["state"] for task in report["tasks"] if task["name"] == "first/a") == "cancelled"
    assert {ws["name"]: ws["state"] for ws in report["workstreams"]}["first"] == "failed"
    check_stopped(world)


def test_the_run_of_a_dead_process_is_cancelled_from_elsewhere(tell: Telling) -> None:
    """What has landed is found out and stays; all the rest is cancelled."""
    world = tell.world()
    assert world.run(fault="landing.after-ref").ended() == KILLED
    assert cancel(world, world.report()["run_id"]).ended() == 0
    report = world.report()
    assert report["state"] == "canceled"
    assert {ws["name"]: ws["state"] for ws in report["workstreams"]}["first"] == "completed"
    check_stopped(world)
    check_each_landed_once(world)


@pytest.mark.parametrize(
    "place", ["transaction.after@6", thorough("transaction.after@1"), thorough("gate.started@2")]
)
def test_a_workstream_of_a_dead_process_is_cancelled_now_and_the_rest_waits(
    tell: Telling, place: str
) -> None:
    """It is on record at once, also for those that need it; no gate runs, nothing lands before a resume."""
    world = tell.world()
    assert world.run(fault=place).ended() == KILLED
    tidy(world)
    gates = world.rows("SELECT count(*) FROM gates")
    said = cancel(world, id_of(world, "workstreams", "first"))
    assert (said.ended(), said.said) == (0, "workstream first is cancelled")
    report = world.report()
    assert (report["state"], report["alive"]) == ("running", False)
    states = {ws["name"]: ws["state"] for ws in report["workstreams"]}
    assert (states["first"], states["second"]) == ("cancelled", "skipped")
    assert states["third"] in {"ready", "executing", "validating"}
    assert world.rows("SELECT count(*) FROM gates") == gates
    check_stopped(world)
    assert landings(world.repo) == []
    assert world.finish() == 1
    states = {ws["name"]: ws["state"] for ws in world.report()["workstreams"]}
    assert (states["first"], states["second"], states["third"]) == ("cancelled", "skipped", "completed")
    check_stopped(world)
    check_each_landed_once(world)


def test_a_task_of_a_dead_process_is_cancelled_now_and_its_workstream_fails(tell: Telling) -> None:
    """A second wish finds that there is nothing left to cancel."""
    world = tell.world()
    assert world.run(fault="gate.started@1").ended() == KILLED
    tidy(world)
    task = id_of(world, "tasks", "first/a")
    said = cancel(world, task)
    assert (said.ended(), said.said) == (0, "task first/a is cancelled")
    report = world.report()
    assert next(task["state"] for task in report["tasks"] if task["name"] == "first/a") == "cancelled"
    assert {ws["name"]: ws["state"] for ws in report["workstreams"]}["first"] == "failed"
    check_stopped(world)
    again = cancel(world, task)
    assert again.ended() == 2
    assert "nothing to cancel" in again.said
    assert world.finish() == 1
    check_stopped(world)


@pytest.mark.parametrize(
    ("place", "state"), [("landing.before-ref", "cancelled"), ("landing.after-ref", "completed")]
)
def test_what_may_have_landed_is_cancelled_by_whoever_resumes_unless_it_has(
    tell: Telling, place: str, state: str
) -> None:
    """The wish stays and says so; git knows, and is asked with the resume."""
    world = tell.world()
    assert world.run(fault=place).ended() == KILLED
    tidy(world)
    said = cancel(world, id_of(world, "workstreams", "first"))
    assert said.ended() == 0
    assert "was landing when its process died" in said.said
    assert f"maingate resume {world.report()['run_id']}" in said.said
    assert {ws["name"]: ws["state"] for ws in world.report()["workstreams"]}["first"] == "validating"
    assert world.rows("SELECT count(*) FROM requests WHERE answer IS NULL") == [(1,)]
    assert world.finish() == (1 if state == "cancelled" else 0)
    assert {ws["name"]: ws["state"] for ws in world.report()["workstreams"]}["first"] == state
    check_stopped(world)
    check_each_landed_once(world)


@pytest.mark.parametrize("place", ["transaction.before", "transaction.inside", "transaction.after"])
def test_killed_while_it_cancels_for_a_dead_process_the_wish_is_not_lost(tell: Telling, place: str) -> None:
    """It is carried out by then, or whoever resumes carries it out."""
    world = tell.world()
    assert world.run(fault="gate.started@1").ended() == KILLED
    tidy(world)
    first = id_of(world, "workstreams", "first")
    assert world.start("cancel", first, fault=place).ended() == KILLED
    assert world.rows("SELECT count(*) FROM requests") == [(1,)]
    assert world.finish() == 1
    assert {ws["name"]: ws["state"] for ws in world.report()["workstreams"]}["first"] == "cancelled"
    check_stopped(world)


def cancel(world: World, entity: str) -> Command:
    """Start ``maingate cancel``."""
    return world.start("cancel", entity, "--reason", "enough")


def id_of(world: World, kind: str, name: str) -> str:
    """Return the identifier of a workstream or task."""
    return next(str(row["id"]) for row in world.report()[kind] if row["name"] == name)


def gates_at_work(world: World, workstream: str) -> list[tuple[Any, ...]]:
    """List a workstream's gates that are running, as the record has it."""
    if not world.has_begun:
        return []
    return world.rows(
        "SELECT g.id FROM gates g JOIN workstreams w ON w.id = g.workstream_id "
        f"WHERE g.state = 'RUNNING' AND g.name = 'unit' AND w.name = '{workstream}'"
    )
