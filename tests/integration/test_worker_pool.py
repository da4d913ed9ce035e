"""Whole runs on real git with real workers: what becomes of workers is on record, and costs no landing."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao.gates import ROWS as GATES
from maingate.db.dao.uet_workers import ROWS as SLOTS
from maingate.db.dao.uet_workers import UetWorkerRow
from maingate.db.dao.workers import ROWS as WORKERS
from maingate.db.dao.workers import WorkerRow
from maingate.db.schema.tables import state_transitions
from support.factories import GitRepo
from support.landing import Landed, land
from support.pools import processes_of


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a file."""
    repo.commit({"a.txt": "a\n"}, "base")
    return repo


def once(mark: Path, harm: str) -> str:
    """Write a gate that does harm to its worker the first time it runs, and passes after that."""
    return f"if [ -e {mark} ]; then exit 0; fi; touch {mark}; {harm}; sleep 300"


def land_with(base: GitRepo, gate: str) -> Landed:
    """Land one patch behind one gate."""
    patch = base.diff_of({"a.txt": "b\n"})
    return land(base, {"p": patch}, gates={"unit": {"run": gate}}, workers=1)


def on_record(base: GitRepo) -> tuple[list[WorkerRow], list[UetWorkerRow], Mapping[str, list[str]]]:
    """Read all workers and slots, and the triggers that moved each."""
    with Maingate.open(base.path) as maingate, maingate.database.read() as conn:
        query = f"SELECT entity_id, trigger FROM {state_transitions.name} ORDER BY seq"
        triggers: dict[str, list[str]] = {}
        for entity_id, trigger in conn.exec_driver_sql(query):
            triggers.setdefault(entity_id, []).append(trigger)
        order = "ORDER BY created_at, id"
        assert {gate.state for gate in GATES.select(conn)} == {"PASSED"}
        return WORKERS.select(conn, order), SLOTS.select(conn, order), triggers


def test_each_process_is_a_worker_with_one_slot(base: GitRepo) -> None:
    """The control process and its worker are registered, go through their machines, and end."""
    assert land_with(base, "true").state == "succeeded"

    (control, worker), (slot,), triggers = on_record(base)

    assert (control.parent_id, worker.parent_id, slot.worker_id) == (None, control.id, worker.id)
    assert (worker.name, worker.max_concurrent_tasks) == (f"{control.host}/0", 1)
    assert worker.pid == slot.pid != control.pid
    assert "" not in (control.pid_started, worker.pid_started, slot.pid_started)
    assert triggers[worker.id][:4] == ["created", "registered", "task_assigned", "task_finished"]
    assert triggers[slot.id][:4] == ["created", "initialized", "task_assigned", "task_finished"]
    assert [triggers[each.id][-1] for each in (control, worker, slot)] == ["shutdown_requested"] * 3


def test_a_killed_worker_costs_no_landing(base: GitRepo, tmp_path: Path) -> None:
    """SIGKILL in the middle of a gate: it is run again by another worker, and nobody is blamed."""
    landed = land_with(base, once(tmp_path / "mark", "kill -KILL $PPID"))

    assert landed.state == "succeeded"
    _, (lost, _), triggers = on_record(base)
    assert triggers[lost.worker_id][-2:] == ["heartbeat_missed", "recovery_window_exceeded"]
    assert triggers[lost.id][-1] == "crashed"


def test_a_stopped_worker_costs_no_landing(
    base: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP in the middle of a gate: its job goes to another, and in the end it is killed."""
    monkeypatch.setenv("MAINGATE_HEARTBEAT_INTERVAL", "1s")
    landed = land_with(base, once(tmp_path / "mark", "kill -STOP $PPID"))

    assert landed.state == "succeeded"
    _, (lost, _), triggers = on_record(base)
    assert "heartbeat_missed" in triggers[lost.worker_id]
    assert triggers[lost.id][-1] == "crashed"
    assert processes_of(tmp_path / "mark") == []
