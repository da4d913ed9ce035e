"""A run on a repository that a server has is handed to it, and followed as if it were run by the command."""

import json
import signal
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from maingate.bootstrap import Maingate
from maingate.plan.loader import LoadedPlan, load_plan
from maingate.queries.runs.run_list import list_runs
from maingate.services.handover.run_queue import RunOptions
from maingate.services.handover.server_hold import ServerHold
from support.command_line import maingate, start_maingate
from support.crashing import anonymous, wait_until
from support.serving import PATIENCE, TWO_STREAMS, Yard, hosting, report, waiting_for


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Give a repository."""
    return Yard.create(tmp_path / "yard")


def test_a_followed_run_ends_like_one_in_the_foreground(yard: Yard, tmp_path: Path) -> None:
    """The exit code, the report and the lines of progress are the same."""
    gates = {"a": "true", "b": "false"}
    with hosting(yard.repo.path):
        followed = {name: _ran(yard, name, gate, tmp_path) for name, gate in gates.items()}
    other = Yard.create(tmp_path / "other")
    in_foreground = {name: _ran(other, name, gate, tmp_path) for name, gate in gates.items()}
    assert {name: done.returncode for name, done in followed.items()} == {"a": 0, "b": 1}
    for name, done in followed.items():
        assert _outline(done.stdout) == _outline(in_foreground[name].stdout)
        assert _lines(done.stderr) == _lines(in_foreground[name].stderr)
    assert yard.names_on("main") == {"a"}


def test_ctrl_c_leaves_the_run_to_the_server(yard: Yard, tmp_path: Path) -> None:
    """The command says how the run is followed and cancelled; cancelling it works from anywhere."""
    go = tmp_path / "go"
    with hosting(yard.repo.path) as hosted:
        plan = yard.plan("a", gate=waiting_for(go))
        following = start_maingate("run", str(plan), cwd=yard.repo.path, home=tmp_path)
        wait_until(lambda: Path(f"{go}.begun").exists(), "the gate")
        run_id = hosted.host.hosted()[0].id
        following.send_signal(signal.SIGINT)
        _, said = following.communicate()
        assert following.returncode == 3
        assert f"`maingate cancel {run_id}` cancels it" in " ".join(said.split())
        assert report(yard.repo.path, run_id)["alive"]
        cancelled = maingate("cancel", run_id, cwd=yard.repo.path, home=tmp_path)
        assert cancelled.returncode == 0, cancelled.stderr
        assert hosted.until_ended("repo", run_id) == "canceled"


def test_commands_on_one_target_are_proved_together_and_each_has_its_own_answer(
    yard: Yard, tmp_path: Path
) -> None:
    """One is refused, one is cancelled, two land: exit codes and reports are those of each run alone."""
    go = tmp_path / "go"
    gate = f"{waiting_for(go)}; ! test -e b.txt"
    with hosting(yard.repo.path) as hosted:
        following = {}
        for name in "abcd":
            plan = yard.plan(name, gate=gate)
            following[name] = start_maingate("run", str(plan), "--json", cwd=yard.repo.path, home=tmp_path)
            wait_until(lambda: len(hosted.host.hosted()) == len(following), "its process")
        wait_until(lambda: Path(f"{go}.begun").exists(), "a gate")
        newest = max(hosted.host.hosted(), key=lambda run: run.id)
        cancelled = maingate("cancel", newest.id, cwd=yard.repo.path, home=tmp_path)
        assert cancelled.returncode == 0, cancelled.stderr
        go.touch()
        told = {name: command.communicate() for name, command in following.items()}
    codes = {name: command.returncode for name, command in following.items()}
    assert codes == {"a": 0, "b": 1, "c": 0, "d": 3}, told
    states = {name: json.loads(out)["workstreams"][0]["state"] for name, (out, _) in told.items()}
    assert states == {"a": "completed", "b": "failed", "c": "completed", "d": "cancelled"}
    assert yard.names_on("main") == {"a", "c"}


def test_a_run_that_waits_for_its_turn_says_so_and_ends_with_the_server(yard: Yard, tmp_path: Path) -> None:
    """The server is stopped: what ran says how it goes on, and so does what waited. `resume` does go on."""
    yard.set_runs_per_target(1)
    go = tmp_path / "go"
    with hosting(yard.repo.path, drain_time=timedelta(seconds=PATIENCE)) as hosted:
        plans = [yard.plan("a", gate=waiting_for(go), workstreams=TWO_STREAMS), yard.plan("b")]
        first = start_maingate("run", str(plans[0]), cwd=yard.repo.path, home=tmp_path)
        wait_until(lambda: Path(f"{go}.begun").exists(), "the gate")
        second = start_maingate("run", str(plans[1]), cwd=yard.repo.path, home=tmp_path)
        wait_until(hosted.site["repo"].queue.waiting, "the second run")
        (waiting,) = hosted.site["repo"].queue.waiting()
        assert second.stdout.readline().startswith(f"run {waiting.id}: b")
        assert second.stdout.readline().startswith(
            "waiting for its turn on main, at place 1 of the line: a has its own"
        )
        hosted.host.drain()
        _, said = second.communicate()
        assert second.returncode == 3
        told = " ".join(said.split())
        assert f"the server ended; run {waiting.id} is on record, and `maingate resume {waiting.id}`" in told
        go.touch()
        _, said = first.communicate()
        assert first.returncode == 3
        assert "`maingate resume run_" in said
    resumed = maingate("resume", waiting.id, cwd=yard.repo.path, home=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert yard.names_on("main") == {"b"}


def test_a_fault_ends_the_command_as_in_the_foreground(yard: Yard, tmp_path: Path) -> None:
    """Its message is the fault's; the server tries again by itself."""
    plan = yard.plan("a", gates={"unit": {"run": "true", "versions": [f"test -e {tmp_path}/program"]}})
    with hosting(yard.repo.path) as hosted:
        done = maingate("run", str(plan), cwd=yard.repo.path, home=tmp_path)
        assert done.returncode == 4
        assert "one of its `versions`" in " ".join(done.stderr.split())
        (tmp_path / "program").touch()
        (row,) = list_runs(hosted.site["repo"].context, limit=1).rows
        assert hosted.until_ended("repo", row["run_id"]) == "succeeded"


