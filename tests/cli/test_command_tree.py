"""The command tree as a whole: starting fast, helping, refusing, and failing with one paragraph."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from maingate.cli.command_table import COMMANDS, command_named
from maingate.cli.command_tree import Invocation, ended
from maingate.errors import DatabaseError, UsageError
from support.command_line import Invoke, Played, a_clean_environment, maingate, maingate_bytes
from support.factories import GitRepo

HEAVY = ("sqlalchemy", "pydantic", "pygit2", "alembic", "rich", "typer", "yaml")

PROBE = """
import sys
sys.argv = ["maingate", "--version"]
from maingate.cli.main import main
main()
print([name for name in {heavy!r} if name in sys.modules])
"""


def test_version_loads_nothing_heavy(hermetic_environment: Path) -> None:
    """`--version` answers without importing the database, git, validation or the command tree."""
    probe = [sys.executable, "-c", PROBE.format(heavy=HEAVY)]
    done = subprocess.run(probe, capture_output=True, text=True, check=True, cwd=hermetic_environment)
    version, loaded = done.stdout.splitlines()
    assert re.fullmatch(r"maingate \d+\.\d+\.\d+\S*", version)
    assert loaded == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["status", "--debug"],
            "--debug; write it before the command: `maingate --debug …`. Try `",
        ),
        (["events", "--limit", "x"], "integer. Try `"),
        (["events", "--limit", "-1"], "equal to 0. Try `"),
    ],
)
def test_a_usage_error_is_made_of_whole_sentences(invoke: Invoke, words: list[str], said: str) -> None:
    """What is wrong ends before what to try begins, and a global option is shown where it goes."""
    done = invoke(*words)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_the_command_modules_load_nothing_heavy(hermetic_environment: Path) -> None:
    """Help and completion need no database, no git and no validation."""
    heavy = ("sqlalchemy", "pygit2", "alembic")
    code = (
        "import sys, maingate.cli.command_tree\n"
        "from maingate.cli.command_table import COMMANDS, command_named\n"
        "assert all([command_named(name) for name in COMMANDS])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=hermetic_environment
    )
    assert done.stdout.strip() == "[]"


LATE = (
    "alembic",
    "asyncpg",
    "pydantic",
    "pygit2",
    "structlog",
    "yaml",
    "maingate.orchestrator.run_orchestrator",
    "maingate.plan.loader",
    "maingate.plan.model",
    "maingate.settings.model",
    "maingate.workers",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.ext.asyncio",
)

READING_PROBE = """
import atexit, sys
sys.argv = ["maingate", *{words!r}]
late = {late!r}
atexit.register(lambda: print([name for name in late if name in sys.modules], file=sys.stderr))
from maingate.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["status", "--json"],
        ["runs"],
        ["patch", "show", "TASK"],
        ["patch", "list"],
        ["events"],
        ["events", "type:task", "by:state"],
        ["quarantine"],
    ],
    ids=" ".join,
)
def test_a_command_that_reads_loads_only_what_reads(
    played: Played, words: list[str], hermetic_environment: Path
) -> None:
    """Where nothing is set, an ended run is read without git's library, plans, settings and workers."""
    task = next(task["name"] for task in played.report["tasks"] if task["patch"] is not None)
    code = READING_PROBE.format(words=[task if word == "TASK" else word for word in words], late=LATE)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=played.stage.repository,
        env=a_clean_environment(hermetic_environment),
    )
    assert done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


def test_what_is_loaded_late_can_be_loaded() -> None:
    """A name that is misspelt or gone would never be found loaded."""
    absent = [name for name in LATE if name != "asyncpg" and find_spec(name) is None]
    assert absent == []


