"""The check of the programs that plans name: those of the tools and gates of runs that have not ended."""

import os
from collections.abc import Iterator

from maingate.db.dao import runs
from maingate.db.dao.runs import RunRow
from maingate.monitoring.finding import SHOWN, CheckFinding, Trouble, command_in
from maingate.plan.checks.program_search import is_found, program_of
from maingate.plan.model import Plan
from maingate.repository_context import RepositoryContext
from maingate.tools.presets import PRESETS
from maingate.uet.process.environment import allowed_environment
from maingate.wording import short


def check_programs(context: RepositoryContext) -> CheckFinding:
    """Check that the programs of tools and gates are there, as a worker would look for them."""
    environment = allowed_environment(os.environ, context.settings.env_allow)
    root = None if context.repository.is_bare else context.repository.root
    with context.database.read() as conn:
        waiting = [run for run in runs.unfinished(conn) if context.is_own(run)]
    named = {program: user for run in waiting for user, program in _programs_of(run)}
    missing = {
        program: user
        for program, user in named.items()
        if not is_found(program, root=root, environ=environment)
    }
    presets = {
        str(name): is_found(one.words[0], root=None, environ=os.environ) for name, one in PRESETS.items()
    }
    command = command_in(context.repository.root, "tools", "list")
    return CheckFinding(
        summary="the programs of runs that have not ended are there",
        troubles=[
            Trouble(
                reason=f"{user} needs {short(program)}, which is not on PATH; install it", command=command
            )
            for program, user in list(missing.items())[:SHOWN]
        ],
        detail={"programs": sorted(named), "missing": sorted(missing), "presets": presets},
    )


def _programs_of(run: RunRow) -> Iterator[tuple[str, str]]:
    """Return each program that the plan of a run names, with its user for people."""
    plan = Plan.from_json(run.plan)
    for name, tool in plan.tools.items():
        program = PRESETS[tool.preset].words[0] if tool.preset is not None else program_of(tool.run or "true")
        if program is not None:
            yield f"tool {short(name)} of run {run.id}", program
    for name, gate in plan.gates.items():
        if (program := program_of(gate.run)) is not None:
            yield f"gate {short(name)} of run {run.id}", program
