"""Completion by the shell: the protocol that the scripts of bash, zsh and fish speak, on a real record."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.queries.offered_words import WordKind, offered
from support.command_line import Played, a_clean_environment, maingate
from support.factories import GitRepo


def protocol(line: str) -> Mapping[str, str]:
    """Return the variables with which bash asks for the word at the end of a line."""
    words = line.split(" ")
    return {
        "_MAINGATE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }


def asked(line: str, *, cwd: Path, home: Path) -> "subprocess.CompletedProcess[str]":
    """Ask for the completion of a line, as bash does."""
    return maingate(cwd=cwd, home=home, env=protocol(line))


def completed(line: str, played: Played, home: Path) -> list[str]:
    """Return the words that complete a line in the story's repository."""
    done = asked(line, cwd=played.stage.repository, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def of_state(played: Played, *states: str) -> set[str]:
    """Return the names of the story's workstreams in these states."""
    return {stream["name"] for stream in played.report["workstreams"] if stream["state"] in states}


@pytest.mark.parametrize("command", ["status", "events --entity", "patch list --run", "quarantine --run"])
def test_a_run_is_completed_by_its_id(played: Played, hermetic_environment: Path, command: str) -> None:
    """Each argument and option that takes a run offers the newest runs."""
    words = completed(f"maingate {command} ", played, hermetic_environment)
    assert played.report["run_id"] in words
    assert completed(f"maingate {command} run_", played, hermetic_environment) == [played.report["run_id"]]


@pytest.mark.parametrize(
    ("command", "kind"), [("fail", "workstreams"), ("unblock", "tasks"), ("reset", "tasks")]
)
def test_an_override_completes_the_names_of_its_kind(
    played: Played, hermetic_environment: Path, command: str, kind: str
) -> None:
    """Workstreams where a workstream is asked for, tasks where a task is."""
    words = completed(f"maingate override {command} ", played, hermetic_environment)
    assert set(words) == {each["name"] for each in played.report[kind]}


def test_patches_are_completed_by_the_names_of_tasks_and_by_ids(
    played: Played, hermetic_environment: Path
) -> None:
    """The beginning of a name offers names, that of an id offers ids."""
    names = completed("maingate patch show ", played, hermetic_environment)
    assert names
    assert set(names) <= {task["name"] for task in played.report["tasks"]}
    stream = names[0].split("/")[0]
    assert set(completed(f"maingate patch diff {stream}/", played, hermetic_environment)) == {
        name for name in names if name.startswith(f"{stream}/")
    }
    ids = completed("maingate patch show patch_", played, hermetic_environment)
    assert len(ids) == len(names)
    assert completed(f"maingate patch show {ids[0]}", played, hermetic_environment) == [ids[0]]


def test_bisect_completes_landed_workstreams_and_the_gates_of_the_plan(
    played: Played, hermetic_environment: Path
) -> None:
    """What cannot be meant is not offered."""
    landed = set(completed("maingate bisect ", played, hermetic_environment))
    assert landed == of_state(played, "completed")
    stream = min(landed)
    gates = completed(f"maingate bisect {stream} --gate ", played, hermetic_environment)
    assert gates
    assert completed(f"maingate bisect {stream} --gate {gates[0]}", played, hermetic_environment) == gates[:1]


def test_cancel_and_resume_offer_only_what_has_not_ended(played: Played, hermetic_environment: Path) -> None:
    """The story has ended, so nothing of it can be cancelled or resumed."""
    assert completed("maingate cancel ", played, hermetic_environment) == []
    assert completed("maingate resume ", played, hermetic_environment) == []


def test_tools_tokens_states_and_machines(played: Played, tmp_path: Path, hermetic_environment: Path) -> None:
    """Presets, breakers, tokens and the program's own words are completed as well."""
    assert "claude" in completed("maingate tools test cl", played, hermetic_environment)
    assert completed("maingate patch list --state quar", played, hermetic_environment) == ["quarantined"]
    assert completed("maingate machines patch_", played, hermetic_environment) == ["patch_ledger"]
    assert completed("maingate events --type wor", played, hermetic_environment) == ["workstream", "worker"]
    copy = played.copy_to(tmp_path)
    made = maingate("token", "create", "ada", "--role", "viewer", cwd=copy, home=hermetic_environment)
    assert made.returncode == 0
    assert asked("maingate token revoke a", cwd=copy, home=hermetic_environment).stdout.split() == ["ada"]
    gave_way = maingate("breaker", "trip", "codex", "--reason", "down", cwd=copy, home=hermetic_environment)
    offered_tools = asked("maingate breaker reset c", cwd=copy, home=hermetic_environment).stdout.split()
    assert ("codex" in offered_tools) == (gave_way.returncode == 0)


def test_the_run_of_the_line_and_its_folder_count(played: Played, tmp_path: Path) -> None:
    """`-C DIR` and `--run RUN` before the word decide where its names are looked up."""
    line = f"maingate -C {played.stage.repository} rollback --run {played.report['run_id']} "
    done = asked(line, cwd=tmp_path, home=tmp_path)
    assert of_state(played, "completed") <= set(done.stdout.split())
    unknown = asked(line.replace("run_", "run_0"), cwd=tmp_path, home=tmp_path)
    assert (unknown.returncode, unknown.stdout.strip(), unknown.stderr) == (0, "", "")


def test_nothing_is_said_without_a_repository_or_a_record(
    tmp_path: Path, repo: GitRepo, hermetic_environment: Path
) -> None:
    """A completion prints no error, and makes no state folder."""
    for folder in (tmp_path, repo.path):
        done = asked("maingate patch show ", cwd=folder, home=hermetic_environment)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert not (repo.path / ".git" / "maingate").exists()


def test_a_damaged_record_completes_nothing(
    played: Played, tmp_path: Path, hermetic_environment: Path
) -> None:
    """Only a command reports that its record cannot be read."""
    copy = played.copy_to(tmp_path)
    (copy / ".git/maingate/maingate.db").write_bytes(b"no database" * 100)
    for rest in (copy / ".git/maingate").glob("maingate.db-*"):
        rest.unlink()
    done = asked("maingate status ", cwd=copy, home=hermetic_environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_what_a_word_means(
    played: Played, hermetic_environment: Path, shell: str
) -> None:
    """Zsh and fish show the state beside the word."""
    env = {"_MAINGATE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "maingate status run_"}
    env["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    done = maingate(cwd=played.stage.repository, home=hermetic_environment, env=env)
    assert played.report["run_id"] in done.stdout
    assert re.search(r"failed|succeeded", done.stdout)


def test_words_that_a_shell_would_expand_are_not_offered(
    played: Played, tmp_path: Path, hermetic_environment: Path
) -> None:
    """The name of a run is free text: bash would expand `$(…)`, `*` and spaces in it."""
    copy = played.copy_to(tmp_path)
    for name, words in (("$(touch x) * [red]", []), ("nightly", ["nightly"])):
        with Maingate.open(copy) as opened:
            with opened.database.write() as conn:
                conn.exec_driver_sql("UPDATE runs SET name = ?", (name,))
            assert name in {word.text for word in offered(opened.context, "", [WordKind.RUN])}
        done = asked("maingate status ", cwd=copy, home=hermetic_environment)
        assert done.stdout.split() == [played.report["run_id"], *words]


def test_completing_loads_little(played: Played, tmp_path: Path) -> None:
    """A key press loads the database and no more: neither the plan's model nor git's library nor Rich."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "maingate"],
        cwd=played.stage.repository,
        env=a_clean_environment(tmp_path) | dict(protocol("maingate patch show ")),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "maingate.queries.offered_words" in loaded
    core = "maingate.orchestrator.core.core"
    assert not loaded & {"pydantic", "pygit2", "rich.console", "yaml", "maingate.plan.loader", core}
