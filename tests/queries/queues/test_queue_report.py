"""The queue of a target for people and programs: what the living process says, else what the rows say."""

import os
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import leases, queue_controls, queue_views, runs, workstreams
from maingate.db.dao.queue_views import QueueViewRow
from maingate.ids import LeaseHolder
from maingate.landing.lease import LEASE_TIME, hold_run, key_of
from maingate.queries.queues.queue_report import places, queue_report, queue_target, queues_in_use
from maingate.state.queue_control import QueueControl, QueueOrder
from maingate.state.workstream import WorkstreamState
from maingate.system.process_table import started
from support.database_factories import bring_to, make_run, make_workstream
from support.factories import GitRepo

REF = "refs/heads/main"
NOTHING: Mapping[str, Any] = {"members": [], "tests": [], "blocker": None, "conflicts": [], "leave": {}}


class Stage:
    """A repository with a run of some workstreams on main."""

    def __init__(self, maingate: Maingate, *names: str) -> None:
        self.maingate, self.key = maingate, key_of(maingate.context.identity.id, REF)
        with maingate.database.write() as conn:
            made = make_run(repository_id=maingate.context.identity.id)
            [self.run] = runs.insert_many(conn, [made], at=self.now)
            rows = [make_workstream(self.run, name=name, position=at) for at, name in enumerate(names)]
            made_rows = workstreams.insert_many(conn, rows, at=self.now)
        self.ids = {row.name: row.id for row in made_rows}

    @property
    def now(self) -> Any:
        """The time."""
        return self.maingate.context.clock.now()

    def hold(self) -> None:
        """Hold the target, as the process of the run."""
        with self.maingate.database.write() as conn:
            leases.acquire(
                conn,
                self.key,
                holder=LeaseHolder(self.run.id),
                host=socket.gethostname(),
                pid=os.getpid(),
                pid_started=started(os.getpid()),
                now=self.now,
                ttl=LEASE_TIME,
            )

    def say(self, *, ago: float = 0.0, **view: Any) -> None:
        """Publish a view, some seconds ago."""
        at = self.now - timedelta(seconds=ago)
        row = QueueViewRow(key=self.key, run_id=self.run.id, view={**NOTHING, **view}, at=at)
        with self.maingate.database.write() as conn:
            queue_views.publish(conn, row)

    def order(self, kind: QueueOrder, **fields: Any) -> None:
        """Put an order."""
        plain: dict[str, Any] = {"operator": "ada", "reason": "release", "since": self.now}
        with self.maingate.database.write() as conn:
            queue_controls.put(conn, QueueControl(key=self.key, kind=kind, **(plain | fields)))

    def member(self, name: str, state: str = "testing", **more: Any) -> dict[str, Any]:
        """Return a workstream as a view has it."""
        about = {"id": self.ids[name], "name": name, "run_id": self.run.id, "state": state, "held_by": None}
        return {**about, "expected": [60.0, 90.0], **more}

    def report(self) -> dict[str, Any]:
        """Return the queue."""
        return queue_report(self.maingate.context, REF)


@pytest.fixture
def stage(repo: GitRepo) -> Iterator[Stage]:
    """Give a repository with a run of three workstreams."""
    repo.commit({"a": "1"})
    with Maingate.open(repo.path) as maingate:
        yield Stage(maingate, "a", "b", "c")


def test_the_view_of_the_living_process_is_shown_with_places_and_names(stage: Stage) -> None:
    """Tests say what they contain and what they leave out, each by its name."""
    a, b, c = (stage.ids[name] for name in "abc")
    test = {"id": "run_1", "contains": [a, c], "without": [b], "purpose": "search", "chance": 0.25}
    held = {"id": a, "name": "a", "why": "conflict"}
    stage.hold()
    stage.say(
        members=[stage.member("a"), stage.member("b", "held", held_by=held, expected=None)],
        tests=[{**test, "since": "2026-01-01T00:00:00.000Z", "gates": ["unit"]}],
        conflicts=[[b, a]],
    )
    found = stage.report()
    assert found["alive"]
    assert [(each["place"], each["name"], each["state"]) for each in found["on_board"]] == [
        (1, "a", "testing"),
        (2, "b", "held"),
    ]
    assert [each["tests"] for each in found["on_board"]] == [["run_1"], []]
    assert found["on_board"][1]["held_by"] == held
    [shown] = found["tests"]
    assert [each["name"] for each in shown["contains"]] == ["a", "c"]
    assert shown["assumes_bad"] == [{"id": b, "name": "b"}]
    assert [[each["name"] for each in pair] for pair in found["conflicts"]] == [["b", "a"]]
    assert found["not_on_board"] == 1
    assert found["next_action"] == {"code": "wait", "about": REF, "command": "maingate queue main --watch"}
    assert [each["name"] for each in places(found, stage.run.id)] == ["a", "b"]
    assert places(found, "run_other") == []


def test_the_time_that_has_passed_since_is_no_longer_expected(stage: Stage) -> None:
    """A view is not written anew because time goes by; what is late is expected at once."""
    stage.hold()
    stage.say(ago=70.0, members=[stage.member("a")])
    [member] = stage.report()["on_board"]
    assert member["expected_seconds"]["p50"] == 0.0
    assert member["expected_seconds"]["p90"] == pytest.approx(20.0, abs=5.0)


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (QueueOrder.PAUSE, {}, None),
        (QueueOrder.DRAIN, {"on_board": ("ws_other",)}, None),
        (QueueOrder.DRAIN, {}, 60.0),
        (QueueOrder.FREEZE, {"until": timedelta(hours=1)}, 3600.0),
    ],
)
def test_orders_change_the_expected_time(
    stage: Stage, kind: QueueOrder, fields: dict[str, Any], expected: float | None
) -> None:
    """Nothing lands while it is paused, and before the end of a freeze."""
    stage.hold()
    stage.say(members=[stage.member("a")])
    stage.order(
        kind, **{name: stage.now + value if name == "until" else value for name, value in fields.items()}
    )
    [member] = stage.report()["on_board"]
    found = member["expected_seconds"]
    assert found is None if expected is None else found["p50"] == pytest.approx(expected, abs=5.0)


