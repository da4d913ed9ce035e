"""`maingate clean` removes what is left over, and nothing that is evidence or at work."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.demo.stage import set_stage
from maingate.demo.story import SCENES
from maingate.plan.loader import load_plan
from support.command_line import Invoke, Played, maingate
from support.factories import GitRepo


@pytest.fixture
def repository(tmp_path: Path, hermetic_environment: Path) -> Path:
    """Give a repository after a run with one patch that landed and one that did not."""
    stage = set_stage(tmp_path, [scene for scene in SCENES if scene.name in {"thousands", "faster-total"}])
    assert (
        maingate("run", str(stage.plan), cwd=tmp_path, home=hermetic_environment, env=own_cache()).returncode
        == 0
    )
    return stage.repository


def own_cache() -> dict[str, str]:
    """Arrange that the process uses the cache of this test."""
    return {"XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}


def cleaned(invoke: Invoke, repository: Path, *options: str) -> Any:
    """Run clean and return its JSON."""
    result = invoke("clean", "--json", *options, cwd=repository)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_what_ended_runs_left_is_removed_and_evidence_stays(invoke: Invoke, repository: Path) -> None:
    """Worktrees, refs and logs go; quarantine, database, branch and salvage stay."""
    repo = GitRepo(repository)
    repo.git("update-ref", "refs/maingate/salvage/x", "main")
    main, state = repo.head("main"), repository / ".git" / "maingate"
    kept = sorted((state / "quarantine").iterdir())
    found = cleaned(invoke, repository, "--keep-logs", "0")
    assert found["worktrees"]
    assert found["refs"]
    assert found["logs"]
    assert found["bytes"] > 0
    assert not any(Path(path).exists() for path in found["worktrees"])
    assert repo.git("for-each-ref", "--format=%(refname)", "refs/maingate").splitlines() == [
        "refs/maingate/salvage/x"
    ]
    assert not any((state / "logs").iterdir())
    assert sorted((state / "quarantine").iterdir()) == kept
    assert repo.head("main") == main
    assert invoke("audit", "verify", cwd=repository).exit_code == 0
    assert cleaned(invoke, repository, "--keep-logs", "0")["bytes"] == 0


def test_dry_run_removes_nothing(invoke: Invoke, repository: Path) -> None:
    """It lists the same and leaves all of it."""
    planned = cleaned(invoke, repository, "--dry-run", "--keep-logs", "0")
    assert cleaned(invoke, repository, "--keep-logs", "0") == planned | {"dry_run": False}


def test_logs_are_kept_by_default(invoke: Invoke, repository: Path) -> None:
    """The newest ones stay, so that patch show can point at them."""
    assert cleaned(invoke, repository)["logs"] == []


def test_refs_of_young_runs_can_be_kept(invoke: Invoke, repository: Path) -> None:
    """`--older-than` speaks about when a run ended."""
    assert cleaned(invoke, repository, "--older-than", "1d")["refs"] == []


def test_it_refuses_while_a_run_is_at_work(invoke: Invoke, repository: Path) -> None:
    """A run that holds its target is left alone with everything it uses."""
    with Maingate.open(repository) as at_work:
        at_work.admission.admit(load_plan(repository.parent / "plan.yaml"))
        result = invoke("clean", cwd=repository)
    assert result.exit_code == 4
    assert "is held by" in result.stderr
    assert cleaned(invoke, repository, "--dry-run")["worktrees"]


def test_the_work_of_a_run_that_did_not_end_is_kept(invoke: Invoke, repository: Path) -> None:
    """Its refs may be needed to go on with it."""
    with Maingate.open(repository) as crashed:
        run_id = crashed.admission.admit(load_plan(repository.parent / "plan.yaml"))
        crashed.repository.keep(f"refs/maingate/{run_id}/w", crashed.repository.resolve_commit("main"))
    assert f"refs/maingate/{run_id}/w" not in cleaned(invoke, repository)["refs"]


def test_people_are_told_what_went(invoke: Invoke, played: Played, tmp_path: Path) -> None:
    """Numbers and size; the dry run lists each thing."""
    copy = played.copy_to(tmp_path)
    shown = invoke("clean", "--dry-run", "--keep-logs", "0", cwd=copy).stdout
    assert shown.startswith("Would remove 0 worktrees, ")
    assert "refs/maingate/run_" in shown
    assert invoke("clean", "--keep-logs", "0", cwd=copy).stdout.startswith("Removed 0 worktrees, ")
    assert invoke("clean", "--keep-logs", "0", cwd=copy).stdout == "Nothing to clean.\n"


def recovered(invoke: Invoke, repository: Path) -> Path:
    """Try a refused patch again, to its end, and return the folder of what was written for it."""
    assert invoke("patch", "recover", "faster-total/sum", cwd=repository).exit_code == 1
    (folder,) = repository.glob(".git/maingate/recover/*")
    return folder


def test_what_was_written_for_ended_recoveries_goes(invoke: Invoke, played: Played, tmp_path: Path) -> None:
    """The plan and the diff are on record; a dry run lists the folder, and `--older-than` keeps it."""
    copy = played.copy_to(tmp_path)
    folder = recovered(invoke, copy)
    young = cleaned(invoke, copy, "--dry-run", "--older-than", "1d")
    found = cleaned(invoke, copy, "--dry-run")
    assert (young["recoveries"], found["recoveries"]) == ([], [str(folder)])
    assert found["bytes"] - young["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    listed = invoke("clean", "--dry-run", cwd=copy).stdout.splitlines()
    assert ", 1 recovery: " in listed[0]
    assert f"  {folder}" in listed
    assert cleaned(invoke, copy)["recoveries"] == [str(folder)]
    assert not folder.exists()
    assert cleaned(invoke, copy)["recoveries"] == []


def test_what_was_written_for_a_recovery_that_goes_on_stays(
    invoke: Invoke, played: Played, tmp_path: Path
) -> None:
    """Also where its run is about to be made, so that there is none yet."""
    copy = played.copy_to(tmp_path)
    ended = recovered(invoke, copy)
    going_on, unknown = (shutil.copytree(ended, ended.with_name(name)) for name in ("A", "B"))
    with Maingate.open(copy) as crashed:
        crashed.admission.admit(load_plan(going_on / "plan.json"))
    assert cleaned(invoke, copy)["recoveries"] == [str(ended)]
    assert going_on.exists()
    assert unknown.exists()
