"""The report of a run, derived from what the database says."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from maingate.db.dao import gates, holds, patches, runs, tasks, tool_runs, verdicts, workers, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.verdicts import Evidence
from maingate.db.dao.workers import WorkerRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.errors import UnknownEntityError
from maingate.ids import GateId, PatchId, RunId, TaskId, WorkerId, WorkstreamId
from maingate.monitoring.stuck_watch import StuckLimits
from maingate.queries.runs.report import RunReporter, run_report
from maingate.reasons import NOT_RUN, Reason, ReasonCode
from maingate.settings import Settings
from maingate.state.holds import EndedBy, Hold, HoldCode
from maingate.state.steps import gates as gate_steps
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import runs as run_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.steps.step import Step
from maingate.state.tool_run import MICROS, ToolRun
from support.statements import statements_sent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = "1" * 40, "2" * 40
RUN, STREAM, TASK = RunId("run_1"), WorkstreamId("ws_1"), TaskId("task_1")


def plan_of_the_run(conn: Connection, plan: dict[str, Any]) -> None:
    """Put another plan on record, past the writer, for which a run's plan never changes."""
    conn.exec_driver_sql("UPDATE runs SET plan = ? WHERE id = ?", (json.dumps(plan), RUN))


@pytest.fixture
def conn(database: Database) -> Iterator[Connection]:
    """Give a writing connection with a run of one workstream and one task."""
    with database.write() as connection:
        row = RunRow(
            id=RUN,
            name="trial",
            repository="/r/.git",
            repository_id="repo_1",
            target_ref="refs/heads/main",
            old_head=OLD,
        )
        runs.insert_many(connection, [row], at=NOW)
        workstreams.insert_many(
            connection, [WorkstreamRow(id=STREAM, run_id=RUN, name="ws", title="T")], at=NOW
        )
        tasks.insert_many(connection, [TaskRow(id=TASK, run_id=RUN, workstream_id=STREAM, name="a")], at=NOW)
        yield connection
    database.close()


def take(conn: Connection, *steps: Step, at: datetime = NOW) -> None:
    """Make transitions of entities as they are now."""
    for step in steps:
        dao: Any = {"run": runs, "task": tasks, "patch_ledger": patches, "test_gate": gates}[step.machine]
        write(conn, {step.head_id: dao.get(conn, step.head_id).head}, [step], at=at)


def a_patch(conn: Connection, id_: str) -> PatchRow:
    """Arrange a patch of the task."""
    row = PatchRow(id=PatchId(id_), run_id=RUN, workstream_id=STREAM, task_id=TASK)
    (made,) = patches.insert_many(conn, [row], at=NOW)
    return made


def a_gate(conn: Connection, id_: str, *, passes: bool, is_flaky: bool = False) -> None:
    """Arrange a gate that ran on the workstream's merged result."""
    row = GateRow(id=GateId(id_), run_id=RUN, workstream_id=STREAM, name="unit", tree=NEW)
    gates.insert_many(conn, [row], at=NOW)
    take(conn, gate_steps.start(gates.get(conn, id_)))
    head = gates.get(conn, id_)
    verdict = partial(gate_steps.pass_, exit_code=0) if passes else partial(gate_steps.fail, exit_code=1)
    take(conn, verdict(head, output="", is_flaky=is_flaky))