@pytest.mark.parametrize("kind", [QueueOrder.PAUSE, QueueOrder.DRAIN])
def test_an_order_that_a_person_ends_is_the_next_step(stage: Stage, kind: QueueOrder) -> None:
    """Its code is that of `status`."""
    stage.order(kind)
    found = stage.report()
    assert found["next_action"] == {"code": "resume", "about": REF, "command": "maingate queue resume main"}
    [order] = found["orders"]
    assert (order["order"], order["by"], order["reason"], order["in_force"]) == (kind, "ada", "release", True)


def test_a_schedule_is_shown_outside_of_its_windows_too(stage: Stage) -> None:
    """With its line, zone and length; the queue goes on."""
    line = f"0 0 {stage.now.day} {stage.now.month % 12 + 1} *"
    stage.order(QueueOrder.SCHEDULE, cron=line, zone="Europe/Berlin", seconds=3600)
    [order] = stage.report()["orders"]
    assert (order["in_force"], order["since"], order["until"]) == (False, None, None)
    assert (order["cron"], order["zone"], order["for_seconds"]) == (line, "Europe/Berlin", 3600)


def test_a_freeze_whose_end_has_come_is_no_order_any_more(stage: Stage) -> None:
    """It is on record until the queue is resumed, and holds nothing; one that goes on is shown."""
    stage.order(QueueOrder.FREEZE, until=stage.now + timedelta(hours=1))
    assert [each["order"] for each in stage.report()["orders"]] == ["freeze"]
    with stage.maingate.database.write() as conn:
        conn.exec_driver_sql("UPDATE runs SET target_ref = 'refs/heads/next'")
    assert queues_in_use(stage.maingate.context) == [REF, "refs/heads/next"]
    stage.order(QueueOrder.FREEZE, until=stage.now)
    assert stage.report()["orders"] == []
    assert queues_in_use(stage.maingate.context) == ["refs/heads/next"]


def test_without_a_process_the_rows_say_what_waits(stage: Stage) -> None:
    """A view of a process that is gone is not shown; the next step is to resume the run."""
    stage.say(members=[stage.member("c")])
    with stage.maingate.database.write() as conn:
        row = workstreams.get(conn, stage.ids["b"])
        bring_to(conn, row.head, WorkstreamState.VALIDATING, at=stage.now)
    found = stage.report()
    assert (found["alive"], found["run_id"]) == (False, None)
    assert [(each["name"], each["state"], each["expected_seconds"]) for each in found["on_board"]] == [
        ("b", "waiting", None)
    ]
    assert found["not_on_board"] == 2
    assert found["next_action"]["command"] == f"maingate resume {stage.run.id}"


def test_a_process_that_has_said_nothing_yet_has_nothing_on_board(stage: Stage) -> None:
    """It is at work all the same; the view of the process before is not its own."""
    stage.hold()
    found = stage.report()
    assert (found["alive"], found["on_board"], found["next_action"]["code"]) == (True, [], "wait")


def test_a_run_whose_process_does_not_hold_the_target_is_at_work_too(stage: Stage) -> None:
    """It has nothing to land yet, and the target is free: there is nothing to resume."""
    with stage.maingate.database.write() as conn:
        hold_run(conn, stage.run.id, holder=LeaseHolder(stage.run.id), now=stage.now)
    found = stage.report()
    assert (found["alive"], found["run_id"], found["next_action"]["code"]) == (True, None, "wait")


def test_the_target_is_that_of_the_unfinished_runs_where_it_is_one(stage: Stage, repo: GitRepo) -> None:
    """Else it is the branch that is checked out, or the one that is named."""
    repo.git("checkout", "-q", "-b", "next")
    context = stage.maingate.context
    assert queue_target(context, None) == REF
    assert queue_target(context, "next") == "refs/heads/next"
    with stage.maingate.database.write() as conn:
        other = make_run(repository_id=context.identity.id, target_ref="refs/heads/other")
        runs.insert_many(conn, [other], at=stage.now)
    assert queue_target(context, None) == "refs/heads/next"


def test_workstreams_that_are_not_proved_alike_wait_beside_those_on_board(stage: Stage) -> None:
    """With the parts in which the runs differ, the run that holds the target, and its name."""
    stage.hold()
    kept = {
        "id": "ws_x",
        "name": "x",
        "run_id": "run_x",
        "differences": [{"part": "surroundings", "gate": "unit"}],
    }
    stage.say(members=[stage.member("a")], kept_waiting=[kept])
    found = stage.report()
    assert (found["run_id"], found["run_name"]) == (stage.run.id, "plan")
    [shown] = found["kept_waiting"]
    assert {name: shown[name] for name in kept} == kept
    assert shown["why"] == (
        f"waits for run plan ({stage.run.id}) to let main go, because the two are not proved alike: "
        "the gate unit runs in other surroundings (variables, versions of programs, limits, `prepare`)"
    )
    assert found["runs"] == [{"id": stage.run.id, "name": "plan", "alive": True, "line": None}]
