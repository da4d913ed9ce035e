"""The `notify` commands are told when an alert begins and when it ends."""

from pathlib import Path

from maingate.bootstrap import Maingate
from maingate.ids import RunId
from maingate.monitoring.alerts import record
from maingate.plan.loader import load_plan
from maingate.state.run import RunState
from support.factories import GitRepo
from support.landing import write_plan


def admitted(maingate: Maingate, folder: Path, target: str, *notify: str) -> RunId:
    """Admit a run that has not begun."""
    plan = {
        "repo": str(maingate.repository.root),
        "target": target,
        "notify": list(notify),
        "workstreams": {"w": {"tasks": {"t": {"noop": True}}}},
    }
    return maingate.admission.admit(load_plan(write_plan(folder / target, plan, {})))


def fire(maingate: Maingate, **wanted: str) -> None:
    """Let these alerts fire, and no others."""
    with maingate.database.write() as conn:
        record(conn, wanted, at=maingate.context.clock.now())


def writing(file: Path, mark: str) -> str:
    """Return a command that writes down what it is told."""
    variables = '"$MAINGATE_EVENT" "$MAINGATE_STATE" "$MAINGATE_MESSAGE"'
    return f'printf "{mark} %s %s %s\\n" {variables} >> {file}'


def test_an_alert_is_told_to_the_plans_of_the_runs_under_way(repo: GitRepo, tmp_path: Path) -> None:
    """Each command once, though several plans have it; nothing is told twice."""
    file = tmp_path / "told"
    one, both = writing(file, "one"), writing(file, "both")
    repo.commit({"a.txt": "1\n"})
    repo.git("branch", "side")
    with Maingate.open(repo.path) as maingate:
        admitted(maingate, tmp_path, "main", one, both)
        admitted(maingate, tmp_path, "side", both)
        assert maingate.notifier.deliver() == []
        fire(maingate, MaingateStuck="no progress")
        assert maingate.notifier.is_owed()
        fire(maingate)
        assert maingate.notifier.deliver() == maingate.notifier.deliver() == []
        assert not maingate.notifier.is_owed()
    assert file.read_text().splitlines() == [
        "one alert fired MaingateStuck: no progress",
        "both alert fired MaingateStuck: no progress",
        "one alert resolved MaingateStuck fires no more",
        "both alert resolved MaingateStuck fires no more",
    ]


def test_without_a_run_under_way_it_is_told_to_the_plan_of_the_newest(repo: GitRepo, tmp_path: Path) -> None:
    """If that has no commands nothing is owed: an older plan is not asked."""
    file = tmp_path / "told"
    repo.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as maingate:
        first = admitted(maingate, tmp_path, "main", writing(file, "old"))
        assert maingate.execution.execute(first, workers=1) is RunState.SUCCEEDED
        fire(maingate, MaingateStuck="no progress")
        assert maingate.notifier.deliver() == []
        second = admitted(maingate, tmp_path, "main")
        assert maingate.execution.execute(second, workers=1) is RunState.SUCCEEDED
        fire(maingate)
        assert not maingate.notifier.is_owed()
        assert maingate.notifier.deliver() == []
    assert file.read_text() == "old alert fired MaingateStuck: no progress\n"
