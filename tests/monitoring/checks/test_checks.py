"""Each check finds what it is there for, says why, and names a command that mends it."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maingate.clock import ManualClock
from maingate.db import migrations
from maingate.db.dao import (
    breakers,
    gates,
    holds,
    patches,
    queue_controls,
    runs,
    tasks,
    workers,
    workstreams,
)
from maingate.db.dao.history import stops
from maingate.db.dao.runs import RunRow
from maingate.db.ledger import follower_positions
from maingate.db.rollups import store
from maingate.errors import DatabaseError, MaingateError
from maingate.ids import LeaseHolder, RunId, new_id
from maingate.landing.lease import LEASE_TIME, hold, key_of, run_key
from maingate.monitoring.alert_follower import figures_of
from maingate.monitoring.checks import disk, lease, pool, record, repository, stuck
from maingate.monitoring.finding import CheckFinding, HealthState, Trouble
from maingate.monitoring.health import HealthChecks
from maingate.monitoring.repository_checks import checks_of
from maingate.queries.inbox.open_matters import inbox
from maingate.queries.inbox.values import InboxCode
from maingate.queries.runs.report import report
from maingate.queries.runs.standing import run_standing
from maingate.queries.waits.explain import why
from maingate.reasons import Reason, ReasonCode
from maingate.repository_context import RepositoryContext
from maingate.settings import Settings
from maingate.state.holds import EndedBy, Hold, HoldCode
from maingate.state.queue_control import QueueControl, QueueOrder
from maingate.system.disk import Room
from maingate.system.process_table import started
from support.database_factories import bring_to, make_gate, make_patch, make_run, make_task, make_workstream
from support.tampering import drop_triggers

HERE = socket.gethostname()


def the_only(finding: CheckFinding) -> Trouble:
    """Return the one trouble of a finding."""
    (trouble,) = finding.troubles
    return trouble


def command(context: RepositoryContext, *words: str) -> str:
    """Return a command on the repository."""
    return " ".join(["maingate", "-C", str(context.repository.root), *words])


def a_run(context: RepositoryContext, *, state: str = "running", **fields: str) -> RunRow:
    """Put a run of this repository on record."""
    plain = {"repository_id": context.identity.id, "repository": str(context.repository.git_dir)}
    now = context.clock.now()
    with context.database.write() as conn:
        [run] = runs.insert_many(conn, [make_run(**(plain | fields))], at=now)
        bring_to(conn, run.head, state, at=now)
        return runs.get(conn, run.id)


def held(context: RepositoryContext, run: RunRow) -> None:
    """Let this process hold the run's target."""
    key = key_of(context.identity.id, run.target_ref)
    with context.database.write() as conn:
        hold(conn, key, holder=LeaseHolder(run.id), now=context.clock.now())


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Give a living process."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_a_fresh_repository_is_in_order(context: RepositoryContext) -> None:
    """Every part, with something to say about it."""
    context.write_log()
    report = HealthChecks(checks_of(context)).report()
    names = ["database", "repository", "disk", "lease", "pool", "queue", "breakers", "stuck"]
    names += ["followers", "alerts", "audit"]
    assert [each.check.name for each in report.answers] == names
    assert [each.finding.troubles for each in report.answers if each.finding.troubles] == []
    assert report.is_ready
    assert all(each.finding.summary for each in report.answers)


# -- the record ------------------------------------------------------------------------------------------


def test_a_database_that_was_not_migrated_has_failed(context: RepositoryContext) -> None:
    """A command that opens it migrates it."""
    with context.database.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    trouble = the_only(record.check_database(context))
    assert (trouble.state, trouble.command) == (HealthState.FAILED, command(context, "runs"))
    assert f"is 0001, this program wants {migrations.HEAD}" in trouble.reason


def test_a_database_of_a_newer_program_has_failed(context: RepositoryContext) -> None:
    """No command of this program migrates it back, and nothing else of it is read."""
    with context.database.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    trouble = the_only(record.check_database(context))
    assert (trouble.state, trouble.command) == (HealthState.FAILED, None)
    assert "a newer Maingate wrote it" in trouble.reason
    answers = {each.check.name: each for each in HealthChecks(checks_of(context)).report().answers}
    others = [answers[name].finding for name in answers.keys() - {"database", "disk"}]
    assert all("not examined" in the_only(finding).reason for finding in others)


