"""Tools whose patches conflict with what landed meanwhile: real processes, killed, and of several runs."""

import json
import signal
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from maingate.db.audit.record_check import verify
from support.crashing import KILLED, World, check_nothing_is_left, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

APPEND = """
import os, pathlib, sys, time
memory, task, attempt = pathlib.Path(sys.argv[1]), os.environ["MAINGATE_TASK"], os.environ["MAINGATE_ATTEMPT"]
own = f"{task.replace('/', '-')}-{attempt}"
(memory / f"prompt-{own}").write_text(pathlib.Path(os.environ["MAINGATE_PROMPT_FILE"]).read_text())
(memory / f"begun-{own}").write_text(pathlib.Path("log").read_text())
while len(list(memory.glob("begun-*"))) < 2 or (memory / f"wait-{own}").exists():
    time.sleep(0.02)
with open("log", "a") as log:
    log.write(f"{task} was here\\n")
"""
"""Appends to one file; the first two tools that begin have begun on the same commit."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a file that all tools append to."""
    world = World.create(tmp_path / "world", {"log": "begin\n"})
    world.environment = {"MAINGATE_RETRY_DELAY": "0.01", "MAINGATE_RETRY_DELAY_MAX": "0.05"}
    (world.folder / "memory").mkdir()
    (world.folder / "append.py").write_text(textwrap.dedent(APPEND))
    return world


def plan(world: World, names: str, *, name: str = "plan", **more: Any) -> Path:
    """Write a plan of a workstream with a tool for each letter."""
    tool = {"run": ["python3", str(world.folder / "append.py"), str(world.folder / "memory")]}
    described: Mapping[str, Any] = {
        "maingate": 1,
        "name": name,
        "repo": str(world.repo.path),
        "target": "main",
        "tools": {"agent": tool},
        "gates": {"unit": {"run": "test -f log"}},
        "workstreams": {each: {"tasks": {"t": {"tool": "agent", "prompt": "append"}}} for each in names},
        **more,
    }
    path = world.folder / f"{name}.yaml"
    path.write_text(json.dumps(described))
    return path


def lines(world: World) -> list[str]:
    """Return the names of the workstreams whose tools have appended, as the file has them on the branch."""
    text = world.repo.git("show", "main:log").splitlines()
    assert text[0] == "begin"
    return sorted(line.partition("/")[0] for line in text[1:])


def check(world: World, names: str, *, landing: str = "merge") -> None:
    """Each tool has appended once, nothing is left open, the record is intact and says where each began."""
    assert lines(world) == sorted(names)
    check_nothing_is_left(world)
    with world.open() as maingate:
        assert verify(maingate.database).findings == ()
    began = world.rows(
        'SELECT w.base_commit, p."commit" FROM workstreams w JOIN patches p ON p.workstream_id = w.id '
        "WHERE p.state = 'committed'"
    )
    for base, commit in began if landing == "merge" else ():
        assert world.repo.git("rev-parse", f"{commit}^").strip() == base


@pytest.mark.parametrize("landing", ["merge", "rebase", "squash"])
def test_ten_agents_that_append_to_one_file_all_land(world: World, landing: str) -> None:
    """Each that was overtaken is told so, with what is on the branch now, and begins again on that."""
    names = "abcdefghij"
    command = world.start("run", str(plan(world, names, landing=landing)), "--workers", "2")
    assert command.ended() == 0, command.said
    check(world, names, landing=landing)
    assert {retries for (retries,) in world.rows("SELECT retry_count FROM tasks")} == {0}
    again = world.rows(
        "SELECT name, attempt FROM (SELECT w.name, t.attempt FROM tasks t JOIN workstreams w "
        "ON w.id = t.workstream_id) AS found WHERE attempt > 1"
    )
    assert again
    memory = world.folder / "memory"
    for name, attempt in again:
        prompt = (memory / f"prompt-{name}-t-{attempt}").read_text()
        assert f"{name} conflicts with the current target in log" in prompt
        assert "was here" in prompt.partition("The target has changed there since")[2]
        begun = [(memory / f"begun-{name}-t-{number}").read_text() for number in range(1, attempt + 1)]
        assert begun == sorted(set(begun), key=len)
    codes = {
        json.loads(reason)["code"]
        for (reason,) in world.rows("SELECT quarantine_reason FROM patches WHERE state = 'quarantined'")
    }
    assert codes == {"conflict"}


