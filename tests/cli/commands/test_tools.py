"""`maingate tools` tells which tools can be run here, and what comes of one when it is tried."""

import json
import os
from pathlib import Path

import pytest

from maingate.tools.presets import PRESETS
from support.agents import RATE_LIMITED, Agent
from support.command_line import Invoke

CORRECTED = "sed -i s/helo/hello/ greeting.txt"

PLAN = """\
maingate: 1
tools:
  mine: {run: [./fix.sh, "{prompt_file}"], secrets: [MY_KEY]}
  claude: {preset: claude, max_cost_usd: 1.5, model: opus}
workstreams: {w: {tasks: {t: {noop: true}}}}
"""


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder on a PATH that has git and a shell, and none of the agents."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/local/bin{os.pathsep}/usr/bin{os.pathsep}/bin")
    return folder


def test_what_is_installed_is_listed(invoke: Invoke, bin_folder: Path) -> None:
    """Each preset with whether its program is there, and the version it tells."""
    Agent.good("claude").install(bin_folder)

    rows = {row["name"]: row for row in json.loads(invoke("tools", "list", "--json").stdout)}

    assert list(rows) == list(PRESETS)
    assert (rows["claude"]["installed"], rows["claude"]["version"]) == (True, "claude 1.2.3")
    assert rows["claude"]["path"] == str(bin_folder / "claude")
    assert (rows["codex"]["installed"], rows["codex"]["version"]) == (False, None)
    shown = invoke("tools", "list").stdout
    assert "claude 1.2.3" in shown
    assert "opencode" in shown


def test_where_nothing_is_installed_that_is_said(invoke: Invoke, bin_folder: Path) -> None:
    """Any command can be a tool."""
    assert bin_folder.is_dir()
    assert "No preset is installed." in invoke("tools", "list").stdout


def test_a_plans_tools_are_listed_too_and_not_run(invoke: Invoke, bin_folder: Path, tmp_path: Path) -> None:
    """Nobody knows what a command of the plan does when it is asked for its version."""
    (tmp_path / "plan.yaml").write_text(PLAN)
    fix = tmp_path / "fix.sh"
    fix.write_text(f"#!/bin/sh\ntouch {bin_folder}/was-run\n")
    fix.chmod(0o755)

    rows = json.loads(invoke("tools", "list", "--plan", "plan.yaml", "--json").stdout)

    assert [row["name"] for row in rows] == ["mine", *PRESETS]
    assert rows[0]["version"] is None
    assert rows[0]["secrets"] == ["MY_KEY"]
    assert not (bin_folder / "was-run").exists()


def test_a_tool_that_works_is_told_so(invoke: Invoke, bin_folder: Path) -> None:
    """What it changed and what it cost; it sees what a worker sees of the environment."""
    does = f'{CORRECTED}; test -z "$NOT_ALLOWED" || exit 9'
    Agent.good("claude", does=does).install(bin_folder)

    done = invoke("tools", "test", "claude", env={"NOT_ALLOWED": "x"})

    assert done.exit_code == 0, done.output
    assert "exited with 0" in done.stdout
    assert "cost $0.2500, 1000 tokens read, 200 written" in done.stdout.replace("1,000", "1000")
    assert "+hello, world" in done.stdout
    assert "works: a task would get this patch" in done.stdout
    assert os.environ["PATH"].startswith(str(bin_folder))


def test_a_tool_that_changes_nothing_is_told_so(invoke: Invoke, bin_folder: Path) -> None:
    """Whatever it says of itself; the exit code is 1."""
    Agent.good("codex", does="true").install(bin_folder)

    done = invoke("tools", "test", "codex", "--json")

    said = json.loads(done.stdout)
    assert (done.exit_code, said["ok"], said["problem"]) == (1, False, "it changed nothing")
    assert said["command"][:2] == ["codex", "exec"]


def test_a_tool_that_is_refused_by_its_provider_is_told_so(invoke: Invoke, bin_folder: Path) -> None:
    """With what it printed."""
    code, prints = RATE_LIMITED["aider"]
    Agent(name="aider", prints=prints, code=code).install(bin_folder)

    done = invoke("tools", "test", "aider")

    assert done.exit_code == 1
    assert "a task would get no patch: litellm.RateLimitError" in done.stdout


def test_a_tool_that_hangs_is_ended(invoke: Invoke, bin_folder: Path) -> None:
    """After the time that it was given."""
    Agent.good("gemini", does="sleep 300").install(bin_folder)

    said = json.loads(invoke("tools", "test", "gemini", "--timeout", "1s", "--json").stdout)

    assert said["timed_out"] == "wall"
    assert said["ok"] is False


def test_a_plans_tool_is_tried_with_its_secret(invoke: Invoke, bin_folder: Path, tmp_path: Path) -> None:
    """It sees the secret, and nobody is shown it."""
    program = bin_folder / "fixer"
    program.write_text(f"#!/bin/sh\ntest ${{#MY_KEY}} = 15 || exit 3\necho key $MY_KEY\n{CORRECTED}\n")
    program.chmod(0o755)
    (tmp_path / "plan.yaml").write_text(PLAN.replace("./fix.sh", "fixer"))

    done = invoke("tools", "test", "mine", "--plan", "plan.yaml", "--json", env={"MY_KEY": "hunter2-hunter2"})

    said = json.loads(done.stdout)
    assert (done.exit_code, said["ok"]) == (0, True)
    assert said["output"] == "key [redacted]\n"
    assert "hunter2" not in done.output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["cloude"], "unknown tool 'cloude'; did you mean 'claude'?"),
        (["opencode"], "'opencode' was not found; install it on PATH, or write its command with `run`"),
        (["mine", "--plan", "plan.yaml"], "needs MY_KEY in the environment"),
        (["claude", "--timeout", "soon"], "--timeout: "),
    ],
)
def test_what_cannot_be_tried_is_told(
    invoke: Invoke, bin_folder: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    """One paragraph, exit code 2, nothing run."""
    Agent.good("claude").install(bin_folder)
    (tmp_path / "plan.yaml").write_text(PLAN)

    done = invoke("tools", "test", *args)

    assert done.exit_code == 2
    assert said in done.output
    assert not (bin_folder / "claude.args").exists()
