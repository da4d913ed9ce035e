"""``maingate plan import``: make plans from other tools' files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maingate.cli.output import print_json
from maingate.cli.text import count, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from maingate.importers.swebench_plans import ImportedPlans
    from maingate.importers.tool_plans import ToolPlanOptions
    from maingate.importers.writing import ImportedPlan
    from maingate.plan.choices import LandingStyle

app = typer.Typer(help="Make a plan from other tools' files.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[str | None, typer.Option(help="The name of the plan.", show_default="the source's")]
Target = Annotated[str | None, typer.Option(help="The branch to land on.")]
Style = Annotated[str | None, typer.Option(metavar="merge|squash|rebase", help="The landing style.")]
Gates = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=COMMAND", help="A gate; can be given several times."),
]
Out = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The plan to write.")]
Tool = Annotated[
    str,
    typer.Option(
        metavar="PRESET|NAME=COMMAND",
        help="The tool that makes the patches; {prompt_file} is replaced.",
    ),
]
Side = Annotated[
    str | None,
    typer.Option(metavar="serial|allow", help="Whether tools run in parallel although no task has a scope."),
]
Model = Annotated[str | None, typer.Option(help="The model whose predictions to import.")]


@app.command()
def series(
    source: Annotated[
        str, typer.Argument(help="A mailbox, a folder of patches, a quilt series, or a git range A..B.")
    ],
    *,
    out: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The plan to write; its patches go beside it."),
    ] = Path("plan.yaml"),
    repo: Annotated[Path, typer.Option(metavar="PATH", help="The repository of a git range.")] = Path(),
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
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

    A git range is imported along first parents, oldest first; a merge becomes one patch.
    """
    from maingate.importers.series import ImportOptions, import_series

    options = ImportOptions(
        name=name,
        target=target,
        landing=_style(landing),
        gates=_gates(gate or []),
        gate_last=gate_last,
        workstream_size=workstream_size,
    )
    made = import_series(source, out=out, repo=repo, options=options)
    _tell(made, as_json=as_json, why=" (no changes)")


@app.command()
def taskmaster(
    source: Annotated[Path, typer.Argument(help="Task Master's tasks.json, tagged or legacy.")],
    *,
    tag: Annotated[
        str | None, typer.Option(help="The list of tasks to import.", show_default="master, or the only one")
    ] = None,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open tasks of a tasks.json.

    Done and cancelled tasks are left out, and no task waits for them.
    """
    from maingate.importers.taskmaster import import_taskmaster

    options = _options(tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap)
    _tell(import_taskmaster(source, out=out, tag=tag, options=options), as_json=as_json)


@app.command()
def beads(
    source: Annotated[Path, typer.Argument(help="A Beads export: issues.jsonl.")],
    *,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open issues of a Beads export.

    blocks, conditional-blocks and waits-for make an issue wait for another.
    """
    from maingate.importers.beads import import_beads

    options = _options(tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap)
    _tell(import_beads(source, out=out, options=options), as_json=as_json)


@app.command()
def prd(
    source: Annotated[Path, typer.Argument(help="A prd.json with userStories.")],
    *,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open user stories of a prd.json, in order of priority."""
    from maingate.importers.prd import import_prd

    options = _options(tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap)
    _tell(import_prd(source, out=out, options=options), as_json=as_json)


@app.command()
def markdown(
    source: Annotated[Path, typer.Argument(help="A file with checkboxes, such as spec-kit's tasks.md.")],
    *,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open checkboxes of a Markdown file.

    The lines under a checkbox are its text. Numbered lists are done in order, others in any order; lines with
    spec-kit's ids follow its rules.
    """
    from maingate.importers.markdown import import_markdown

    options = _options(tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap)
    _tell(import_markdown(source, out=out, options=options), as_json=as_json)


@app.command()
def swebench(
    source: Annotated[
        Path | None, typer.Argument(help="Predictions: JSON Lines, a JSON list, or a mapping by instance.")
    ] = None,
    *,
    instances: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The instances, JSON Lines or a JSON list: one plan for each."),
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN.json",
            help="Output of `maingate run --json`, or a folder of such files: write the result JSON instead.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="The plan, the folder of plans, or the result JSON to write.",
            show_default="plan.yaml; swebench; results.json",
        ),
    ] = None,
    test_command: Annotated[
        str,
        typer.Option(metavar="COMMAND", help="The test command; {tests} is replaced by the ids."),
    ] = "python -m pytest {tests}",
    only: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Import only the instances of one repository.")
    ] = None,
    model: Model = None,
    repo: Annotated[Path | None, typer.Option(metavar="PATH", help="The repository to land in.")] = None,
    branches: Annotated[
        bool,
        typer.Option("--branches", help="Create the branches to land on in --repo."),
    ] = False,
    target: Target = None,
    gate: Gates = None,
    as_json: AsJson = False,
) -> None:
    """Make plans that judge SWE-bench predictions, or the result JSON of runs that did.

    With --instances each instance becomes a plan on a branch at its base commit: first the tests, then the
    prediction, which must pass the tests and may not change them.
    """
    from maingate.importers.swebench_plans import SwebenchOptions, import_swebench

    if results:
        _results(results, source=source, instances=instances, model=model, out=out, as_json=as_json)
        return
    if source is None:
        raise UsageError("no source: name predictions to import, or runs to report with --results RUN.json")
    options = SwebenchOptions(
        instances=instances,
        only=only,
        model=model,
        test_command=test_command,
        repo=repo,
        makes_branches=branches,
        target=target,
        gates=_gates(gate or []),
    )
    _tell_all(import_swebench(source, out=out, options=options), as_json=as_json)


