"""What fails outside: Maingate waits, or says what is wrong; then it goes on as if nothing had been."""

import json
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maingate.ids import RunId
from maingate.plan.loader import load_plan
from support.crashing import (
    KILLED,
    Command,
    World,
    check_each_landed_once,
    end_of,
    wait_until,
)
from support.examples import thorough
from support.stories import Telling

OUTSIDE_FAULT = 4


# -- the database --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.5, thorough(6)])
def test_a_database_that_is_locked_is_waited_for(tell: Telling, seconds: float) -> None:
    """Another process writes for so long; SQLite by itself waits for five seconds. Nothing fails."""
    world = tell.held_up()
    run = begun(world)
    with locked(world):
        let_go(world)
        run.process.join(seconds)
        assert run.is_running
    assert end_of(world, run.ended()) == tell.story().end


def test_a_database_that_stays_locked_ends_the_run_resumably(tell: Telling) -> None:
    """It says who is in the way, and what to do."""
    world = tell.held_up()
    run = begun(world, MAINGATE_BUSY_TIMEOUT="0.2s")
    with locked(world):
        let_go(world)
        assert run.ended() == OUTSIDE_FAULT
    assert "another process is writing to it" in run.said
    assert end_of(world, world.finish()) == tell.story().end


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Hold the write lock of a world's database."""
    path = world.repo.path / ".git" / "maingate" / "maingate.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


# -- the disk ------------------------------------------------------------------------------------------------


def test_a_disk_that_takes_no_more_ends_the_run_resumably(tell: Telling) -> None:
    """The database may not grow any further."""
    world = tell.held_up()
    run = begun(world)
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    let_go(world)
    assert run.ended() == OUTSIDE_FAULT
    assert "Traceback" not in run.said
    assert end_of(world, world.finish()) == tell.story().end


def test_a_full_disk_ends_the_run_resumably(tell: Telling) -> None:
    """All that Maingate keeps is on a disk without room; the error says so."""
    world = tell.held_up()
    state = world.repo.path / ".git" / "maingate"
    with small_disk(state, "size=4m"):
        run = begun(world)
        fill(state / "filling")
        let_go(world)
        assert run.ended() == OUTSIDE_FAULT
        assert "Traceback" not in run.said
        assert "full" in run.said or "No space left" in run.said
        (state / "filling").unlink()
        assert end_of(world, world.finish()) == tell.story().end


