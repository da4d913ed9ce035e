"""A run is executed at a held target, and nothing that was taken for it outlasts an error."""

import socket
import subprocess
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import runs, workers
from maingate.db.dao.workers import WorkerRow
from maingate.errors import OutsideFaultError
from maingate.ids import LeaseHolder, new_id
from maingate.orchestrator.progress import ProgressView, SilentListener
from maingate.plan.loader import load_plan
from maingate.reasons import ReasonCode
from maingate.services.targets.killed_process_cleanup import RescueService
from maingate.services.targets.lease_renewal import TargetHolds
from maingate.state.run import RunState
from maingate.state.worker import WorkerState
from maingate.system.process_table import started
from support.database_factories import bring_to
from support.factories import GitRepo
from support.landing import write_plan


def test_a_target_is_free_again_when_clearing_up_before_a_run_fails(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold is released, the reason is on record, and the run is resumed by the next process."""
    repo.commit({"a.txt": "1\n"})
    plan = {"repo": str(repo.path), "workstreams": {"w": {"tasks": {"t": {"patch": "p"}}}}}
    loaded = load_plan(write_plan(tmp_path / "plan", plan, {"p": repo.diff_of({"a.txt": "2\n"})}))

    def fails(*_: object) -> None:
        raise OutsideFaultError("no space left on the device")

    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded)
        with monkeypatch.context() as broken:
            broken.setattr(RescueService, "clear_up", fails)
            with pytest.raises(OutsideFaultError, match="no space"):
                maingate.execution.execute(run_id, workers=1)
        other, holds = LeaseHolder.new("bisect"), TargetHolds(maingate.context)
        with maingate.database.write() as conn:
            holds.take(conn, runs.get(conn, run_id).target_ref, other)
        holds.release(other)
        assert "no space" in maingate.report(run_id)["stopped"]["message"]
        assert maingate.execution.execute(run_id, workers=1) is RunState.SUCCEEDED


class Killing(SilentListener):
    """Puts on record, once its run has begun, another process that lands for it and is killed.

    Args:
        maingate: Whose record it is.
        process: The process, which lives.
    """

    def __init__(self, maingate: Maingate, process: "subprocess.Popen[bytes]") -> None:
        self._maingate, self._process = maingate, process
        self.killed = ""

    def started(self, _: ProgressView) -> None:
        """Register the process as busy with a run that is over, and kill it."""
        now, pid = self._maingate.context.clock.now(), self._process.pid
        row = WorkerRow(
            id=new_id("wrk"), name="other", host=socket.gethostname(), pid=pid, pid_started=started(pid)
        )
        with self._maingate.database.write() as conn:
            [worker] = workers.insert_many(conn, [row], at=now)
            bring_to(conn, worker.head, "busy", at=now)
        self._process.kill()
        self._process.wait()
        self.killed = worker.id


def test_a_process_that_was_killed_while_another_was_at_work_is_not_busy_for_ever(
    repo: GitRepo, tmp_path: Path
) -> None:
    """A process may be killed when its own run is over: those at work have cleared up before."""
    repo.commit({"a.txt": "1\n"})
    plan = {"repo": str(repo.path), "workstreams": {"w": {"tasks": {"t": {"patch": "p"}}}}}
    loaded = load_plan(write_plan(tmp_path / "plan", plan, {"p": repo.diff_of({"a.txt": "2\n"})}))
    with subprocess.Popen(["sleep", "600"]) as process, Maingate.for_plan(loaded) as maingate:
        killing = Killing(maingate, process)
        run_id = maingate.admission.admit(loaded)
        assert maingate.execution.execute(run_id, workers=1, listener=killing) is RunState.SUCCEEDED
        with maingate.database.read() as conn:
            worker = workers.get(conn, killing.killed)
            assert workers.alive(conn) == []
    assert (worker.state, worker.reason and worker.reason.code) == (
        WorkerState.SHUTDOWN,
        ReasonCode.WORKER_LOST,
    )
