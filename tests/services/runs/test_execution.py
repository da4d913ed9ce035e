"""A run is executed at a held target, and nothing that was taken for it outlasts an error."""

from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import runs
from maingate.errors import OutsideFaultError
from maingate.ids import LeaseHolder
from maingate.plan.loader import load_plan
from maingate.services.targets.killed_process_cleanup import RescueService
from maingate.services.targets.lease_renewal import TargetHolds
from maingate.state.run import RunState
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