def test_tools_of_several_runs_append_to_one_file(world: World) -> None:
    """One process lands for all; those that it refuses begin again in their own."""
    plans = [plan(world, names, name=names) for names in ("ab", "cd", "ef")]
    commands = [world.start("run", str(path), "--workers", "2") for path in plans]
    for command in commands:
        assert command.ended() == 0, command.said
    check(world, "abcdef")


def test_a_run_that_is_killed_while_a_tool_begins_again_goes_on(world: World) -> None:
    """The attempt is lost; the next begins on all that has landed, too."""
    memory = world.folder / "memory"
    for name in "ab":
        (memory / f"wait-{name}-t-2").touch()
    command = world.start("run", str(plan(world, "ab")), "--workers", "2")
    wait_until(lambda: list(memory.glob("begun-*-t-2")), "a second attempt")
    command.send(signal.SIGKILL)
    assert command.ended() == KILLED
    assert world.start("resume", "--workers", "2").ended() == 0
    check(world, "ab")
    assert sorted(world.rows("SELECT attempt, retry_count, lost_count FROM tasks")) == [(1, 0, 0), (3, 0, 1)]


@pytest.mark.parametrize(
    "fault", [f"transaction.{where}@{at}" for where in ("before", "after") for at in range(8, 28, 3)]
)
def test_a_run_that_is_killed_anywhere_lands_all(world: World, fault: str) -> None:
    """Whatever was being recorded then: each tool appends once, and no attempt is counted as a failure."""
    path = plan(world, "abc")
    code = world.start("run", str(path), "--workers", "2", fault=fault).ended()
    assert code in {0, KILLED}
    while code == KILLED:
        code = world.start("resume", "--workers", "2").ended()
    assert code == 0
    check(world, "abc")
    assert {retries for (retries,) in world.rows("SELECT retry_count FROM tasks")} == {0}


def test_proven_patches_are_not_judged_again_after_a_kill(world: World) -> None:
    """A patch that waits for its landing is off the record; what its gates said is not."""
    gate = f"test -f log && echo run >> {world.folder}/runs"
    hold = f"until test -e {world.folder}/go; do sleep 0.02; done"
    gates = {"unit": {"run": gate, "on": ["task"]}, "hold": {"run": hold, "on": ["landing"]}}
    (world.folder / "memory" / "begun-x").touch()
    command = world.start("run", str(plan(world, "a", gates=gates)), "--workers", "2")
    wait_until(
        lambda: (
            world.has_begun and world.rows("SELECT 1 FROM gates WHERE name = 'hold' AND state = 'RUNNING'")
        ),
        "the gate of the landing",
    )
    command.send(signal.SIGKILL)
    assert command.ended() == KILLED
    (world.folder / "go").touch()
    assert world.start("resume", "--workers", "2").ended() == 0
    check(world, "a")
    assert (world.folder / "runs").read_text() == "run\n"
    assert world.rows("SELECT attempt FROM tasks") == [(1,)]


def test_a_proven_patch_that_waits_for_long_is_not_removed_by_git(world: World) -> None:
    """Its commit is on the workstream's own ref, though it is not on record as applied."""
    hold = f"until test -e {world.folder}/go; do sleep 0.02; done"
    gates = {"hold": {"run": hold, "on": ["landing"]}}
    (world.folder / "memory" / "begun-x").touch()
    command = world.start("run", str(plan(world, "a", gates=gates)), "--workers", "2")
    wait_until(
        lambda: world.has_begun and world.rows("SELECT 1 FROM gates WHERE state = 'RUNNING'"), "the gate"
    )
    [(run,)] = world.rows("SELECT id FROM runs")
    wait_until(lambda: own_ref(world, run) != world.repo.head("main"), "the ref of the workstream")
    proven = own_ref(world, run)
    world.repo.git("gc", "-q", "--prune=now")
    assert world.repo.git("cat-file", "-t", proven).strip() == "commit"
    (world.folder / "go").touch()
    assert command.ended() in {0, 4}, command.said  # the trial of the merge was removed, which is made again
    world.start("resume", "--workers", "2").ended()
    check(world, "a")


def own_ref(world: World, run: str) -> str:
    """Return where the own ref of the workstream `a` is; the branch, while there is none."""
    found = world.repo.git("for-each-ref", "--format=%(objectname)", f"refs/maingate/{run}/a").split()
    return found[0] if found else world.repo.head("main")
