"""The doctor finds what a killed process left and what the machine lacks, and changes nothing."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maingate.db.dao import runs, workers
from maingate.git import private_git
from maingate.ids import LeaseHolder, new_id
from maingate.landing.lease import hold, hold_run, key_of
from maingate.monitoring.doctor import host, leftovers, programs, repository
from maingate.monitoring.finding import CheckFinding, HealthState, Trouble
from maingate.monitoring.health import HealthChecks
from maingate.repository_context import RepositoryContext
from maingate.system.process_table import started
from maingate.workers.local.stray_processes import SLOT_VARIABLE
from support.database_factories import bring_to, make_run
from support.factories import GitRepo
from support.worktree_files import snapshot


def the_only(finding: CheckFinding) -> Trouble:
    """Return the one trouble of a finding."""
    (trouble,) = finding.troubles
    return trouble


def a_run(context: RepositoryContext, **plan: Any) -> runs.RunRow:
    """Put a run of this repository on record that is under way."""
    described = {"maingate": 1, "workstreams": {"w": {"tasks": {"t": {"noop": True}}}}, **plan}
    now = context.clock.now()
    with context.database.write() as conn:
        [run] = runs.insert_many(conn, [make_run(repository_id=context.identity.id, plan=described)], at=now)
        bring_to(conn, run.head, "running", at=now)
    return run


@pytest.fixture
def killed() -> int:
    """Give the id of a process that is gone."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_healthy_repository_has_no_findings(
    context: RepositoryContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is examined, and has something to say."""
    monkeypatch.setattr(private_git, "_MEMORY", tmp_path)  # other tests kill processes, which leave folders
    context.write_log()
    report = HealthChecks([*host.host_checks(), *repository.doctor_checks_of(context)]).report()
    assert [each.finding.troubles for each in report.answers if each.finding.troubles] == []
    assert all(each.finding.summary for each in report.answers)


def test_nothing_is_changed(context: RepositoryContext) -> None:
    """Neither in the repository nor in its state: the doctor reads only."""
    a_run(context)
    context.write_log()
    before = snapshot(context.repository.root, without=(".git/maingate/maingate.db-shm",))
    HealthChecks([*host.host_checks(), *repository.doctor_checks_of(context)]).report()
    assert snapshot(context.repository.root, without=(".git/maingate/maingate.db-shm",)) == before


# -- the machine -------------------------------------------------------------------------------------------


def test_a_machine_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The oldest git that will do is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    trouble = the_only(host.check_git())
    assert trouble.state is HealthState.FAILED
    assert re.search(r"git is not on PATH; install git \d+\.\d+ or newer", trouble.reason)


def test_a_git_that_does_not_read_patches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A version alone proves nothing."""
    real = shutil.which("git")
    (tmp_path / "git").write_text(f'#!/bin/sh\ncase " $* " in *" apply "*) exit 3;; esac\nexec {real} "$@"\n')
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert "does not read a patch (exit code 3)" in the_only(host.check_git()).reason


def test_a_shallow_clone(context: RepositoryContext) -> None:
    """Its history says less than it should; the command brings the rest."""
    head = context.repository.resolve_commit("HEAD")
    (context.repository.git_dir / "shallow").write_text(f"{head}\n")
    trouble = the_only(repository.check_kind(context))
    assert trouble.command == f"git -C {context.repository.root} fetch --unshallow"


# -- programs ----------------------------------------------------------------------------------------------


def test_programs_of_open_runs_that_are_missing(context: RepositoryContext) -> None:
    """Tools' and gates', as a worker would look for them; those of ended runs do not matter."""
    gates = {"unit": {"run": "no-such-linter --strict"}, "ok": {"run": ["git", "version"]}}
    tools = {"fixer": {"run": ["no-such-fixer", "{prompt_file}"]}, "shell": {"run": "true || no-such"}}
    run = a_run(context, gates=gates, tools=tools)
    found = programs.check_programs(context)
    assert [each.reason for each in found.troubles] == [
        f"tool fixer of run {run.id} needs no-such-fixer, which is not on PATH; install it",
        f"gate unit of run {run.id} needs no-such-linter, which is not on PATH; install it",
    ]
    assert found.detail["programs"] == ["git", "no-such-fixer", "no-such-linter"]


# -- leftovers ---------------------------------------------------------------------------------------------


@pytest.fixture
def slot(context: RepositoryContext) -> Path:
    """Give a slot of the repository with its two locks."""
    for folder in (context.paths.locks, context.paths.slots):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "0.lock").touch()
    path = context.paths.slots / "0"
    path.mkdir()
    return path