def test_a_full_temporary_folder_hinders_nothing(tell: Telling) -> None:
    """There is room for a folder, but for nothing in it; what is made for a moment is made in memory."""
    world = tell.world()
    temporary = world.folder / "tmp"
    with small_disk(temporary, "nr_inodes=2"):
        run = world.run(TMPDIR=str(temporary))
        assert end_of(world, run.ended()) == tell.story().end


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """Mount a small disk, where that is allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as filling:
        for size in (4096, 1):
            try:
                while True:
                    filling.write(b"x" * size)
            except OSError:
                continue


# -- the clock -----------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class JumpingClock:
    """The machine's clock, which is set back or forth when it was asked so many times.

    Args:
        jump: By how much it is wrong from then on.
        after: How often the time must be asked for before.
    """

    jump: timedelta
    after: int = 0
    asked: int = field(default=0)

    def now(self) -> datetime:
        """Return the time, as it was set."""
        self.asked += 1
        return datetime.now(UTC) + (self.jump if self.asked > self.after else timedelta())

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1)], ids=["back", "forth"])
def test_a_clock_that_jumps_while_it_runs_changes_nothing(tell: Telling, jump: timedelta) -> None:
    """Neither what lands, nor that the record is whole."""
    world = tell.world()
    loaded = load_plan(world.plan)
    with world.open_new() as maingate:
        maingate.context.clock = clock = JumpingClock(jump=jump, after=40)
        run_id = maingate.admission.admit(loaded)
        maingate.execution.execute(run_id, workers=2)
    assert clock.asked > 80
    assert end_of(world, 0) == tell.story().end


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1)], ids=["back", "forth"])
@pytest.mark.parametrize(
    "fault", ["landing.after-ref@1", thorough("transaction.after@5"), thorough("gate.started@2")]
)
def test_a_clock_that_was_set_between_crash_and_resume_changes_nothing(
    tell: Telling, fault: str, jump: timedelta
) -> None:
    """Whether a process lives is asked of the system, not of the clock; a wait is not an hour longer."""
    world = tell.world()
    assert world.run(fault=fault).ended() == KILLED
    with world.open() as maingate:
        maingate.context.clock = JumpingClock(jump=jump)
        (run,) = maingate.execution.interrupted()
        maingate.execution.execute(RunId(run.id), workers=2)
    assert end_of(world, 0) == tell.story().end


# -- git -----------------------------------------------------------------------------------------------------

FAILING = """#!/bin/sh
echo x >> {folder}/calls
case " {calls} " in *" $(wc -l < {folder}/calls) "*) echo "fatal: no luck today" >&2; exit 128;; esac
exec {git} "$@"
"""

DYING = """#!/bin/sh
case "$*" in
*update-ref*--stdin*) if mkdir {folder}/died 2>/dev/null; then {git} "$@"; kill -9 $$; fi;;
esac
exec {git} "$@"
"""

REFUSING = """#!/bin/sh
case "$*" in
*update-ref*--stdin*) test -e {folder}/well || {{ echo "fatal: cannot lock ref" >&2; exit 128; }};;
esac
exec {git} "$@"
"""


def other_git(world: World, script: str, **values: object) -> dict[str, str]:
    """Put another git first on the path; return the environment for it."""
    folder = world.folder / "bin"
    folder.mkdir()
    git = folder / "git"
    git.write_text(script.format(folder=world.folder, git=shutil.which("git"), **values))
    git.chmod(0o755)
    return {"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin"}


@pytest.mark.parametrize("first", [3, 9, *map(thorough, (5, 7, 11, 13))])
def test_a_git_that_fails_now_and_then_is_an_error_and_nothing_wrong_lands(tell: Telling, first: int) -> None:
    """Wherever it strikes: the run goes on, or ends with an outside fault and is resumed."""
    world = tell.world()
    calls = (first, first + 12, first + 24)
    environment = other_git(world, FAILING, calls=" ".join(map(str, calls)))
    run = world.run(**environment)
    for _ in calls:
        if run.ended() == 0:
            break
        assert run.ended() == OUTSIDE_FAULT, run.said
        assert "no luck today" in run.said
        run = world.go_on(**environment)
    assert not any("Traceback" in command.said for command in world.commands)
    assert end_of(world, run.ended()) == tell.story().end


def test_a_git_that_dies_when_the_ref_has_moved_has_landed_it(tell: Telling) -> None:
    """Where the target is decides, not what git said."""
    world = tell.world()
    run = world.run(**other_git(world, DYING))
    assert end_of(world, run.ended()) == tell.story().end
    assert (world.folder / "died").exists()
    check_each_landed_once(world)


def test_a_git_that_cannot_move_the_ref_is_an_outside_fault(tell: Telling) -> None:
    """Nothing lands until it can; then everything does, once."""
    world = tell.world()
    before = world.repo.head("main")
    environment = other_git(world, REFUSING)
    run = world.run(**environment)
    assert run.ended() == OUTSIDE_FAULT
    assert "cannot lock ref" in run.said
    assert world.repo.head("main") == before
    assert world.resume(**environment).ended() == OUTSIDE_FAULT
    (world.folder / "well").touch()
    assert end_of(world, world.resume(**environment).ended()) == tell.story().end


# -- people --------------------------------------------------------------------------------------------------


def test_a_checkout_that_became_dirty_keeps_the_run_until_it_is_clean(tell: Telling) -> None:
    """What somebody is writing is not overwritten: the run stops, and lands when it can."""
    world = tell.held_up()
    run = begun(world)
    (world.repo.path / "a.txt").write_text("mine\n")
    let_go(world)
    assert run.ended() == OUTSIDE_FAULT
    assert "cannot follow" in run.said
    assert (world.repo.path / "a.txt").read_text() == "mine\n"
    check_why_it_stopped_is_told(world, "cannot follow")
    world.repo.git("checkout", "-q", "a.txt")
    assert end_of(world, world.finish()) == tell.story().end


def check_why_it_stopped_is_told(world: World, why: str) -> None:
    """The reason is on record as an error of the run; `status`, its JSON, `events` and `runs` show it."""
    report = world.report()
    assert (report["state"], report["alive"], report["reason"]) == ("running", False, None)
    assert why in report["stopped"]["message"]
    shown = told(world, "status")
    assert "stopped: " in shown
    assert why in shown
    assert f"`maingate resume {report['run_id']}`" in shown
    (event,) = json.loads(told(world, "events", "--type", "error", "--entity", report["run_id"], "--json"))
    assert event["reason"]["message"] == report["stopped"]["message"]
    assert (event["trigger"], event["context"]["run_id"]) == ("stopped", report["run_id"])
    assert "running (no process)" in told(world, "runs")
    (listed,) = json.loads(told(world, "runs", "--json"))
    assert (listed["state"], listed["alive"]) == ("running", False)


def told(world: World, *words: str) -> str:
    """Return what a command that reads prints."""
    command = world.start(*words)
    assert command.ended() == 0, command.said
    return command.said


def test_why_a_run_stopped_stands_until_a_process_goes_on_with_it(tell: Telling) -> None:
    """A process that is killed later has left no reason, and the one before is not its."""
    world = tell.held_up()
    run = begun(world)
    (world.repo.path / "a.txt").write_text("mine\n")
    let_go(world)
    assert run.ended() == OUTSIDE_FAULT
    assert world.resume().ended() == OUTSIDE_FAULT
    assert "cannot follow" in world.report()["stopped"]["message"]
    world.repo.git("checkout", "-q", "a.txt")
    assert world.resume(fault="landing.before-ref@1").ended() == KILLED
    assert world.report()["stopped"] is None
    assert "not running: its process exited" in told(world, "status")
    assert end_of(world, world.finish()) == tell.story().end
    assert world.report()["stopped"] is None
    (listed,) = json.loads(told(world, "runs", "--json"))
    assert (listed["state"], listed["alive"]) == (world.report()["state"], False)


def test_a_target_that_was_deleted_ends_the_run_resumably(tell: Telling) -> None:
    """It is not made again behind anybody's back."""
    world = tell.held_up()
    base = world.repo.head("main")
    run = begun(world)
    world.repo.git("update-ref", "-d", "refs/heads/main")
    let_go(world)
    assert run.ended() == OUTSIDE_FAULT
    assert "refs/heads/main is gone" in run.said
    check_why_it_stopped_is_told(world, "refs/heads/main is gone")
    world.repo.git("update-ref", "refs/heads/main", base)
    assert end_of(world, world.finish()) == tell.story().end