def test_those_who_wait_for_the_end_of_a_run_have_none_of_its_rows_read(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask again and again, of a run with thousands of tasks; any other field needs the rows."""
    monkeypatch.delattr("maingate.queries.runs.report.read_rows")
    reporter = RunReporter(conn, runs.get(conn, RUN), now=NOW)
    told = reporter.fields(["state", "seconds", "alive", "stopped", "started_at", "completed_at", "name"])
    assert (told["state"], told["seconds"]) == ("pending", 0.0)
    with pytest.raises(NameError):
        reporter.fields(["tasks"])


def test_a_run_that_has_not_begun_has_everything_and_claims_nothing(conn: Connection) -> None:
    """Every field of the public face is there; the target stays where it is."""
    report = run_report(conn, RUN, tree_of=lambda commit: f"tree of {commit}", is_alive=False)
    waiting = {
        "code": "resume",
        "for": "a process: its own has exited",
        "since": "2026-01-01T12:00:00.000Z",
        "until": "`maingate resume run_1`",
        "moving": False,
        "kind": "a process",
        "about": {},
    }
    assert report == {
        "run_id": "run_1",
        "name": "trial",
        "state": "pending",
        "reason": None,
        "alive": False,
        "waiting": waiting,
        "stopped": None,
        "repository": "/r/.git",
        "target": {"ref": "refs/heads/main", "old": OLD, "new": OLD, "tree": f"tree of {OLD}"},
        "workstreams": [
            {
                "id": "ws_1",
                "name": "ws",
                "title": "T",
                "state": "planned",
                "critical": True,
                "reason": None,
                "landed": None,
                "waiting": waiting,
                "stuck": None,
                "taken_back": None,
            }
        ],
        "tasks": [
            {
                "id": "task_1",
                "name": "ws/a",
                "state": "pending",
                "critical": True,
                "reason": None,
                "retry_count": 0,
                "patch": None,
                "waiting": waiting,
                "stuck": None,
                "taken_back": None,
            }
        ],
        "gates": {"run": 0, "reused": 0, "passed": 0, "failed": 0, "flaky": 0, "lost": 0},
        "cost": None,
        "seconds": None,
        "created_at": "2026-01-01T12:00:00.000Z",
        "started_at": None,
        "completed_at": None,
    }


def test_what_has_not_moved_for_too_long_says_since_when_and_what_its_limit_is(conn: Connection) -> None:
    """Past its threshold and not at it; never where nobody is at work, which is said otherwise."""
    patience = StuckLimits(
        task=timedelta(minutes=30), workstream=timedelta(hours=1), worker=timedelta(minutes=2)
    )
    take(conn, task_steps.queue(tasks.get(conn, TASK)))
    worker = WorkerRow(id=WorkerId("wrk_1"), name="w")
    workers.insert_many(conn, [worker], at=NOW)
    take(conn, task_steps.start(tasks.get(conn, TASK), worker_id="wrk_1", attempt=1))

    def stuck(minutes: int, *, is_alive: bool = True) -> object:
        now = NOW + timedelta(minutes=minutes)
        (task,) = run_report(conn, RUN, now=now, is_alive=is_alive, patience=patience)["tasks"]
        return task["stuck"]

    assert stuck(30) is None
    assert stuck(31) == {"since": "2026-01-01T12:00:00.000Z", "seconds": 1860.0, "threshold": 1800.0}
    assert stuck(31, is_alive=False) is None


def test_a_run_says_whether_its_process_is_alive(conn: Connection) -> None:
    """A run that has ended has none, whoever holds its target by now."""
    assert run_report(conn, RUN, is_alive=True)["alive"] is True
    assert run_report(conn, RUN, is_alive=False)["alive"] is False
    take(conn, run_steps.cancel(runs.get(conn, RUN), Reason(code=ReasonCode.CANCELLED, message="enough")))
    assert run_report(conn, RUN, is_alive=True)["alive"] is False


def test_seconds_are_measured_from_the_start_to_the_end_or_to_now(conn: Connection) -> None:
    """A run under way is measured to now, one that ended to its end."""
    take(conn, run_steps.start(runs.get(conn, RUN)))
    assert run_report(conn, RUN, now=NOW + timedelta(seconds=90))["seconds"] == 90.0
    take(
        conn,
        run_steps.succeed(runs.get(conn, RUN), new_head=NEW),
        at=NOW + timedelta(seconds=4, milliseconds=250),
    )
    report = run_report(conn, RUN, now=NOW + timedelta(days=1))
    assert (report["seconds"], report["target"]["new"], report["target"]["tree"]) == (4.25, NEW, None)


def test_a_task_shows_its_newest_patch_with_the_reason_of_its_quarantine(conn: Connection) -> None:
    """A patch that was made again replaces the one before in the report."""
    a_patch(conn, "patch_1")
    newest = a_patch(conn, "patch_2")
    reason = Reason(code=ReasonCode.FORMAT_INVALID, message="cut off", detail={"line": 6})
    take(conn, patch_steps.quarantine(newest, reason, trigger="validation_failed"))
    (task,) = run_report(conn, RUN)["tasks"]
    assert task["patch"] == {
        "id": "patch_2",
        "state": "quarantined",
        "reason": {"code": "format_invalid", "message": "cut off", "detail": {"line": 6}},
        "commit": None,
        "method": None,
        "repairs": [],
    }


def test_gates_are_counted_by_what_they_said_and_verdicts_by_their_reuse(conn: Connection) -> None:
    """A gate that has not ended is not counted; a flaky pass is counted as both."""
    a_gate(conn, "gate_1", passes=True)
    a_gate(conn, "gate_2", passes=False)
    a_gate(conn, "gate_3", passes=True, is_flaky=True)
    pending = GateRow(id=GateId("gate_4"), run_id=RUN, workstream_id=STREAM, name="unit", tree=NEW)
    gates.insert_many(conn, [pending], at=NOW)
    for gate, reused in (("gate_1", False), ("gate_3", True)):
        evidence = Evidence(
            subject_kind="workstream",
            subject_id=STREAM,
            gate_name=gate,
            tree=NEW,
            gate_id=GateId(gate),
            reused=reused,
            created_at=NOW,
        )
        verdicts.attach(conn, evidence)
    counts = {"run": 3, "reused": 1, "passed": 2, "failed": 1, "flaky": 1, "lost": 0}
    assert run_report(conn, RUN)["gates"] == counts


@pytest.mark.parametrize("fault", sorted(NOT_RUN))
def test_a_gate_that_was_ended_without_a_verdict_is_counted_as_lost(conn: Connection, fault: str) -> None:
    """It did not fail, though its state on record is that; a gate that a signal ended did."""
    for id_, why in (("gate_1", fault), ("gate_2", "signal")):
        row = GateRow(id=GateId(id_), run_id=RUN, workstream_id=STREAM, name="unit", tree=NEW)
        gates.insert_many(conn, [row], at=NOW)
        take(conn, gate_steps.start(gates.get(conn, id_)))
        take(conn, gate_steps.fail(gates.get(conn, id_), exit_code=-1, output="", fault=why))
    counts = {"run": 2, "reused": 0, "passed": 0, "failed": 1, "flaky": 0, "lost": 1}
    assert run_report(conn, RUN)["gates"] == counts


def spend(conn: Connection, attempt: int, cost: float | None) -> None:
    """Arrange an attempt of a tool that has ended."""
    micros = None if cost is None else round(cost * MICROS)
    ended = ToolRun(
        task_id=TASK, attempt=attempt, run_id=RUN, tool="t", outcome="patch", cost_micros=micros, ended_at=NOW
    )
    tool_runs.record(conn, [ended])


def test_what_the_tools_have_cost_is_told_where_they_say_so(conn: Connection) -> None:
    """Nothing is claimed of tools that do not; without a budget nothing is used up."""
    spend(conn, 1, None)
    assert run_report(conn, RUN)["cost"] is None
    spend(conn, 2, 0.25)
    spend(conn, 3, 0.5)
    assert run_report(conn, RUN)["cost"] == {"spent_usd": 0.75, "budget_usd": None, "used_up": False}


def test_a_run_whose_budget_is_used_up_waits_for_a_larger_one(conn: Connection) -> None:
    """To resume it with the budget of its plan would stop it at once."""
    plan_of_the_run(conn, {"budget_usd": 0.3})
    spend(conn, 1, 0.2)
    report = run_report(conn, RUN, is_alive=False)
    assert report["cost"] == {"spent_usd": 0.2, "budget_usd": 0.3, "used_up": False}
    assert report["waiting"]["until"] == "`maingate resume run_1`"
    spend(conn, 2, 0.1)
    report = run_report(conn, RUN, is_alive=False)
    assert report["cost"] == {"spent_usd": 0.3, "budget_usd": 0.3, "used_up": True}
    assert (report["waiting"]["for"], report["waiting"]["until"]) == (
        "a larger budget",
        "`maingate resume run_1 --budget-usd N`",
    )


@pytest.mark.parametrize("missing", [1, 2])
def test_the_people_who_have_still_to_approve_a_patch_are_counted(conn: Connection, missing: int) -> None:
    """As the run's process published it."""
    patch = a_patch(conn, "patch_1")
    take(conn, patch_steps.validate(patch))
    take(conn, task_steps.queue(tasks.get(conn, TASK)))
    workers.insert_many(conn, [WorkerRow(id=WorkerId("wrk_1"), name="w")], at=NOW)
    take(conn, task_steps.start(tasks.get(conn, TASK), worker_id="wrk_1", attempt=1))
    take(conn, task_steps.produced(tasks.get(conn, TASK)))
    hold = Hold(code=HoldCode.APPROVALS, about={"missing": missing}, since=NOW, ends_by=EndedBy.PERSON)
    holds.publish(conn, RUN, {patch.id: hold})
    (task,) = run_report(conn, RUN, is_alive=True)["tasks"]
    plural = "s" * (missing > 1)
    assert task["waiting"]["for"] == f"{missing} more approval{plural}: `maingate patch approve ws/a`"


def test_an_unknown_run_is_refused(conn: Connection) -> None:
    """There is no report of what never was."""
    with pytest.raises(UnknownEntityError):
        run_report(conn, "run_2")


def statements_of(database: Database, run_id: RunId) -> int:
    """Count what is asked of the database for a report."""
    with database.read() as conn, statements_sent(conn) as asked:
        run_report(conn, run_id, now=NOW, patience=StuckLimits.of(Settings()))
    return len(asked)


def a_large_run(database: Database, name: str, count: int) -> RunId:
    """Arrange a run of many workstreams, each with a patch that waits for approval."""
    run_id = RunId(name)
    plan = {
        "maingate": 1,
        "name": name,
        "workstreams": {f"w{n}": {"tasks": {"a": {"patch": "p"}}} for n in range(count)},
    }
    with database.write() as conn:
        row = RunRow(
            id=run_id,
            name=name,
            repository="/r",
            repository_id="repo_1",
            target_ref=f"refs/heads/{name}",
            plan=plan,
        )
        runs.insert_many(conn, [row], at=NOW)
        streams = [
            WorkstreamRow(id=WorkstreamId(f"{name}_ws_{n}"), run_id=run_id, name=f"w{n}")
            for n in range(count)
        ]
        workstreams.insert_many(conn, streams, at=NOW)
        rows = [
            TaskRow(id=TaskId(f"{name}_t_{n}"), run_id=run_id, workstream_id=stream.id, name="a")
            for n, stream in enumerate(streams)
        ]
        tasks.insert_many(conn, rows, at=NOW)
        ledger = [
            PatchRow(
                id=PatchId(f"{name}_p_{n}"), run_id=run_id, workstream_id=task.workstream_id, task_id=task.id
            )
            for n, task in enumerate(rows)
        ]
        patches.insert_many(conn, ledger, at=NOW)
        for patch in ledger:
            take(conn, patch_steps.validate(patches.get(conn, patch.id)))
    return run_id


def test_what_is_asked_for_a_report_does_not_grow_with_the_run(database: Database) -> None:
    """`status` of two hundred workstreams asks the database as often as that of three."""
    small, large = a_large_run(database, "small", 3), a_large_run(database, "large", 200)
    assert statements_of(database, small) == statements_of(database, large)
