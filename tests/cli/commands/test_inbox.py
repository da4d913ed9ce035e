"""`maingate inbox` and the head of `maingate status`, after real runs; each command of an item is run."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import event

from maingate.bootstrap import Maingate
from maingate.clock import ManualClock
from maingate.landing.owed_checkouts import PendingCheckout, UnfinishedMove, locked_record
from maingate.plan.loader import load_plan
from maingate.queries.inbox.open_matters import inbox
from support.command_line import Started, maingate, start_maingate
from support.crashing import wait_until
from support.factories import GitRepo
from support.landing import one_each, write_plan

if TYPE_CHECKING:
    import subprocess

GATE: Final = "! grep -q bad a.txt && test ! -e red"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A repository with plans, and the commands on it."""

    repo: GitRepo
    folder: Path
    home: Path

    def plan(self, patches: Mapping[str, bytes], *, name: str = "plan", **plan: Any) -> Path:
        """Write a plan with a gate; each patch is a workstream that is not critical."""
        streams = {key: {**value, "critical": False} for key, value in one_each(patches).items()}
        described = {"gates": {"unit": {"run": GATE}}, "workstreams": streams, **plan}
        path = {"repo": str(self.repo.path), "target": "main"}
        return write_plan(self.folder / name, {**path, **described}, patches)

    def call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the repository."""
        return maingate(*words, cwd=self.repo.path, home=self.home)

    def run(self, plan: Path, *, ends: str = "succeeded") -> None:
        """Run a plan to its end."""
        loaded = load_plan(plan)
        with Maingate.for_plan(loaded) as opened:
            assert str(opened.execution.execute(opened.admission.admit(loaded), workers=2)) == ends

    def start(self, plan: Path) -> Started:
        """Start a run."""
        return start_maingate("run", str(plan), cwd=self.repo.path, home=self.home)

    def items(self) -> list[dict[str, Any]]:
        """Return the items in the public JSON form."""
        with Maingate.open(self.repo.path) as opened:
            return [item.as_json() for item in inbox(opened.context)]

    def item(self, code: str) -> dict[str, Any]:
        """Return the one item, which has this code."""
        (item,) = self.items()
        assert item["code"] == code
        return item

    def obey(self, item: Mapping[str, Any]) -> "subprocess.CompletedProcess[str]":
        """Run the command of an item, as a shell would split it."""
        program, *words = shlex.split(item["command"])
        assert program == "maingate"
        return self.call(*words)

    def edit(self, text: str) -> bytes:
        """Make a patch that changes the second line of a.txt."""
        return self.repo.diff_of({"a.txt": f"one\n{text}\nthree\n"})


@pytest.fixture
def desk(repo: GitRepo, tmp_path: Path, hermetic_environment: Path) -> Desk:
    """Give a repository with a file of three lines."""
    repo.commit({"a.txt": "one\ntwo\nthree\n"}, "base")
    return Desk(repo=repo, folder=tmp_path, home=hermetic_environment)


def wait_for(process: Started, words: str) -> None:
    """Read what a run prints until it says something."""
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(process.stderr.read())


# -- an empty inbox ------------------------------------------------------------------------------------------


def test_an_empty_inbox_says_so(desk: Desk) -> None:
    """Before the first run and after one without refusals; the exit code is 0, and `status` says nothing."""
    assert desk.call("inbox").stdout == "nothing needs you\n"
    assert desk.call("inbox", "--json").stdout == "[]\n"
    desk.run(desk.plan({"good": desk.edit("2")}))
    assert desk.call("inbox").stdout == "nothing needs you\n"
    assert "Needs you" not in desk.call("status").stdout
    assert desk.items() == []


# -- quarantined patches -------------------------------------------------------------------------------------


def test_a_quarantined_patch_needs_you_first(desk: Desk) -> None:
    """`status` begins with it, with its reason and the command; the inbox has its ids, names and time."""
    desk.run(desk.plan({"poor": desk.edit("bad")}))
    item = desk.item("quarantined")
    assert item["about"]["name"] == "poor/t"
    assert (item["about"]["kind"], item["severity"]) == ("patch", "warning")
    assert item["why"].startswith("the patch of poor/t is quarantined: gate_failed: ")
    assert item["command"] == f"maingate patch recover {item['about']['id']}"
    first, *more = desk.call("status").stdout.splitlines()
    assert first == "Needs you: 1"
    assert f"    {item['command']}" in more[:3]
    assert json.loads(desk.call("inbox", "--json").stdout) == [item]
    shown = desk.call("inbox").stdout
    assert item["command"] in shown
    assert "gate_failed" in shown


def test_many_items_are_counted_above_a_report(desk: Desk) -> None:
    """Three are shown, and how all are seen."""
    desk.run(desk.plan({name: desk.edit(f"bad {name}") for name in "pqrst"}))
    shown = desk.call("status").stdout
    assert shown.startswith("Needs you: 5\n")
    assert shown.count("maingate patch recover") == 3
    assert "… 2 more: maingate inbox" in shown
    assert len(desk.items()) == 5


def test_a_dropped_patch_is_no_item(desk: Desk) -> None:
    """A patch that the policy refuses is dropped by its own command."""
    desk.run(desk.plan({"secret": desk.repo.diff_of({"secrets/key": "x\n"})}))
    item = desk.item("quarantined")
    assert "patch drop" in item["command"]
    assert desk.obey(item).returncode == 0
    assert desk.items() == []


def test_a_recovered_patch_is_replaced_by_its_recovery(desk: Desk) -> None:
    """Refused once more, only the new patch is an item; landed with another diff, none is."""
    desk.run(desk.plan({"poor": desk.edit("bad")}))
    first = desk.item("quarantined")
    assert desk.obey(first).returncode == 1
    second = desk.item("quarantined")
    assert second["about"]["id"] != first["about"]["id"]
    better = desk.folder / "better.patch"
    better.write_bytes(desk.edit("better"))
    assert desk.call("patch", "recover", second["about"]["id"], "--patch", str(better)).returncode == 0
    assert desk.items() == []


def test_a_later_run_of_the_plan_supersedes_a_refusal(desk: Desk) -> None:
    """Refused again, the newer one counts; landed, none; what the later run lacks is still open."""
    desk.run(desk.plan({"poor": desk.edit("bad"), "other": desk.edit("bad other")}))
    assert len(desk.items()) == 2
    desk.run(desk.plan({"poor": desk.edit("still bad")}))
    poor = {item["about"]["name"]: item["about"]["run_id"] for item in desk.items()}
    assert poor.keys() == {"poor/t", "other/t"}
    assert poor["poor/t"] > poor["other/t"]
    desk.run(desk.plan({"poor": desk.edit("better")}))
    assert [item["about"]["name"] for item in desk.items()] == ["other/t"]


def test_a_change_that_landed_by_another_plan_is_no_item(desk: Desk) -> None:
    """The same change is on the target; where it was not wanted, `rollback` takes it back."""
    change = desk.edit("bad")
    desk.run(desk.plan({"poor": change}))
    assert desk.item("quarantined")
    desk.run(desk.plan({"fine": change}, name="lenient", gates={}))
    assert desk.items() == []


def test_a_later_run_that_was_cancelled_supersedes_nothing(desk: Desk) -> None:
    """While it has the task, the task is not refused; dropped there, the refusal is still the last word."""
    desk.run(desk.plan({"poor": desk.edit("bad")}))
    process = desk.start(desk.plan({"poor": desk.edit("bad")}, policy={"reviewers": 1}))
    wait_for(process, "approval")
    assert desk.item("approval")["about"]["name"] == "poor/t"
    assert desk.call("cancel", "plan", "--operator", "ada").returncode == 0
    assert "ada cancelled it" in process.communicate()[0]
    assert desk.item("quarantined")["about"]["name"] == "poor/t"


def test_a_patch_whose_tool_tries_again_is_no_item(desk: Desk) -> None:
    """Its task has not ended; the second attempt replaces the first patch."""
    waits = f"touch {desk.folder}/began; until test -e {desk.folder}/go; do sleep 0.02; done"
    bad, good = "sed -i s/two/bad/ a.txt", "sed -i s/two/good/ a.txt"
    run = f"if test $MAINGATE_ATTEMPT = 1; then {bad}; else {waits}; {good}; fi"
    tasks = {"t": {"tool": "fixer", "prompt": "x"}}
    plan = desk.plan({}, tools={"fixer": {"run": run}}, workstreams={"w": {"tasks": tasks}})
    process = desk.start(plan)
    wait_until((desk.folder / "began").exists, "the second attempt")
    assert "quarantined" in desk.call("quarantine").stdout
    assert desk.items() == []
    (desk.folder / "go").touch()
    process.communicate()
    assert process.returncode == 0
    assert desk.items() == []


# -- a red base ----------------------------------------------------------------------------------------------


def test_a_red_base_is_one_item_until_the_patches_are_run_again(desk: Desk) -> None:
    """While the target is red it is to be mended first; then the command lands the patches."""
    plan = desk.plan({"p": desk.edit("2"), "q": desk.repo.diff_of({"q.txt": "q\n"})})
    desk.repo.commit({"red": "x\n"})
    desk.run(plan)
    item = desk.item("base_red")
    assert (item["about"]["kind"], item["about"]["name"]) == ("target", "main")
    assert item["why"] == (
        "gate unit fails on main itself, so the patch of p/t and 1 more did not land; "
        "mend main, then try them again"
    )
    assert item["command"] == f"maingate run {plan}"
    desk.repo.commit({"red": None})
    assert "main has moved since" in desk.item("base_red")["why"]
    assert desk.obey(item).returncode == 0
    assert desk.items() == []
    assert desk.repo.git("show", "main:q.txt") == "q"


def test_a_patch_that_a_red_base_stopped_is_recovered(desk: Desk) -> None:
    """Recovered alone it leaves the others open; the command for the last one is its recovery."""
    plan = desk.plan({"p": desk.edit("2"), "q": desk.repo.diff_of({"q.txt": "q\n"})})
    desk.repo.commit({"red": "x\n"})
    desk.run(plan)
    desk.repo.commit({"red": None})
    assert desk.call("patch", "recover", "p/t").returncode == 0
    item = desk.item("base_red")
    assert "the patch of q/t did not land" in item["why"]
    assert item["command"].startswith("maingate patch recover patch_")
    assert desk.obey(item).returncode == 0
    assert desk.items() == []


# -- approvals, stopped runs, stuck work ---------------------------------------------------------------------


def test_a_patch_that_waits_for_an_approval(desk: Desk) -> None:
    """The run waits; the command of the item lets it go on."""
    process = desk.start(desk.plan({"p": desk.edit("2")}, policy={"reviewers": 1}))
    wait_for(process, "approval")
    item = desk.item("approval")
    assert (item["about"]["name"], item["why"]) == ("p/t", "p/t waits for 1 more approval")
    assert desk.call("status").stdout.startswith("Needs you: 1\n")
    assert desk.obey(item).returncode == 0
    process.communicate()
    assert process.returncode == 0
    assert desk.items() == []


def a_command(desk: Desk) -> Path:
    """Write a plan whose command waits for a file."""
    command = f"echo began > {desk.folder}/began; until test -e {desk.folder}/go; do sleep 0.02; done"
    return desk.plan({}, workstreams={"w": {"tasks": {"t": {"command": command}}}})


def test_a_run_without_a_process_is_resumed(desk: Desk) -> None:
    """Killed, it has not ended; the command continues it to its end."""
    process = desk.start(a_command(desk))
    wait_for(process, "w/t")
    process.kill()
    process.communicate()
    item = desk.item("stopped")
    assert item["why"] == "run plan is not running: its process exited"
    assert item["command"] == f"maingate resume {item['about']['id']}"
    (desk.folder / "go").touch()
    assert desk.obey(item).returncode == 0
    assert desk.items() == []


def test_a_stuck_task_is_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without progress for longer than `stuck_task`; the run ends with it."""
    process = desk.start(a_command(desk))
    wait_for(process, "w/t")
    with Maingate.open(desk.repo.path) as opened:
        assert inbox(opened.context) == []
        later = opened.context.clock.now() + timedelta(minutes=31)
        monkeypatch.setattr(opened.context, "clock", ManualClock(current=later))
        (item,) = inbox(opened.context)
    assert (str(item.code), item.about.name) == ("stuck", "w/t")
    assert desk.obey(item.as_json()).returncode == 0
    process.communicate()
    assert desk.items() == []