def test_a_server_that_is_gone_before_it_takes_a_run_up_leaves_it_to_be_resumed(
    yard: Yard, tmp_path: Path
) -> None:
    """Nothing is lost between the look for a server and its end."""
    with Maingate.open(yard.repo.path) as own:
        hold = ServerHold(own.context)
        hold.take()
        started = start_maingate("run", str(yard.plan("a")), cwd=yard.repo.path, home=tmp_path)
        wait_until(own.queue.waiting, "the run to be handed over")
        (run,) = own.queue.waiting()
        assert own.execution.interrupted() == []
        hold.release()
        _, said = started.communicate()
        assert started.returncode == 3
        assert f"`maingate resume {run.id}` goes on with it" in " ".join(said.split())
        assert [row.id for row in own.execution.interrupted()] == [run.id]
    assert maingate("resume", cwd=yard.repo.path, home=tmp_path).returncode == 0


def test_options_of_a_run_reach_the_server(yard: Yard) -> None:
    """They are on record with the hand-over; the last one counts."""
    with Maingate.open(yard.repo.path) as own:
        hold = ServerHold(own.context)
        hold.take()
        run_id = own.admission.admit_for_server(_loaded(yard), RunOptions(workers=3))
        assert run_id is not None
        assert RunOptions.of_run(own.context, run_id) == RunOptions(workers=3)
        assert own.queue.hand_over(run_id, RunOptions(budget_usd=1.5)) is not None
        assert RunOptions.of_run(own.context, run_id) == RunOptions(budget_usd=1.5)
        hold.release()
        assert own.queue.hand_over(run_id, RunOptions()) is None
        assert RunOptions.of_run(own.context, run_id) == RunOptions(budget_usd=1.5)


def _ran(yard: Yard, name: str, gate: str, home: Path) -> CompletedProcess[str]:
    return maingate("run", str(yard.plan(name, gate=gate)), "--json", cwd=yard.repo.path, home=home)


def _loaded(yard: Yard) -> LoadedPlan:
    return load_plan(yard.plan("a"))


def _outline(printed: str) -> object:
    """Return a report without what differs from run to run."""
    shown = anonymous(json.loads(printed))
    times = ("seconds", "created_at", "started_at", "completed_at", "repository")
    return {key: value for key, value in shown.items() if key not in times}


def _lines(said: str) -> list[str]:
    """Return the lines of progress, without identifiers, and without the wait for the server."""
    lines = [str(anonymous(line)) for line in said.splitlines()]
    return [line for line in lines if not line.startswith("waiting for the server")]