def test_a_database_that_was_removed_has_failed(context: RepositoryContext) -> None:
    """It is not the one that this process opened."""
    context.paths.database.rename(context.paths.database.with_suffix(".away"))
    trouble = the_only(record.check_database(context))
    assert (trouble.state, trouble.command) == (HealthState.FAILED, command(context, "doctor"))
    assert "was removed" in trouble.reason


def test_a_database_that_cannot_be_written_has_failed(
    context: RepositoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be landed; root may write everything, so the answer of the system is stood in for."""
    database = context.paths.database
    monkeypatch.setattr(os, "access", lambda path, _mode: path != database)
    trouble = the_only(record.check_database(context))
    assert trouble.state is HealthState.FAILED
    assert f"{database} is not writable" in trouble.reason


def test_neither_a_writer_nor_a_reader_is_waited_for(context: RepositoryContext) -> None:
    """A long write, such as the admission of a large plan, leaves the database healthy."""
    with context.database.write() as conn:
        conn.exec_driver_sql("UPDATE counters SET value = value")
        assert record.check_database(context).state is HealthState.OK
        assert lease.check_leases(context).state is HealthState.OK


def test_a_row_that_was_changed_is_found_while_the_process_looks_on(context: RepositoryContext) -> None:
    """The command verifies the whole record."""
    audit = record.AuditPosition(context)
    a_run(context)
    context.write_log()
    before = audit()
    assert (before.state, before.detail["verified_up_to"]) == (HealthState.OK, before.detail["in_file"])
    with context.database.write() as conn:
        bring_to(conn, runs.insert_many(conn, [make_run()], at=context.clock.now())[0].head, "running")
        drop_triggers(conn)
        conn.exec_driver_sql(
            "UPDATE state_transitions SET trigger = 'x' WHERE seq = (SELECT max(seq) FROM state_transitions)"
        )
    trouble = the_only(audit())
    assert (trouble.state, trouble.command) == (HealthState.FAILED, command(context, "audit", "verify"))
    assert "was changed other than by Maingate: row" in trouble.reason


def test_a_file_of_transitions_that_lags_is_degraded(
    context: RepositoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written after the commits, so a few rows are nothing."""
    monkeypatch.setattr(record, "LAG_ROWS", 1)
    a_run(context)
    assert "transitions.jsonl lacks the last 2 rows" in the_only(record.AuditPosition(context)()).reason
    context.write_log()
    assert record.AuditPosition(context)().state is HealthState.OK


def test_a_follower_that_fails_is_degraded(context: RepositoryContext) -> None:
    """A hook that was cut off is tried again; until then it is told, with its own words."""
    now = context.clock.now()
    with context.database.write() as conn:
        follower_positions.register(conn, "webhooks", 0, at=now)
        assert record.check_followers(context).state is HealthState.OK
    with context.database.write() as conn:
        follower_positions.fail(conn, "webhooks", "no route to host", at=now)
    trouble = the_only(record.check_followers(context))
    assert trouble.reason == "webhooks fails, 1 in a row, and is tried again: no route to host"


def test_a_log_that_the_settings_name_no_more_is_no_trouble(context: RepositoryContext) -> None:
    """It failed before it was removed; its place stays on record, and counts again once it is named again."""
    with context.database.write() as conn:
        for name in ("log", "traces"):
            follower_positions.fail(conn, name, "no room", at=context.clock.now())

    def failing() -> set[str]:
        with context.database.read() as conn:
            gauges = figures_of(conn, [context]).gauges
        shown = [set(gauges.get(name, {})) for name in ("follower_lag_rows", "follower_failures")]
        detail = record.check_followers(context).detail
        assert shown == [{(name,) for name in detail}] * 2
        return set(detail)

    assert failing() == set()
    assert record.check_followers(context).state is HealthState.OK
    context.settings = Settings(log_file=Path("/var/log/maingate.log"))
    assert failing() == {"log"}
    context.settings = Settings(otlp_endpoint="http://localhost:4318")
    assert failing() == {"traces"}


def test_roll_ups_that_lag_are_degraded(context: RepositoryContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far behind only: readers add what is missing."""
    monkeypatch.setattr(store, "LONG_TAIL", 1)
    with context.database.write() as conn:
        follower_positions.register(conn, store.FOLLOWER, 0, at=context.clock.now())
    assert record.check_followers(context).state is HealthState.OK
    a_run(context)
    assert "lack the last 2 rows" in the_only(record.check_followers(context)).reason


# -- the repository and the disks ------------------------------------------------------------------------


def test_a_branch_that_is_gone_has_failed(context: RepositoryContext) -> None:
    """Only one that a run is to land on."""
    a_run(context)
    assert repository.check_repository(context).state is HealthState.OK
    a_run(context, target_ref="refs/heads/next")
    trouble = the_only(repository.check_repository(context))
    assert (trouble.state, trouble.command) == (HealthState.FAILED, command(context, "runs"))
    assert "the branch next is gone" in trouble.reason


def test_a_repository_that_git_cannot_read_has_failed(context: RepositoryContext) -> None:
    """With git's own words."""
    (context.repository.git_dir / "HEAD").unlink()
    trouble = the_only(repository.check_repository(context))
    assert trouble.state is HealthState.FAILED
    assert "not a git repository" in trouble.reason


@pytest.mark.parametrize(
    ("bytes_left", "files_left", "is_read_only", "state", "said"),
    [
        (2 * disk.LITTLE_ROOM, None, False, HealthState.OK, ""),
        (disk.LITTLE_ROOM - 1, None, False, HealthState.DEGRADED, "has 1023 MiB left"),
        (disk.NO_ROOM - 1, 10**6, False, HealthState.FAILED, "has 31 MiB left"),
        (2 * disk.LITTLE_ROOM, 7, False, HealthState.FAILED, "room for 7 files only"),
        (2 * disk.LITTLE_ROOM, None, True, HealthState.FAILED, "mounted read-only"),
    ],
)
def test_room_on_a_disk(
    context: RepositoryContext,
    *,
    bytes_left: int,
    files_left: int | None,
    is_read_only: bool,
    state: HealthState,
    said: str,
) -> None:
    """Little is degraded; next to none has failed."""
    room = Room(
        folder=context.paths.root, bytes_left=bytes_left, files_left=files_left, is_read_only=is_read_only
    )
    found = CheckFinding(summary="", troubles=disk.trouble_of_room(room, "maingate clean"))
    assert found.state is state
    assert all(said in each.reason for each in found.troubles)


# -- the work --------------------------------------------------------------------------------------------


def test_a_run_without_a_process_is_degraded(context: RepositoryContext) -> None:
    """It is resumed by the command; runs of other repositories are not this one's."""
    a_run(context, repository_id="repo_other")
    assert lease.check_leases(context).state is HealthState.OK
    run = a_run(context)
    trouble = the_only(lease.check_leases(context))
    assert trouble == Trouble(
        reason=f"run plan ({run.id}) is not running: its process exited",
        command=command(context, "resume", run.id),
    )


def test_a_run_that_stopped_says_why(context: RepositoryContext) -> None:
    """With the error that stopped it; one that no process has begun has no error."""
    run = a_run(context)
    with context.database.write() as conn:
        stops.record(conn, run.id, DatabaseError("the disk is full"), at=context.clock.now())
    assert the_only(lease.check_leases(context)).reason.endswith("is not running: the disk is full")
    a_run(context, state="pending")
    reasons = [each.reason for each in lease.check_leases(context).troubles]
    assert reasons[1].endswith("is not running: no process has begun it")


def test_a_run_that_waits_for_another_one_on_its_target_is_in_order(context: RepositoryContext) -> None:
    """The target is held by a living process."""
    held(context, a_run(context))
    a_run(context)
    found = lease.check_leases(context)
    assert (found.state, found.detail["unfinished_runs"]) == (HealthState.OK, 2)
    assert found.detail["held"][0]["expires_in_seconds"] == LEASE_TIME.total_seconds()


def test_a_hold_that_is_not_renewed_is_degraded(context: RepositoryContext, clock: ManualClock) -> None:
    """Its process lives, and is stopped or hangs."""
    held(context, a_run(context))
    clock.advance(LEASE_TIME + timedelta(seconds=30))
    trouble = the_only(lease.check_leases(context))
    assert f"process {os.getpid()} holds main" in trouble.reason
    assert "ended 30 s ago" in trouble.reason


def test_a_run_at_work_need_not_hold_its_target(context: RepositoryContext, clock: ManualClock) -> None:
    """Its process holds the run itself, and has the target only at times; each process is named once."""
    run = a_run(context)
    with context.database.write() as conn:
        hold(conn, run_key(run.id), holder=LeaseHolder(run.id), now=context.clock.now())
    found = lease.check_leases(context)
    assert (found.state, found.summary) == (HealthState.OK, "targets held: 0, runs under way: 1")
    clock.advance(LEASE_TIME + timedelta(seconds=30))
    assert f"holds run {run.id} and has not renewed" in the_only(lease.check_leases(context)).reason
    with context.database.write() as conn:
        conn.exec_driver_sql("DELETE FROM leases")
        hold(conn, run_key(run.id), holder=LeaseHolder(run.id), now=context.clock.now() - 2 * LEASE_TIME)
        key = key_of(context.identity.id, run.target_ref)
        hold(conn, key, holder=LeaseHolder(run.id), now=context.clock.now() - 2 * LEASE_TIME)
    assert f"holds main for {run.id} and has not" in the_only(lease.check_leases(context)).reason


def a_worker(context: RepositoryContext, pid: int, name: str = "laptop/0") -> str:
    """Put a worker on record that is idle, with a heartbeat of now."""
    now = context.clock.now()
    row = workers.WorkerRow(id=new_id("wrk"), name=name, host=HERE, pid=pid, pid_started=started(pid))
    with context.database.write() as conn:
        [worker] = workers.insert_many(conn, [row], at=now)
        bring_to(conn, worker.head, "idle", at=now)
        workers.heartbeat(conn, {worker.id: now})
    return worker.id


def test_a_worker_that_is_silent_is_degraded(
    context: RepositoryContext, clock: ManualClock, sleeper: subprocess.Popen[bytes]
) -> None:
    """For longer than its limit; the age of its heartbeat is told."""
    a_worker(context, sleeper.pid)
    clock.advance(context.settings.stuck_worker)
    found = pool.check_pool(context)
    assert (found.state, found.detail["oldest_heartbeat_seconds"]) == (HealthState.OK, 120)
    clock.advance(timedelta(seconds=1))
    trouble = the_only(pool.check_pool(context))
    assert f"laptop/0 (process {sleeper.pid})" in trouble.reason
    assert trouble.command == command(context, "workers")


def test_a_worker_whose_process_is_gone_is_counted_and_no_trouble(
    context: RepositoryContext, sleeper: subprocess.Popen[bytes]
) -> None:
    """The next run clears it away."""
    a_worker(context, sleeper.pid)
    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()
    found = pool.check_pool(context)
    assert (found.state, found.detail["workers"], found.detail["gone"]) == (HealthState.OK, 0, 1)


def work_of(context: RepositoryContext, run: RunRow) -> tuple[str, str]:
    """Put an executing workstream with a running task on record; return their ids."""
    now = context.clock.now()
    with context.database.write() as conn:
        [stream] = workstreams.insert_many(conn, [make_workstream(run)], at=now)
        [task] = tasks.insert_many(conn, [make_task(stream)], at=now)
        bring_to(conn, stream.head, "executing", at=now)
        bring_to(conn, task.head, "running", at=now)
    return stream.id, task.id


def test_the_depth_of_the_queue_and_the_age_of_its_oldest(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """Tasks and gates that wait for a worker, and workstreams that wait to land, of open runs alone."""
    run, ended = a_run(context), a_run(context, state="succeeded")
    now = clock.now()
    with context.database.write() as conn:
        for each in (run, ended):
            [stream] = workstreams.insert_many(conn, [make_workstream(each)], at=now)
            [task, _] = tasks.insert_many(conn, [make_task(stream), make_task(stream, name="other")], at=now)
            bring_to(conn, task.head, "queued", at=now)
            [patch] = patches.insert_many(conn, [make_patch(task)], at=now)
            gates.insert_many(conn, [make_gate(patch)], at=now)
    clock.advance(context.settings.stuck_workstream)
    found = pool.check_queue(context)
    assert (found.state, found.detail["depth"]) == (HealthState.OK, 2)
    assert (found.detail["tasks"], found.detail["gates"], found.detail["landings"]) == (1, 1, 0)
    assert found.detail["oldest_seconds"] == 3600
    clock.advance(timedelta(minutes=1))
    assert "2 wait, the oldest for 61 minutes" in the_only(pool.check_queue(context)).reason


def test_an_open_breaker_is_degraded(context: RepositoryContext) -> None:
    """With the reason that it opened for, and the command that closes it."""
    reason = Reason(code=ReasonCode.TOOL_FAILED, message="it exited with 1")
    with context.database.write() as conn:
        row = breakers.BreakerRow(id=new_id("brk"), tool="my tool", reason=reason)
        [breaker] = breakers.insert_many(conn, [row], at=context.clock.now())
        assert pool.check_breakers(context).state is HealthState.OK
        bring_to(conn, breaker.head, "OPEN", at=context.clock.now())
    trouble = the_only(pool.check_breakers(context))
    assert trouble.reason == "the tool my tool is paused (circuit breaker open): it exited with 1"
    assert trouble.command is not None
    assert trouble.command.endswith("breaker reset 'my tool' --reason 'it works again'")


def test_entities_without_progress_are_degraded_while_their_run_is_at_work(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """A run without a process is not stuck: it is not running."""
    run = a_run(context)
    stream, task = work_of(context, run)
    clock.advance(context.settings.stuck_task + timedelta(minutes=1))
    assert stuck.check_stuck(context).state is HealthState.OK
    held(context, run)
    trouble = the_only(stuck.check_stuck(context))
    assert trouble.reason == "task parser/drop-regex has made no progress for 31 minutes; its limit is 30"
    assert trouble.command is not None
    assert f"override force-fail {task} " in trouble.command
    clock.advance(context.settings.stuck_workstream)
    assert {each["id"] for each in stuck.check_stuck(context).detail["stuck"]} == {stream, task}


def test_a_workstream_that_an_order_about_the_queue_holds_is_not_stuck(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """Nothing says so, and its wait names the order and its end; without the order it is stuck again."""
    run = a_run(context)
    held(context, run)
    until, key = clock.now() + timedelta(days=1), key_of(context.identity.id, run.target_ref)
    freeze = QueueControl(
        key=key, kind=QueueOrder.FREEZE, operator="ada", reason="release", since=clock.now(), until=until
    )
    with context.database.write() as conn:
        [stream] = workstreams.insert_many(conn, [make_workstream(run)], at=clock.now())
        [task] = tasks.insert_many(conn, [make_task(stream)], at=clock.now())
        [patch] = patches.insert_many(conn, [make_patch(task)], at=clock.now())
        for row, state in ((stream, "executing"), (task, "validating"), (patch, "queued")):
            bring_to(conn, row.head, state, at=clock.now())
        kept = Hold(code=HoldCode.WORKSTREAM, about={}, since=clock.now(), ends_by=EndedBy.RUN)
        holds.publish(conn, run.id, {patch.id: kept})
        queue_controls.put(conn, freeze)
    clock.advance(context.settings.stuck_workstream + timedelta(minutes=1))

    def found() -> set[str]:
        shown = [
            *report(context, RunId(run.id))["workstreams"],
            *run_standing(context, RunId(run.id))["workstreams"],
        ]
        assert all(("frozen by ada" in each["waiting"]["for"]) is (each["stuck"] is None) for each in shown)
        told = {each["id"] for each in stuck.check_stuck(context).detail["stuck"]}
        told |= {item.about.id for item in inbox(context) if item.code is InboxCode.STUCK}
        return told | {each["id"] for each in shown if each["stuck"] is not None}

    assert found() == set()
    assert why(context, stream.id).until.startswith(f"{until:%Y-%m-%d %H:%M:%S} UTC, or")
    with context.database.write() as conn:
        queue_controls.remove(conn, key, QueueOrder.FREEZE)
    assert found() == {stream.id}


def test_a_workstream_whose_patch_moved_makes_progress(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """Its tasks and patches count for it."""
    run = a_run(context)
    held(context, run)
    _, task = work_of(context, run)
    clock.advance(context.settings.stuck_workstream + timedelta(minutes=1))
    with context.database.write() as conn:
        patches.insert_many(conn, [make_patch(tasks.get(conn, task))], at=clock.now())
    assert [each["id"] for each in stuck.check_stuck(context).detail["stuck"]] == [task]


def test_no_check_of_the_work_answers_without_the_database(context: RepositoryContext) -> None:
    """Each says that it could not be read; none makes anything up."""
    context.database.close()
    context.paths.database.write_bytes(b"something else entirely" * 100)
    for check in (lease.check_leases, pool.check_pool, pool.check_queue, pool.check_breakers):
        with pytest.raises(MaingateError):
            check(context)


def test_a_check_costs_no_more_with_a_long_history(context: RepositoryContext) -> None:
    """Ended runs are found by no scan of their tasks: the plan of the query starts at the open runs."""
    with context.database.read() as conn:
        sql = (
            "EXPLAIN QUERY PLAN SELECT state, count(*) FROM tasks WHERE run_id IN"
            " (SELECT id FROM runs WHERE completed_at IS NULL) AND completed_at IS NULL GROUP BY state"
        )
        steps = " ".join(str(row[3]) for row in conn.exec_driver_sql(sql))
    assert "SEARCH tasks USING INDEX ix_tasks_run_id" in steps
