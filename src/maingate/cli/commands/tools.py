"""``maingate tools``: list the tools that can run here, and try one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.completion import either, fixed_words, record_words
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.tables import print_indented, print_table, table
from maingate.cli.text import duration, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maingate.plan.definitions import ToolDefinition
    from maingate.services.tool_trial import Trial
    from maingate.settings import Settings

app = typer.Typer(help="List tools, and try one.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PlanFile = Annotated[
    Path | None, typer.Option("--plan", metavar="FILE", help="A plan whose tools are included.")
]

_VERSION_TIMEOUT = 10.0
"""Seconds that a preset's version command may take."""


@app.command("list")
def list_tools(plan: PlanFile = None, as_json: AsJson = False) -> None:
    """List the presets and a plan's own tools, with the installed version of each."""
    from maingate.tools.presets import PRESETS

    tools, settings, root = _tools_of(plan)
    rows = [_row(name, tool, settings, root) for name, tool in tools.items()]
    if as_json:
        print_json(rows)
        return
    out = console()
    grid = table("tool", "program", "installed", "version", wide="version")
    for row in rows:
        is_there = {True: "yes", False: "no", None: "?"}[row["installed"]]
        grid.add_row(safe(row["name"]), safe(row["program"] or ""), is_there, safe(row["version"] or ""))
    print_table(out, grid)
    if not any(row["installed"] for row in rows if row["name"] in PRESETS):
        out.print("No preset is installed. Any command can be a tool: give a plan's tool `run`.")


@app.command("test")
def try_out(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A preset or a tool of the plan.",
            autocompletion=either(fixed_words("maingate.tools.presets", "PRESETS"), record_words("TOOL")),
        ),
    ],
    plan: PlanFile = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="The time limit, such as 90s or 5m.")
    ] = "5m",
    as_json: AsJson = False,
) -> None:
    """Run a tool once on a small new repository, and show what it changed and what it cost.

    Nothing is landed. An agent's provider may charge for it.
    """
    from maingate.services.tool_trial import try_tool
    from maingate.settings.problems import did_you_mean
    from maingate.tools.secrets import missing

    tools, settings, root = _tools_of(plan)
    tool = tools.get(name)
    if tool is None:
        hint = did_you_mean(name, tools) or "`maingate tools list` lists them"
        raise UsageError(f"unknown tool {name!r}; {hint}")
    if absent := missing(tool, _environ()):
        raise UsageError(
            f"the tool {name!r} needs {', '.join(absent)} in the environment; set it and try again"
        )
    row = _row(name, tool, settings, root)
    if row["installed"] is False:
        hint = (
            "install it on PATH, or write its command with `run` as a tool of a plan"
            if tool.preset
            else "install it, or name its path in `run`"
        )
        raise UsageError(f"{row['program']!r} was not found; {hint}")
    trial = try_tool(name, tool, settings=settings, timeout=_seconds(timeout))
    if as_json:
        print_json(trial.as_json())
    else:
        _show(trial)
    if trial.problem:
        raise typer.Exit(ExitCode.REFUSED)


def _seconds(text: str) -> float:
    from pydantic_core import PydanticCustomError

    from maingate.settings.durations import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except PydanticCustomError as error:
        raise UsageError(f"--timeout: {error.message()}") from error


def _tools_of(plan: Path | None) -> "tuple[Mapping[str, ToolDefinition], Settings, Path | None]":
    """Return the plan's tools and the presets that they do not override, the settings, and the repository."""
    from maingate.plan.definitions import ToolDefinition
    from maingate.plan.repository_search import enclosing_root
    from maingate.settings import load_settings
    from maingate.tools.presets import PRESETS

    presets: dict[str, ToolDefinition] = {name: ToolDefinition(preset=name) for name in PRESETS}
    if plan is None:
        root = enclosing_root([Path.cwd()])
        return presets, load_settings(root, _environ()), root
    from maingate.services.runs.plan_loading import load_plan

    loaded = load_plan(plan)
    own = loaded.plan.tools
    others = {name: tool for name, tool in presets.items() if name not in own}
    return {**own, **others}, loaded.settings, loaded.root


def _row(name: str, tool: "ToolDefinition", settings: "Settings", root: Path | None) -> dict[str, Any]:
    """Return the row of a tool; only presets have a version command."""
    import shutil

    from maingate.plan.checks.program_search import is_found, program_of
    from maingate.tools.presets import PRESETS
    from maingate.uet.process.environment import allowed_environment

    environ = {**allowed_environment(_environ(), settings.env_allow), **tool.env}
    program = PRESETS[tool.preset].words[0] if tool.preset else program_of(tool.run or ())
    installed = None if program is None else is_found(program, root=root, environ=environ)
    path = shutil.which(program, path=environ.get("PATH")) if program and "/" not in program else program
    is_asked = tool.preset is not None and path is not None
    return {
        "name": name,
        "preset": tool.preset,
        "program": program,
        "installed": installed,
        "path": path if installed else None,
        "version": _version(str(path), environ) if is_asked and installed else None,
        "secrets": list(tool.secrets),
        "traps": list(PRESETS[tool.preset].traps) if tool.preset else [],
    }


def _version(program: str, environ: "Mapping[str, str]") -> str | None:
    import subprocess

    try:
        done = subprocess.run(
            [program, "--version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:80] if done.returncode == 0 and lines else None


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)


def _show(trial: "Trial") -> None:
    out = console()
    command = trial.command if isinstance(trial.command, str) else " ".join(trial.command)
    report, outcome = trial.report, trial.outcome
    out.print(f"{safe(trial.name)}: {safe(command)}")
    facts = [
        "was stopped before it ended" if outcome.exit_code is None else f"exited with {outcome.exit_code}",
        f"after {duration(outcome.seconds)}",
        "cost unknown" if report.cost_usd is None else f"cost ${report.cost_usd:.4f}",
    ]
    if report.tokens_in is not None or report.tokens_out is not None:
        facts.append(f"{report.tokens_in or 0} tokens read, {report.tokens_out or 0} written")
    if outcome.leftovers_killed:
        facts.append(f"{outcome.leftovers_killed} processes left behind were ended")
    out.print(f"  {', '.join(facts)}")
    if trial.diff:
        out.print("what it changed:")
        print_indented(out, safe(trial.diff, keep_newlines=True))
    if trial.problem:
        out.print(f"a task would get no patch: {safe(trial.problem)}")
        if trial.output.strip():
            out.print("the end of what it printed:")
            print_indented(out, safe(trial.output, keep_newlines=True))
    else:
        out.print("works: a task would get this patch")
