"""``headgate plan``: check a plan, show the format's JSON Schema, and make plans from other tools' files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.output import count, print_json, safe
from headgate.errors import ProblemsError, UsageError

if TYPE_CHECKING:
    from headgate.plan.importers.series import ImportedPlan
    from headgate.plan.loader import LoadedPlan
    from headgate.plan.model import WorkstreamPlan

app = typer.Typer(help="Check, describe and import plans.", no_args_is_help=True)
import_app = typer.Typer(help="Make a plan from other tools' files.", no_args_is_help=True)
app.add_typer(import_app, name="import")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The plan, YAML or JSON.")],
    as_json: AsJson = False,
) -> None:
    """Tell everything that is wrong with a plan, or what it will do."""
    from headgate.plan.loader import load_plan

    try:
        loaded = load_plan(file)
    except ProblemsError as error:
        if not as_json:
            raise
        print_json({"ok": False, "file": str(file), "problems": _problems(error)})
        raise typer.Exit(2) from error
    if as_json:
        print_json({"ok": True, "file": str(file), "problems": [], "plan": _summary(loaded)})
    else:
        print("\n".join(_lines(loaded)))


@app.command()
def schema(
    *, _as_json: Annotated[bool, typer.Option("--json", help="The same: a schema is JSON anyway.")] = False
) -> None:
    """Print the JSON Schema of plan files."""
    from headgate.plan.schema import plan_schema

    print_json(plan_schema())


@import_app.command()
def series(
    source: Annotated[
        str, typer.Argument(help="A mailbox, a folder of patches, a quilt series, or a git range A..B.")
    ],
    *,
    out: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The plan to write; patches go beside it.")
    ] = Path("plan.yaml"),
    repo: Annotated[
        Path, typer.Option(metavar="PATH", help="The repository that a git range is of.")
    ] = Path(),
    name: Annotated[str | None, typer.Option(help="The plan's name.", show_default="the source's")] = None,
    target: Annotated[str | None, typer.Option(help="The branch to land on.")] = None,
    landing: Annotated[
        str | None, typer.Option(metavar="merge|squash|rebase", help="The landing style.")
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option(metavar="NAME=COMMAND", help="A gate; can be given several times.")
    ] = None,
    gate_last: Annotated[
        int | None, typer.Option(metavar="N", help="Run the gates on the last N tasks only.")
    ] = None,
    workstream_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Tasks per workstream; each workstream needs the one before."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a plan from a series of patches, in its order.

    Of a git range, first parents are taken, oldest first; a merge is what it changed on its branch.
    """
    from headgate.plan.importers.series import ImportOptions, import_series
    from headgate.plan.model import Landing

    if landing is not None and landing not in list(Landing):
        raise UsageError(f"{landing!r} is no landing style; --landing is merge, squash or rebase")
    options = ImportOptions(
        name=name,
        target=target,
        landing=None if landing is None else Landing(landing),
        gates=_gates(gate or []),
        gate_last=gate_last,
        workstream_size=workstream_size,
    )
    _tell(import_series(source, out=out, repo=repo, options=options), as_json=as_json)


def _gates(given: list[str]) -> dict[str, str]:
    gates: dict[str, str] = {}
    for text in given:
        name, equals, command = text.partition("=")
        if not name or not equals or not command.strip():
            raise UsageError(f"{text!r} is no gate; write --gate NAME=COMMAND")
        if name in gates:
            raise UsageError(f"the gate {name!r} is given twice")
        gates[name] = command
    return gates


def _tell(made: "ImportedPlan", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "file": str(made.path),
                "patches": str(made.patches),
                "tasks": made.tasks,
                "workstreams": made.workstreams,
                "skipped": list(made.skipped),
                "notes": list(made.notes),
            }
        )
        return
    print(f"wrote {made.path}: {count(made.workstreams, 'workstream')}, {count(made.tasks, 'task')}")
    for line in made.skipped:
        print(f"  left out, it changes nothing: {safe(line)}")
    for line in made.notes:
        print(f"  note: {line}")
    print(f"next: headgate plan check {made.path}")


def _problems(error: ProblemsError) -> list[dict[str, Any]]:
    return [
        {"file": problem.file, "line": problem.line, "message": problem.message, "hint": problem.hint}
        for problem in error.problems
    ]


def _summary(loaded: "LoadedPlan") -> dict[str, Any]:
    plan = loaded.plan
    return {
        "name": plan.name,
        "target": plan.target,
        "landing": str(plan.landing),
        "gates": list(plan.gates),
        "workstreams": [
            {
                "name": name,
                "needs": list(plan.workstreams[name].needs),
                "gates": plan.landing_gates(name),
                "tasks": [
                    {
                        "name": task,
                        "kind": str(workstream.tasks[task].kind),
                        "gates": plan.task_gates(name, task),
                    }
                    for task in workstream.task_order()
                ],
            }
            for name, workstream in _in_order(loaded)
        ],
    }


def _lines(loaded: "LoadedPlan") -> list[str]:
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
        f"ok: {loaded.path}: {safe(plan.name)}",
        f"  {', '.join(counts)}; lands on {safe(where)} ({plan.landing})",
    ]
    if loaded.root is None:
        lines.append("  no repository is around the plan or here: name it with `repo`, or go there to run it")
    for number, (name, workstream) in enumerate(_in_order(loaded), start=1):
        needs = f", after {', '.join(workstream.needs)}" if workstream.needs else ""
        gates = ", ".join(plan.landing_gates(name)) or "none"
        lines.append(
            f"  {number}. {name}: {count(len(workstream.tasks), 'task')}{needs}; gates to land: {gates}"
        )
    return lines


def _in_order(loaded: "LoadedPlan") -> list[tuple[str, "WorkstreamPlan"]]:
    return [(name, loaded.plan.workstreams[name]) for name in loaded.plan.workstream_order()]
