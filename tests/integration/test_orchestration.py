"""The life of runs, workstreams and tasks, end to end: real git, real workers, all of it on record."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.audit.record_check import verify
from maingate.db.dao import tasks
from maingate.db.dao.history import events
from maingate.db.dao.tasks import TaskRow
from maingate.events import TRANSITION_SUFFIX, Event
from maingate.state.machines import MACHINES
from support.factories import GitRepo
from support.landing import Landed, land

LONG = 10_000
"""More events than any run here has."""


AT_REST = ("committed", "quarantined")
"""Where a patch stays although something might still become of it: it is rolled back, or recovered."""


@pytest.fixture
def base(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    """Give a repository with a few files; what is tried again is tried again soon."""
    monkeypatch.setenv("MAINGATE_RETRY_DELAY", "0.01")
    repo.commit({"a.txt": "a\n", "b.txt": "b\n"}, "base")
    return repo


def test_a_run_leads_everything_through_its_machine(base: GitRepo) -> None:
    """Each entity's way, in order and with what moved it, from its creation to its end.

    See docs/SPECIFICATION.md §1.
    """
    patches = {"p": base.diff_of({"a.txt": "A\n"})}
    workstreams = {"w": {"tasks": {"p": {"patch": "p"}, "then": {"command": "true", "needs": ["p"]}}}}
    landed = land(base, patches, workstreams=workstreams, gates={"unit": {"run": "true"}})
    assert landed.state == "succeeded"

    assert ways(landed, "run") == [
        [
            ("pending", "created"),
            ("running", "scheduling_started"),
            ("succeeded", "all_workstreams_done"),
        ]
    ]
    assert ways(landed, "workstream") == [
        [
            ("planned", "created"),
            ("ready", "dependencies_met"),
            ("executing", "first_task_started"),
            ("validating", "all_tasks_done"),
            ("completed", "landed"),
        ]
    ]
    done = [
        ("queued", "scheduler_assigned"),
        ("running", "worker_started"),
        ("validating", "execution_completed"),
        ("completed", "validation_passed"),
    ]
    assert ways(landed, "task") == [
        [("pending", "created"), *done],
        [
            ("pending", "created"),
            ("blocked", "dependency_check_failed"),
            ("pending", "dependency_satisfied"),
            *done,
        ],
    ]
    assert [state for state, _ in ways(landed, "patch_ledger")[0]] == [
        "created",
        "validated",
        "queued",
        "applied",
        "verified",
        "committed",
    ]
    assert [[state for state, _ in way] for way in ways(landed, "test_gate")] == [
        ["PENDING", "RUNNING", "PASSED"]
    ]


def test_the_record_of_a_run_with_one_of_everything_is_legal_and_whole(base: GitRepo, tmp_path: Path) -> None:
    """Every step is one that its machine has, every end is an end, and the chains hold.

    See docs/SPECIFICATION.md §8.5.
    """
    landed = run_of_everything(base, tmp_path)
    assert landed.state == "failed"
    with Maingate.open(base.path) as maingate:
        assert verify(maingate.database, log=maingate.paths.transitions).is_intact
    seen = {name for name in MACHINES if ways(landed, name)}
    assert seen == MACHINES.keys() - {"circuit_breaker"}
    for name in seen:
        machine = MACHINES[name]
        for way in ways(landed, name):
            for (before, _), (after, trigger) in pairwise(way):
                assert machine.allows(before, after, trigger), (name, before, after, trigger)
            assert machine.is_terminal(way[-1][0]) or way[-1][0] in AT_REST, (name, way)


def run_of_everything(base: GitRepo, tmp_path: Path) -> Landed:
    """Land, refuse, retry, time out, skip: all in one run."""
    patches = {
        "good": base.diff_of({"a.txt": "A\n"}),
        "clash": base.diff_of({"a.txt": "other\n"}),
        "red": base.diff_of({"b.txt": "bad\n"}),
        "later": base.diff_of({"b.txt": "B\n"}),
    }
    workstreams = {
        "one": {"tasks": {"again": {"command": failing(tmp_path / "tried", 1)}, "p": {"patch": "good"}}},
        "clash": {"critical": False, "tasks": {"p": {"patch": "clash"}}},
        "red": {"tasks": {"p": {"patch": "red"}}},
        "slow": {"critical": False, "tasks": {"t": {"command": "sleep 60", "timeout": 1, "max_retries": 0}}},
        "skipped": {"needs": ["red"], "tasks": {"n": {"noop": True}}},
        "after": {"needs": ["one"], "tasks": {"p": {"patch": "later"}}},
    }
    return land(base, patches, workstreams=workstreams, gates={"unit": {"run": "! grep -q bad b.txt"}})


def test_events_can_be_asked_for_by_entity_kind_and_run(base: GitRepo) -> None:
    """Every transition is an event, in the order in which they happened."""
    workstreams = {"w": {"tasks": {"n": {"noop": True}}}}
    first = land(base, {}, workstreams=workstreams)
    second = land(base, {}, workstreams=workstreams, folder=base.path.parent / "second")
    with Maingate.open(base.path) as maingate, maingate.database.read() as conn:
        of_run = events.query(conn, run_id=first.report["run_id"], limit=LONG)
        of_task = events.query(conn, entity=second.task("w/n")["id"], limit=LONG)
        of_kind = events.query(conn, type=f"run{TRANSITION_SUFFIX}", limit=LONG)
        counts = events.aggregate(conn, run_id=second.report["run_id"])
    assert {event.run_id for event in of_run} == {first.report["run_id"]}
    times = [event.timestamp for event in of_run]
    assert times == sorted(times)
    assert [event.to_state for event in of_task] == [
        "pending",
        "queued",
        "running",
        "validating",
        "completed",
    ]
    assert [event.to_state for event in of_kind] == ["pending", "running", "succeeded"] * 2
    assert sum(count.count for count in counts if count.entity_type == "task") == len(of_task)


def test_workstreams_begin_when_those_they_need_have_landed(base: GitRepo) -> None:
    """What they begin on holds all that they need (docs/SPECIFICATION.md §4)."""
    patches = {
        "1": base.diff_of({"a.txt": "1\n"}),
        "2": base.diff_of({"b.txt": "2\n"}),
        "3": base.diff_of({"c.txt": "3\n"}),
    }
    workstreams = {
        "last": {
            "needs": ["left", "right"],
            "tasks": {"look": {"command": "grep -q 1 a.txt && grep -q 2 b.txt"}, "p": {"patch": "3"}},
        },
        "left": {"tasks": {"p": {"patch": "1"}}},
        "right": {"needs": ["left"], "tasks": {"look": {"command": "grep -q 1 a.txt"}, "p": {"patch": "2"}}},
    }
    landed = land(base, patches, workstreams=workstreams)
    assert landed.state == "succeeded"
    started = {name: moment(landed, landed.workstream(name)["id"], "executing") for name in workstreams}
    ended = {name: moment(landed, landed.workstream(name)["id"], "completed") for name in workstreams}
    assert ended["left"] <= started["right"]
    assert ended["right"] <= started["last"]


def test_tasks_wait_for_those_they_need_and_noops_join_them(base: GitRepo, tmp_path: Path) -> None:
    """A diamond: two commands at will, then a point, then another command."""
    said = tmp_path / "said"
    tasks_ = {
        "left": {"command": f"echo side >> {said}"},
        "right": {"command": f"echo side >> {said}"},
        "both": {"noop": True, "needs": ["left", "right"]},
        "end": {"command": f"echo end >> {said}", "needs": ["both"]},
    }
    old = base.head("main")
    landed = land(base, {}, workstreams={"w": {"tasks": tasks_}})
    assert landed.state == "succeeded"
    assert said.read_text().split() == ["side", "side", "end"]
    assert landed.workstream("w")["landed"] is None
    assert base.head("main") == old


def test_a_command_is_tried_again_until_it_ends_well(base: GitRepo, tmp_path: Path) -> None:
    """It fails twice; both are counted and on record."""
    task = {"command": failing(tmp_path / "tried", 2), "max_retries": 2}
    landed = land(base, {}, workstreams={"w": {"tasks": {"t": task}}})
    assert landed.state == "succeeded"
    row = the_task(landed)
    assert (row.retry_count, row.lost_count, row.attempt) == (2, 0, 3)
    assert [trigger for state, trigger in ways(landed, "task")[0] if state == "retrying"] == [
        "execution_failed",
        "execution_failed",
    ]


def test_a_command_that_never_ends_well_fails_when_its_retries_are_used_up(base: GitRepo) -> None:
    """The reason tells what it said."""
    task = {"command": "echo no use; exit 7", "max_retries": 1}
    landed = land(base, {}, workstreams={"w": {"tasks": {"t": task}}})
    assert landed.state == "failed"
    assert landed.code("w/t") == "tool_failed"
    reason = landed.task("w/t")["reason"]
    assert reason["detail"]["exit_code"] == 7
    assert "no use" in reason["detail"]["output"]
    assert landed.task("w/t")["retry_count"] == 1
    assert ways(landed, "task")[0][-1] == ("failed", "retries_exhausted")


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(base: GitRepo, tmp_path: Path) -> None:
    """The time-out ends the whole tree; it counts as a failure like any other."""
    child = tmp_path / "child"
    task = {"command": f"setsid sleep 300 & echo $! > {child}; wait", "timeout": 2, "max_retries": 0}
    landed = land(base, {}, workstreams={"w": {"tasks": {"t": task}}})
    assert landed.code("w/t") == "tool_timeout"
    assert not Path(f"/proc/{child.read_text().strip()}").exists()


def test_a_command_whose_worker_is_lost_begins_again_and_its_retries_stay(
    base: GitRepo, tmp_path: Path
) -> None:
    """`retrying` by `worker_lost`, counted apart from its own failures."""
    mark = tmp_path / "once"
    task = {"command": f"mkdir {mark} 2>/dev/null || exit 0; kill -9 $PPID; sleep 300", "max_retries": 0}
    landed = land(base, {}, workstreams={"w": {"tasks": {"t": task}}})
    assert landed.state == "succeeded"
    row = the_task(landed)
    assert (row.retry_count, row.lost_count) == (0, 1)
    assert ("retrying", "worker_lost") in ways(landed, "task")[0]


def test_a_command_that_always_loses_its_worker_is_given_up(base: GitRepo, tmp_path: Path) -> None:
    """Losses are bounded too; nobody is waited for for ever."""
    said = tmp_path / "said"
    task = {"command": f"echo x >> {said}; kill -9 $PPID; sleep 300", "max_retries": 0}
    landed = land(base, {}, workstreams={"w": {"tasks": {"t": task}}})
    assert landed.state == "failed"
    assert landed.code("w/t") == "worker_lost"
    row = the_task(landed)
    assert row.retry_count == 0
    assert len(said.read_text().split()) == row.attempt == row.lost_count + 1
    assert [way[-1] for way in ways(landed, "uet_worker")] == [("TERMINATED", "crashed")] * row.attempt


def failing(mark: Path, times: int) -> str:
    """Write a command that fails so many times, and ends well after that."""
    return f'echo x >> {mark}; test "$(wc -l < {mark})" -gt {times}'


def the_task(landed: Landed) -> TaskRow:
    """Read the only task of a run."""
    with Maingate.open(landed.repo.path) as maingate, maingate.database.read() as conn:
        (row,) = tasks.of_run(conn, landed.report["run_id"])
    return row


def ways(landed: Landed, machine: str) -> Sequence[list[tuple[str, str]]]:
    """List the way of every entity of a kind, oldest first: the states it was in, and what led there."""
    found: dict[str, list[tuple[str, str]]] = {}
    for event in transitions(landed, f"{machine}{TRANSITION_SUFFIX}"):
        found.setdefault(str(event.entity_id), []).append((str(event.to_state), str(event.trigger)))
    return list(found.values())


def transitions(landed: Landed, kind: str) -> Sequence[Event]:
    """Read all transitions of a kind of entity."""
    with Maingate.open(landed.repo.path) as maingate, maingate.database.read() as conn:
        return events.query(conn, type=kind, limit=LONG)


def moment(landed: Landed, entity: str, state: str) -> datetime:
    """Say when an entity came into a state."""
    with Maingate.open(landed.repo.path) as maingate, maingate.database.read() as conn:
        found = events.query(conn, entity=entity, limit=LONG)
    return next(event.timestamp for event in found if event.to_state == state)