def _results(
    runs: list[Path],
    *,
    source: Path | None,
    instances: Path | None,
    model: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from maingate.importers.swebench_results import write_results

    path = out or Path("results.json")
    made = write_results(runs, out=path, predictions=source, instances=instances, model=model)
    if as_json:
        print_json(made)
        return
    print(f"wrote {path}: {made['resolved_instances']} of {made['submitted_instances']} resolved")
    for status in ("unresolved", "empty_patch", "error"):
        if made[f"{status}_instances"]:
            print(f"  {status.removesuffix('_patch')}: {safe(', '.join(made[f'{status}_ids']))}")
    if made["incomplete_ids"]:
        print(f"  incomplete: {safe(', '.join(made['incomplete_ids']))}")


def _options(
    *,
    tool: str,
    name: str | None,
    target: str | None,
    landing: str | None,
    gate: list[str] | None,
    overlap: str | None,
) -> "ToolPlanOptions":
    from maingate.importers.tool_plans import ToolPlanOptions
    from maingate.plan.choices import Overlap

    if overlap is not None and overlap not in list(Overlap):
        raise UsageError(f"invalid --overlap {overlap!r}: choose serial or allow")
    return ToolPlanOptions(
        tool=tool,
        name=name,
        target=target,
        landing=_style(landing),
        gates=_gates(gate or []),
        overlap=None if overlap is None else Overlap(overlap),
    )


def _style(landing: str | None) -> "LandingStyle | None":
    from maingate.plan.choices import LandingStyle

    if landing is not None and landing not in list(LandingStyle):
        raise UsageError(f"invalid --landing {landing!r}: choose merge, squash or rebase")
    return None if landing is None else LandingStyle(landing)


def _gates(given: list[str]) -> dict[str, str]:
    gates: dict[str, str] = {}
    for text in given:
        name, equals, command = text.partition("=")
        if not name or not equals or not command.strip():
            raise UsageError(f"invalid --gate {text!r}: write NAME=COMMAND")
        if name in gates:
            raise UsageError(f"--gate {name!r} is given twice")
        gates[name] = command
    return gates


def _tell(made: "ImportedPlan", *, as_json: bool, why: str = "") -> None:
    if as_json:
        print_json(
            {
                "file": str(made.path),
                "patches": None if made.patches is None else str(made.patches),
                "tasks": made.tasks,
                "workstreams": made.workstreams,
                "skipped": list(made.skipped),
                "notes": list(made.notes),
            }
        )
        return
    print(f"wrote {made.path}: {count(made.workstreams, 'workstream')}, {count(made.tasks, 'task')}")
    for line in made.skipped:
        print(f"  left out{why}: {safe(line)}")
    for line in made.notes:
        print(f"  note: {safe(line)}")
    print(f"next: maingate plan check {made.path}")


def _tell_all(made: "ImportedPlans", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "path": str(made.path),
                "plans": [str(plan) for plan in made.plans],
                "skipped": list(made.skipped),
                "notes": list(made.notes),
            }
        )
        return
    print(f"wrote {made.path}: {count(len(made.plans), 'plan')}")
    for line in made.skipped:
        print(f"  left out: {safe(line)}")
    for line in made.notes:
        print(f"  note: {safe(line)}")
    print(f"next: maingate plan check {made.plans[0]}")