def test_a_patch_that_was_taken_in_is_not_read_from_its_file_again(tell: Telling) -> None:
    """The ledger has it."""
    world = tell.held_up()
    run = begun(world)
    wait_until(lambda: is_taken(world, "third"), "the patch")
    run.send(signal.SIGKILL)
    assert run.ended() == KILLED
    (world.plan.parent / "good-d").unlink()
    let_go(world)
    assert end_of(world, world.finish()) == tell.story().end


def test_patches_whose_folder_is_gone_end_the_run_resumably(tell: Telling) -> None:
    """It names the folder; when that is there again, all goes on. One file that is gone ends its task."""
    world = tell.world()
    folder = world.plan.parent
    assert world.run(fault="transaction.after@1").ended() == KILLED
    folder.rename(folder.with_name("elsewhere"))
    resumed = world.resume()
    assert resumed.ended() == OUTSIDE_FAULT
    assert str(folder) in resumed.said
    folder.with_name("elsewhere").rename(folder)
    assert end_of(world, world.finish()) == tell.story().end


def is_taken(world: World, workstream: str) -> bool:
    """Tell whether the ledger has a patch of a workstream."""
    return bool(
        world.rows(
            "SELECT p.id FROM patches p JOIN workstreams w ON w.id = p.workstream_id "
            f"WHERE w.name = '{workstream}'"
        )
    )


def begun(world: World, **environment: str) -> Command:
    """Start a run and wait until a gate holds it up."""
    run = world.run(**environment)
    wait_until((world.folder / "begun").exists, "a gate")
    return run


def let_go(world: World) -> None:
    """Let the gates go on."""
    (world.folder / "go").touch()