def test_a_stuck_workstream_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without progress of it or of its parts for longer than `stuck_workstream`."""
    process = desk.start(a_command(desk))
    wait_for(process, "w/t")
    with Maingate.open(desk.repo.path) as opened:
        later = opened.context.clock.now() + timedelta(minutes=61)
        monkeypatch.setattr(opened.context, "clock", ManualClock(current=later))
        found = {item.about.name: item.about.kind for item in inbox(opened.context)}
    assert found == {"w": "workstream", "w/t": "task"}
    (desk.folder / "go").touch()
    process.communicate()


def test_a_run_whose_budget_is_used_up_gets_a_larger_one(desk: Desk) -> None:
    """The command has a figure, so that it can be typed as it is."""
    said = {"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 0.6, "result": "ok"}
    (desk.folder / "bin").mkdir()
    claude = desk.folder / "bin" / "claude"
    claude.write_text(f"#!/bin/sh\ntouch \"${{MAINGATE_TASK#*/}}\"\necho '{json.dumps(said)}'\n")
    claude.chmod(0o755)
    tool = {"preset": "claude", "env": {"PATH": f"{desk.folder}/bin:/usr/bin:/bin"}}
    tasks = {name: {"tool": "claude", "prompt": "x", "scope": ["**"]} for name in "abc"}
    plan = desk.plan({}, tools={"claude": tool}, budget_usd=1.0, workstreams={"w": {"tasks": tasks}})
    assert desk.call("run", str(plan)).returncode == 3
    item = desk.item("budget")
    assert item["command"] == f"maingate resume {item['about']['id']} --budget-usd 2.40"
    assert desk.obey(item).returncode == 0
    assert desk.items() == []


# -- breakers and checkouts ----------------------------------------------------------------------------------


def test_an_open_breaker_is_reset(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is open after the run that opened it, until a probe succeeds or a person resets it."""
    tools = {"shaky": {"run": "false"}}
    tasks = {"t": {"tool": "shaky", "prompt": "x", "max_retries": 0}}
    plan = desk.plan({}, tools=tools, workstreams={"w": {"tasks": tasks}})
    monkeypatch.setenv("MAINGATE_BREAKER_THRESHOLD", "1")
    desk.run(plan, ends="failed")
    item = desk.item("breaker_open")
    assert (item["about"]["name"], item["severity"]) == ("shaky", "critical")
    assert item["why"].startswith("tool shaky is paused (circuit breaker open): ")
    assert desk.obey(item).returncode == 0
    assert desk.items() == []


