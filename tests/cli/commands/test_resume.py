"""`maingate resume`, `cancel` and `workers`, and `run` on an interrupted plan, as processes of their own."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.command_line import Started, maingate, start_maingate
from support.factories import GitRepo

if TYPE_CHECKING:
    import subprocess


@dataclass(frozen=True)
class Trial:
    """A plan whose gate says that it runs and then waits to be let go on."""

    repo: GitRepo
    plan: Path
    started: Path
    go_on: Path
    home: Path

    def start(self) -> Started:
        """Run the plan until its gate runs."""
        process = start_maingate("run", str(self.plan), cwd=self.repo.path, home=self.home)
        while not self.started.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        return process

    def let_go_on(self) -> None:
        """Let the gate pass, this time and ever after."""
        self.go_on.write_text("")

    def call(self, *args: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the repository."""
        return maingate(*args, cwd=self.repo.path, home=self.home)

    def report(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        return dict(json.loads(self.call("status", "--json").stdout))


@pytest.fixture
def trial(repo: GitRepo, hermetic_environment: Path, tmp_path: Path) -> Iterator[Trial]:
    """Give a plan of two workstreams with a gate that waits."""
    repo.commit({"a.txt": "one\n"})
    folder = tmp_path / "plan"
    folder.mkdir()
    for name in ("first", "second"):
        (folder / f"{name}.patch").write_bytes(repo.diff_of({f"{name}.txt": "new\n"}))
    started, go_on = tmp_path / "started", tmp_path / "go-on"
    gate = f"test -e {go_on} && exit 0; touch {started}; until test -e {go_on}; do sleep 0.05; done"
    tasks = {name: {"tasks": {"t": {"patch": f"{name}.patch"}}} for name in ("first", "second")}
    plan = {
        "maingate": 1,
        "name": "trial",
        "repo": str(repo.path),
        "gates": {"wait": {"run": gate, "on": ["landing"]}},
        "workstreams": tasks,
    }
    (folder / "plan.yaml").write_text(json.dumps(plan))
    yield Trial(repo, folder / "plan.yaml", started, go_on, hermetic_environment)
    go_on.write_text("")


def killed(trial: Trial) -> None:
    """Start the plan and kill its process while a gate runs."""
    process = trial.start()
    process.kill()
    process.communicate()


def test_a_killed_run_is_resumed_to_its_end(trial: Trial) -> None:
    """Status says that the process is gone and how to go on; resume lands everything once."""
    killed(trial)
    said = " ".join(trial.call("status").stdout.split())
    assert "not running: its process exited" in said
    assert "maingate resume run_" in said
    trial.let_go_on()
    done = trial.call("resume", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["state"] == "succeeded"
    began, ended = (datetime.fromisoformat(report[name]) for name in ("started_at", "completed_at"))
    assert report["seconds"] < (ended - began).total_seconds(), "the time without a process counts"
    (listed,) = json.loads(trial.call("runs", "--json").stdout)
    assert listed["seconds"] == report["seconds"]
    merges = trial.repo.git("log", "--merges", "--format=%s", "main").splitlines()
    assert merges == ["Merge second into main", "Merge first into main"]
    assert trial.repo.git("status", "--porcelain") == ""
    assert trial.call("audit", "verify").returncode == 0


def test_there_is_nothing_to_resume(trial: Trial) -> None:
    """A run that has ended is named as such, and without one that was interrupted there is nothing to do."""
    trial.let_go_on()
    assert trial.call("run", str(trial.plan)).returncode == 0
    again = trial.call("resume")
    assert (again.returncode, "no interrupted run to resume" in again.stderr) == (2, True)
    run_id = trial.report()["run_id"]
    ended = trial.call("resume", run_id)
    assert (ended.returncode, "succeeded" in ended.stderr) == (2, True)


def test_run_offers_to_resume_what_was_interrupted(trial: Trial) -> None:
    """Without a terminal nothing is guessed; both ways on are named, and both work."""
    killed(trial)
    refused = trial.call("run", os.path.relpath(trial.plan, trial.repo.path))
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    assert "--restart" in refused.stderr
    trial.let_go_on()
    assert trial.call("run", str(trial.plan), "--resume").returncode == 0
    assert len(json.loads(trial.call("runs", "--json").stdout)) == 1


def test_run_restart_cancels_the_interrupted_run(trial: Trial) -> None:
    """The old run ends with the reason, the new one lands."""
    killed(trial)
    trial.let_go_on()
    assert trial.call("run", str(trial.plan), "--restart").returncode == 0
    new, old = json.loads(trial.call("runs", "--json").stdout)
    assert (new["state"], old["state"]) == ("succeeded", "canceled")
    assert "restarted" in old["reason"]["message"]


def test_a_second_run_is_told_who_holds_the_target(trial: Trial) -> None:
    """The plan in hand is refused while a living process lands on the same branch."""
    process = trial.start()
    run_id = trial.report()["run_id"]
    second = trial.call("resume", run_id)
    assert second.returncode == 4, second.stderr
    assert f"process {process.pid} on" in " ".join(second.stderr.split())
    trial.let_go_on()
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_an_interrupt_lets_running_gates_finish_and_the_run_goes_on_later(trial: Trial) -> None:
    """Ctrl-C once: exit 3, nothing landed in part; resume makes the end that would have been."""
    process = trial.start()
    process.send_signal(signal.SIGINT)
    trial.let_go_on()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    assert "maingate resume" in err + out
    assert trial.report()["state"] == "running"
    assert trial.call("resume").returncode == 0


def test_two_interrupts_cancel(trial: Trial) -> None:
    """Ctrl-C twice: the gate is ended, the run is cancelled, nothing has landed."""
    before = trial.repo.head("main")
    process = trial.start()
    process.send_signal(signal.SIGINT)
    while "stopping" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert trial.report()["state"] == "canceled"
    assert trial.repo.head("main") == before


@pytest.mark.parametrize(
    ("what", "landed"), [("trial", set()), ("first", {"second.txt"}), ("second", {"first.txt"})]
)
def test_cancel_reaches_a_run_in_another_process(trial: Trial, what: str, landed: set[str]) -> None:
    """A run ends as a whole; a workstream ends alone, and the others land."""
    process = trial.start()
    said = trial.call("cancel", what, "--reason", "no more")
    assert said.returncode == 0, said.stderr
    assert "cancelled" in said.stdout
    trial.let_go_on()
    process.communicate(timeout=30)
    assert process.returncode == (3 if what == "trial" else 1)
    assert landed == set(trial.repo.git("ls-tree", "--name-only", "main").split()) - {"a.txt"}
    again = trial.call("cancel", what)
    assert again.returncode == 2


def test_a_run_that_nobody_controls_is_cancelled_from_outside(trial: Trial) -> None:
    """Nobody needs to resume a run only to end it."""
    killed(trial)
    said = trial.call("cancel", "trial", "--json")
    assert said.returncode == 0, said.stderr
    assert trial.report()["state"] == "canceled"


def test_workers_say_what_they_do_while_they_do_it(trial: Trial) -> None:
    """The controlling process and the worker that runs the gate are there; afterwards only with `--all`."""
    process = trial.start()
    control, worker, *ahead = json.loads(trial.call("workers", "--json").stdout)
    assert {(one["state"], one["alive"], one["stuck"]) for one in (control, worker)} == {("busy", True, None)}
    assert len(ahead) <= 1  # another may test both workstreams together, and others one of them alone
    assert (len(control["slots"]), len(worker["slots"])) == (0, 1)
    run_id = trial.report()["run_id"]
    assert [control["job"][key] for key in ("kind", "id", "name", "attempt")] == [
        "run",
        run_id,
        "trial",
        None,
    ]
    wanted = ("kind", "name", "of", "run_id", "attempt")
    assert worker["job"]["of"] in {"first", "second"}
    assert [worker["job"][key] for key in wanted] == ["gate", "wait", worker["job"]["of"], run_id, 1]
    said = " ".join(trial.call("workers").stdout.split())
    assert "run trial, for" in said
    assert f"gate wait of {worker['job']['of']}, attempt 1, for" in said
    trial.let_go_on()
    process.communicate(timeout=30)
    assert "No workers are running" in trial.call("workers").stdout
    ended = json.loads(trial.call("workers", "--all", "--json").stdout)
    assert {control["id"], worker["id"]} <= {one["id"] for one in ended}
    assert {(one["state"], one["alive"], one["job"]) for one in ended} == {("shutdown", False, None)}
    assert all(one["ended_at"] for one in ended)
    cut = trial.call("workers", "--all", "--limit", "1").stdout
    assert len(ended) > 1
    assert f"… {len(ended) - 1} more, --limit" in cut


def test_a_worker_whose_process_was_killed_is_not_said_to_work(trial: Trial) -> None:
    """The record still has it as busy; nothing is claimed about what it does."""
    killed(trial)
    control = json.loads(trial.call("workers", "--json").stdout)[0]
    assert (control["state"], control["alive"], control["job"]) == ("busy", False, None)
    said = " ".join(trial.call("workers").stdout.split())
    assert "its process exited; `maingate resume` cleans up" in said