@pytest.fixture
def of_gate(slot: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that was started in the slot."""
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, SLOT_VARIABLE: str(slot)})
    yield process
    process.kill()
    process.wait()


def test_a_process_that_outlives_its_worker(
    context: RepositoryContext, of_gate: subprocess.Popen[bytes]
) -> None:
    """It is an orphan when no worker holds its slot."""
    lock = os.open(context.paths.locks / "0.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    held = leftovers.check_slots(context)
    assert (held.troubles, held.detail["free"]) == ([], 0)
    os.close(lock)
    trouble = the_only(leftovers.check_slots(context))
    assert trouble.command == f"kill -9 {of_gate.pid}"


def test_the_question_for_a_slot_holds_it_from_no_pool(context: RepositoryContext, slot: Path) -> None:
    """Its locks are free afterwards, and no lock file was made."""
    (context.paths.locks / "0.lock").unlink()
    leftovers.check_slots(context)
    assert not (context.paths.locks / "0.lock").exists()
    lock = os.open(slot.with_name("0.lock"), os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)


def test_workers_and_holds_of_a_dead_process(context: RepositoryContext, killed: int) -> None:
    """While a run waits for a process, which clears them away."""
    run, now = a_run(context), context.clock.now()
    row = workers.WorkerRow(
        id=new_id("wrk"), name="laptop/0", host=socket.gethostname(), pid=killed, pid_started="long ago"
    )
    with context.database.write() as conn:
        workers.insert_many(conn, [row], at=now)
        hold(conn, key_of(context.identity.id, run.target_ref), holder=LeaseHolder(run.id), now=now)
    held = leftovers.check_dead(context)
    assert [each.reason for each in held.troubles] == [
        f"workers on record whose process is gone: laptop/0 (process {killed})"
    ]
    with context.database.write() as conn:
        conn.exec_driver_sql("UPDATE leases SET pid = ?, pid_started = 'long ago'", (killed,))
    found = leftovers.check_dead(context)
    resume = f"maingate -C {context.repository.root} resume {run.id}"
    assert [each.command for each in found.troubles] == [resume, resume]
    assert (
        f"{run.id} still has refs/heads/main on record, but its process {killed}" in found.troubles[1].reason
    )
    with context.database.write() as conn:
        hold_run(conn, run.id, holder=LeaseHolder(run.id), now=now)
        conn.exec_driver_sql("UPDATE leases SET pid = ?, pid_started = 'long ago'", (killed,))
    assert leftovers.check_dead(context) == found, "one process is named once"
    with context.database.write() as conn:
        conn.exec_driver_sql("DELETE FROM leases WHERE key NOT LIKE 'run:%'")
    assert f"{run.id} is still at work on record" in leftovers.check_dead(context).troubles[1].reason


def test_temporary_folders_of_killed_processes(
    context: RepositoryContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    """Those of living ones stay out of it."""
    monkeypatch.setattr(private_git, "_MEMORY", tmp_path)
    spaces = Path("/proc/self/ns/pid").stat().st_ino
    own = started(os.getpid()).rpartition(":")[2]
    dead, living = (f"maingate-{spaces}-{killed}-1-x", f"maingate-{spaces}-{os.getpid()}-{own}-x")
    for name in (dead, living):
        (tmp_path / name).mkdir()
    trouble = the_only(leftovers.check_temporary(context))
    assert trouble.command == f"rm -r {tmp_path / dead}"


def test_a_checkout_that_did_not_follow(context: RepositoryContext, repo: GitRepo) -> None:
    """With the command that updates it."""
    old = repo.git("rev-parse", "HEAD")
    new = repo.commit({"a.txt": "2\n"})
    repo.git("reset", "-q", "--hard", old)
    repo.git("update-ref", "refs/heads/main", new)
    folder = context.repository.git_dir / "maingate" / "landings"
    folder.mkdir(parents=True, exist_ok=True)
    git_dir = str(context.repository.git_dir)
    checkout = {"git_dir": git_dir, "top": str(repo.path), "stage": "", "why": [], "kept": {}}
    move = {"ref": "refs/heads/main", "old": old, "new": new, "what": "parser", "locks": [], "at": git_dir}
    (folder / "x.json").write_text(json.dumps(move | {"checkouts": [checkout]}))
    trouble = the_only(leftovers.check_checkouts(context))
    assert trouble.command == f"maingate -C {repo.path} checkout repair"
    assert "its checkout in" in trouble.reason
