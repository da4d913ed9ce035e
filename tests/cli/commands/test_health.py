"""`maingate health` and `maingate doctor`, as people, probes and service managers use them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from maingate.git import private_git
from support.command_line import Invoke, Played
from support.factories import GitRepo


def test_health_of_a_repository_in_order(invoke: Invoke, played: Played) -> None:
    """Every part is told, to people and programs."""
    shown = invoke("health", "--exit-code", cwd=played.stage.repository)
    assert (shown.exit_code, shown.stderr) == (0, "")
    told = json.loads(invoke("health", "--json", cwd=played.stage.repository).stdout)
    assert (told["state"], told["ready"], told["hindrance"]) == ("ok", True, None)
    for check in told["checks"]:
        assert check["name"] in shown.stdout
        assert check["state"] == "ok", check
    assert {check["name"] for check in told["checks"] if check["vital"]} == {"database", "repository"}


def test_a_probe_is_told_by_the_exit_code(invoke: Invoke, played: Played, tmp_path: Path) -> None:
    """A failed part ends it with 1; people who only look get 0, and the command that mends it."""
    repository = played.copy_to(tmp_path)
    with closing(sqlite3.connect(repository / ".git" / "maingate" / "maingate.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    probe = invoke("health", "--exit-code", cwd=repository)
    assert probe.exit_code == 1
    assert f"maingate -C {repository} runs" in probe.stdout
    shown = invoke("health", "--json", cwd=repository)
    assert (shown.exit_code, json.loads(shown.stdout)["state"]) == (0, "failed")


def test_a_probe_does_not_migrate(invoke: Invoke, played: Played, tmp_path: Path) -> None:
    """A newer program that is only asked for health leaves the record to the older one that is at work."""
    repository = played.copy_to(tmp_path)
    path = repository / ".git" / "maingate" / "maingate.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    invoke("health", cwd=repository)
    invoke("doctor", cwd=repository)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0000",)]


def test_a_part_that_is_degraded_does_not_restart_a_service(
    invoke: Invoke, played: Played, tmp_path: Path
) -> None:
    """An open breaker needs a person; a restart would lose work and mend nothing."""
    repository = played.copy_to(tmp_path)
    assert invoke("breaker", "trip", "claude", "--reason", "x", cwd=repository).exit_code == 0
    probe = invoke("health", "--exit-code", cwd=repository)
    assert probe.exit_code == 0
    assert "the tool claude is paused" in probe.stdout
    assert "breaker reset claude --reason 'it works again'" in probe.stdout


def test_health_before_the_first_run(invoke: Invoke, repo: GitRepo) -> None:
    """There is nothing to be healthy yet: a probe in the wrong folder must not pass."""
    repo.commit({"a.txt": "1\n"})
    result = invoke("health", "--exit-code", cwd=repo.path)
    assert result.exit_code == 2
    assert "has not run in" in result.stderr


def test_the_doctor_finds_nothing_in_a_repository_in_order(
    invoke: Invoke, played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is examined, leftovers too."""
    monkeypatch.setattr(private_git, "_MEMORY", tmp_path)  # other tests kill processes, which leave folders
    result = invoke("doctor", "--json", cwd=played.stage.repository)
    names = [check["name"] for check in json.loads(result.stdout)["checks"]]
    troubles = [each["troubles"] for each in json.loads(result.stdout)["checks"] if each["troubles"]]
    assert (result.exit_code, troubles) == (0, [])
    assert {"python", "git", "kind", "settings", "worktrees", "dead", "checkouts", "programs"} < set(names)


def test_the_doctor_examines_the_machine_where_there_is_no_repository(invoke: Invoke, tmp_path: Path) -> None:
    """The repository is one finding among others, with its reason."""
    result = invoke("doctor", cwd=tmp_path)
    assert result.exit_code == 1
    assert "is not in a git repository" in result.stdout
    assert "git version" in result.stdout


def test_the_doctor_before_the_first_run(invoke: Invoke, repo: GitRepo) -> None:
    """Nothing is wrong, and nothing is made."""
    repo.commit({"a.txt": "1\n"})
    assert invoke("doctor", cwd=repo.path).exit_code == 0
    assert not (repo.path / ".git" / "maingate").exists()