def test_a_setting_is_heeded_by_a_command_that_reads(played: Played, hermetic_environment: Path) -> None:
    """Where something is set, its model is loaded, and what is wrong in it refuses the command."""
    done = maingate(
        "status",
        cwd=played.stage.repository,
        home=hermetic_environment,
        env={"MAINGATE_WORKERS": "none"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "MAINGATE_WORKERS" in done.stderr


def test_help_groups_the_commands(invoke: Invoke) -> None:
    """Every command stands in a group, with the exit codes below."""
    result = invoke("--help")
    assert result.exit_code == 0
    for panel in ("First steps", "Plan and run", "Patches", "The record", "Server and agents", "Upkeep"):
        assert panel in result.stdout
    for command in (
        "demo",
        "init",
        "plan",
        "run",
        "status",
        "runs",
        "patch",
        "quarantine",
        "events",
        "audit",
    ):
        assert re.search(rf"^\W+{command}\b", result.stdout, re.MULTILINE), command
    assert "Exit codes: 0 done" in result.stdout


def test_help_shows_defaults_in_whole_paragraphs_and_no_types(invoke: Invoke) -> None:
    """Brackets are no markup, lines break at the width of the terminal, and a flag has no type."""
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", invoke("serve", "--help").stdout).split())
    assert "[default: 8470]" in shown
    assert "--standby Wait for the end of another server" in shown
    assert "resume [OPTIONS] [RUN]" in " ".join(invoke("resume", "--help").stdout.split())
    stops = next(
        line for line in invoke("serve", "--help").stdout.splitlines() if "stops them at once" in line
    )
    assert "All runs go on" in stops


def test_every_value_of_a_command_line_has_a_name() -> None:
    """The help names values by their meaning: a parameter without a name of its own would show a type."""

    def unnamed(command: Any, path: str) -> Iterator[str]:
        for parameter in command.params:
            if parameter.metavar is None and not getattr(parameter, "is_flag", False):
                yield f"{path} {parameter.name}"
        for name, below in getattr(command, "commands", {}).items():
            yield from unnamed(below, f"{path} {name}")

    assert [each for name in COMMANDS for each in unnamed(command_named(name), name)] == []


@pytest.mark.parametrize(
    "args",
    [
        ["token", "create", "ci", "--role", "god"],
        ["rnu"],
        ["run"],
        ["run", "plan.yaml", "--workers", "0"],
        ["run", "plan.yaml", "--workers", "-3"],
        ["run", "plan.yaml", "--nonsense"],
        ["-C", "no/such/folder", "status"],
        ["runs", "--limit", "0"],
    ],
)
def test_a_wrong_command_line_is_exit_2_and_one_paragraph(invoke: Invoke, args: list[str]) -> None:
    """Bad usage says what is wrong and where to look, on standard error only."""
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("maingate: ")
    assert "--help`" in result.stderr
    assert "Value error" not in result.stderr


def test_a_misspelt_command_gets_a_suggestion(invoke: Invoke) -> None:
    """The nearest command is named."""
    assert "Did you mean 'status'?" in invoke("statsu").stderr


def test_no_command_shows_the_help(invoke: Invoke) -> None:
    """Nothing asked for is bad usage, and the help says what could be."""
    result = invoke()
    assert result.exit_code == 2
    assert "Plan and run" in result.output


def test_outside_a_repository_reading_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    """The paragraph says that there is no repository; with --json standard output stays empty."""
    result = invoke("status", "--json", cwd=tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "repository" in result.stderr
    assert "Traceback" not in result.stderr


def test_before_the_first_run_reading_says_how_to_begin(invoke: Invoke, repo: GitRepo) -> None:
    """Reading makes no state of its own; what is about a run says that there is none."""
    repo.commit({"a": "1"})
    for command in (["status"], ["audit", "verify"], ["clean"]):
        result = invoke(*command, cwd=repo.path)
        assert (result.exit_code, result.stdout) == (2, ""), command
        assert "maingate run" in " ".join(result.stderr.split())
    assert not (repo.path / ".git" / "maingate").exists()


@pytest.mark.parametrize("command", ["runs", "patch list", "quarantine", "events"])
def test_before_the_first_run_a_list_is_empty_and_no_error(
    invoke: Invoke, repo: GitRepo, command: str
) -> None:
    """An empty list is no bad usage; nothing is created by looking."""
    repo.commit({"a": "1"})
    as_json = invoke(*command.split(), "--json", cwd=repo.path)
    assert (as_json.exit_code, as_json.stdout, as_json.stderr) == (0, "[]\n", "")
    text = invoke(*command.split(), cwd=repo.path)
    assert text.exit_code == 0
    assert text.stdout.startswith("No runs yet.")
    assert not (repo.path / ".git" / "maingate").exists()


def test_c_chooses_the_repository_like_git(invoke: Invoke, repo: GitRepo, tmp_path: Path) -> None:
    """`-C DIR` runs as if started there."""
    repo.commit({"a": "1"})
    result = invoke("-C", repo.path, "status", cwd=tmp_path)
    assert str(repo.path) in result.stderr.replace("\n  ", "")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UsageError("do it otherwise"), 2, "maingate: do it otherwise"),
        (DatabaseError("the disk is full"), 4, "maingate: the disk is full"),
        (
            OSError(28, "No space left on device"),
            4,
            "maingate: system error: [Errno 28] No space left",
        ),
        (KeyboardInterrupt(), 3, "maingate: interrupted"),
        (KeyError("x"), 5, "maingate: this is a bug in Maingate: KeyError: 'x'."),
    ],
)
def test_errors_end_as_one_paragraph_and_a_code(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No error shows a traceback; what cannot be expected says that it is a bug and how to see more."""
    assert ended(raising(error), Invocation()) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(says)
    assert "Traceback" not in shown.err
    assert ("--debug" in shown.err) == (code == 5)


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """`--debug` keeps the paragraph and the code and adds where it came from."""
    assert ended(raising(UsageError("no")), Invocation(is_debug=True)) == 2
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "maingate: no\n" in shown


def test_debug_is_a_global_option(invoke: Invoke, tmp_path: Path) -> None:
    """It comes before the command."""
    assert "Traceback" in invoke("--debug", "status", cwd=tmp_path).stderr


def test_a_terminal_that_knows_only_ascii_is_no_error(played: Played, hermetic_environment: Path) -> None:
    """What cannot be encoded is shown as an escape."""
    done = maingate_bytes(
        "audit",
        "verify",
        cwd=played.stage.repository,
        home=hermetic_environment,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"\\u2714 The record is intact")


def test_a_closed_pipe_is_quiet(hermetic_environment: Path) -> None:
    """A reader that has seen enough is neither an error nor a traceback."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = maingate_bytes(
            "machines", "--json", cwd=hermetic_environment, home=hermetic_environment, stdout=write
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["status", "--all"]], ids=" ".join)
def test_a_reader_that_left_is_no_refusal(
    played: Played, hermetic_environment: Path, command: list[str]
) -> None:
    """Exit code 1 would say that something was refused."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = maingate_bytes(*command, cwd=played.stage.repository, home=hermetic_environment, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_closed_standard_output_is_no_bug(played: Played, hermetic_environment: Path) -> None:
    """Nobody wants to read it, which is no error; no file takes the place of what is closed."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m maingate status --all >&-', sys.executable],
        cwd=played.stage.repository,
        env=a_clean_environment(hermetic_environment),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_before_the_commands_are_loaded_is_one_line(hermetic_environment: Path) -> None:
    """Ctrl-C during start-up is an interruption like any other: no traceback, exit code 3."""
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *others):\n"
        "        if name == 'maingate.cli.command_tree': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from maingate.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=hermetic_environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "maingate: interrupted\n")


def test_a_full_disk_on_standard_output_is_an_outside_fault(hermetic_environment: Path) -> None:
    """What could not be written is not claimed to be done."""
    with Path("/dev/full").open("wb") as full:
        done = maingate_bytes(
            "machines", "--json", cwd=hermetic_environment, home=hermetic_environment, stdout=full
        )
    assert done.returncode == 4
    assert b"standard output could not be written: No space left" in done.stderr


def test_a_folder_that_is_gone_is_told_of(hermetic_environment: Path) -> None:
    """Started in a folder that was removed, as by a branch that was switched, a command says so."""
    code = (
        "import os\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "from maingate.cli.main import main\n"
        "main()\n"
    )
    command = [sys.executable, "-P", "-c", code, "status"]  # -P: nor looks the installed command there
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=hermetic_environment)
    said = "maingate: the working directory no longer exists; `cd` to a folder that exists\n"
    assert (done.returncode, done.stdout, done.stderr) == (4, "", said)


def raising(error: BaseException) -> Callable[[], None]:
    """Arrange a command that fails."""

    def call() -> None:
        raise error

    return call