def test_a_checkout_that_was_left_behind_is_repaired(desk: Desk) -> None:
    """The branch had moved, and the process died before the checkout had followed."""
    old = desk.repo.head()
    desk.run(desk.plan({"p": desk.edit("2")}))
    desk.repo.git("read-tree", "-m", "-u", "HEAD", old)
    owed = PendingCheckout(git_dir=str(desk.repo.path / ".git"), top=str(desk.repo.path))
    with (
        Maingate.open(desk.repo.path) as opened,
        locked_record(opened.repository, "refs/heads/main") as held_record,
    ):
        record = UnfinishedMove(ref="refs/heads/main", old=old, new=desk.repo.head(), checkouts=(owed,))
        held_record.write(record)
    item = desk.item("checkout")
    assert (item["about"]["id"], item["command"]) == (str(desk.repo.path), "maingate checkout repair")
    assert item["since"] is not None
    assert desk.obey(item).returncode == 0
    assert desk.items() == []


# -- cost ----------------------------------------------------------------------------------------------------


def statements_of(opened: Maingate) -> list[tuple[str, Any]]:
    """Return the statements by which the inbox is read."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    event.listen(opened.database.engine, "before_cursor_execute", note)
    try:
        inbox(opened.context)
    finally:
        event.remove(opened.database.engine, "before_cursor_execute", note)
    return asked


def test_the_inbox_does_not_read_the_history(desk: Desk) -> None:
    """More landed and superseded work asks no further questions, and no question reads a whole table."""
    desk.run(desk.plan({"poor": desk.edit("bad")}))
    with Maingate.open(desk.repo.path) as opened:
        before = statements_of(opened)
    for text in ("bad again", "bad as ever"):
        desk.run(desk.plan({"poor": desk.edit(text), "good": desk.repo.diff_of({f"{text}.txt": "x\n"})}))
    with Maingate.open(desk.repo.path) as opened:
        after = statements_of(opened)
        with opened.database.read() as conn:
            plans = [
                str(row[-1])
                for statement, values in after
                if statement.startswith("SELECT")
                for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            ]
    assert len(after) == len(before)
    whole = [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan]
    assert [plan for plan in whole if plan not in {"SCAN breakers", "SCAN counters"}] == []
