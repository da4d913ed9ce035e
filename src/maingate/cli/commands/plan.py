"""``maingate plan``: check and simulate a plan, print the format's JSON Schema, and import plans."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.commands.plan_import import app as import_app
from maingate.cli.commands.run import MOST_WORKERS, NoGate
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.text import count, safe
from maingate.cli.views.plan_warnings import print_notes
from maingate.errors import ProblemsError
from maingate.wording import first_lines, listed

if TYPE_CHECKING:
    from maingate.monitoring.recorded_work import RecordedWork
    from maingate.plan.loader import LoadedPlan
    from maingate.plan.model import Plan

app = typer.Typer(help="Check, describe, simulate and import plans.", no_args_is_help=True)
app.add_typer(import_app, name="import")

_SHOWN = 10
"""Maximum listed pairs of tasks that run one after the other."""

_NAMES = 5
"""Maximum needs or gates on a line."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The plan, YAML or JSON.")],
    no_gate: NoGate = False,
    as_json: AsJson = False,
) -> None:
    """Check a plan: list all its problems at once, or describe the run that it defines.

    Its ready patches are tried on the target, and with one another where they change the same files.

    Exit codes: 0 the plan is valid; 1 it is, but a workstream could not land on the target as that is now;
    2 the plan has problems.
    """
    from maingate.cli.views.trial import trial_lines
    from maingate.queries.runs.plan_summary import plan_summary
    from maingate.services.runs.conflict_trial import tried_plan
    from maingate.services.runs.plan_loading import load_plan
    from maingate.services.runs.plan_notes import notes_on_plan

    try:
        loaded = load_plan(file)
    except ProblemsError as error:
        if not as_json:
            raise
        print_json({"ok": False, "file": str(file), "problems": _problems(error)})
        raise typer.Exit(2) from error
    trial = tried_plan(loaded)
    is_ok = trial is None or trial.is_ok
    tried = None if trial is None else trial.as_json()
    notes = notes_on_plan(loaded)
    if as_json:
        summary = plan_summary(loaded, notes)
        print_json({"ok": is_ok, "file": str(file), "problems": [], "plan": summary, "trial": tried})
    else:
        print("\n".join([*_lines(loaded, is_ok=is_ok), *(trial_lines(tried) if tried else ())]))
    if not as_json:
        print_notes(notes, no_gate=no_gate)
    if not is_ok:
        raise typer.Exit(ExitCode.REFUSED)


@app.command()
def schema(
    *,
    _as_json: Annotated[
        bool, typer.Option("--json", help="Has no effect: the schema is JSON anyway.")
    ] = False,
) -> None:
    """Print the JSON Schema of plan files."""
    from maingate.plan.writers.json_schema import plan_schema

    print_json(plan_schema())


@app.command()
def simulate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The plan, YAML or JSON.")],
    workers: Annotated[
        list[int] | None,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            max=MOST_WORKERS,
            metavar="N",
            help="How many tasks and gates run at once; repeatable. [default: 1, 2, 4, 8 and the setting]",
        ),
    ] = None,
    failure_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, metavar="P", help="Share of workstreams that fail. [default: as on record]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of failures and times.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate the time and the runs of gates of a plan, for several numbers of workers; nothing runs.

    Times and failures are taken from the record, or assumed where it has none. Runs use the train, which
    proves several workstreams together; one at a time is shown beside it.

    Exit codes: 0 the plan was simulated, 2 it has problems.
    """
    from maingate.cli.views.simulation import print_simulation
    from maingate.queries.plan_simulation import simulation
    from maingate.services.runs.plan_loading import load_plan

    loaded = load_plan(file)
    told = simulation(loaded, _recorded(loaded), workers=workers or (), failure_rate=failure_rate, seed=seed)
    if as_json:
        print_json({"file": str(file), **told})
    else:
        print_simulation(console(), str(file), told)


def _recorded(loaded: "LoadedPlan") -> "RecordedWork":
    """Return the work on record in the repository of a plan; none where there is no record yet."""
    from maingate.bootstrap import Maingate
    from maingate.errors import NoStateError
    from maingate.monitoring.recorded_work import RecordedWork, recorded_work

    if loaded.root is None:
        return RecordedWork()
    try:
        with Maingate.open(loaded.root, create=False) as maingate:
            return recorded_work(maingate.context)
    except NoStateError:
        return RecordedWork()


def _problems(error: ProblemsError) -> list[dict[str, Any]]:
    return [
        {"file": problem.file, "line": problem.line, "message": problem.message, "hint": problem.hint}
        for problem in error.problems
    ]


def _lines(loaded: "LoadedPlan", *, is_ok: bool) -> list[str]:
    from maingate.queries.runs.plan_summary import in_order, notes_about

    plan = loaded.plan
    tasks = sum(len(workstream.tasks) for workstream in plan.workstreams.values())
    counts = (
        count(len(plan.workstreams), "workstream"),
        count(tasks, "task"),
        count(len(plan.gates), "gate"),
        count(len(plan.tools), "tool"),
    )
    where = plan.target or "the branch checked out"
    lines = [
        f"{'ok' if is_ok else 'valid, but not all of it could land'}: {loaded.path}: {safe(plan.name)}",
        f"  {', '.join(counts)}; lands on {safe(where)} ({plan.landing})",
    ]
    if loaded.root is None:
        lines.append("  no git repository around the plan or here: set `repo`, or run it from inside one")
    streams: list[str] = []
    for number, (name, workstream) in enumerate(in_order(loaded), start=1):
        needs = f", after {listed(workstream.needs, _NAMES)}" if workstream.needs else ""
        gates = listed(plan.landing_gates(name), _NAMES) or "none"
        streams.append(
            f"  {number}. {name}: {count(len(workstream.tasks), 'task')}{needs}; gates to land: {gates}"
        )
    lines += first_lines(streams, rest=" workstreams; --json lists them all")
    return [*lines, *(f"  {note}" for note in notes_about(plan)), *_serial(plan)]


def _serial(plan: "Plan") -> list[str]:
    """Return lines about tasks that run one after the other because their scopes overlap."""
    from maingate.plan.paths.overlapping_scopes import overlapping

    pairs = overlapping(plan)
    if not pairs:
        return []
    first = (f"    {'/'.join(one)} and {'/'.join(other)}" for one, other in islice(pairs, _SHOWN))
    more = len(pairs) - _SHOWN
    shown = [*first, *([f"    and {more} more"] if more > 0 else [])]
    return [
        "  one after the other, as their scopes overlap (`scope`, `overlap: allow`):",
        *shown,
    ]
