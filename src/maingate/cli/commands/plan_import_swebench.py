"""``maingate plan import swebench``: plans that judge predictions, and the result JSON."""

from pathlib import Path
from typing import Annotated

import typer

from maingate.cli.commands.plan_import_options import (
    AsJson,
    Gates,
    Model,
    Target,
    gates_of,
    print_plans,
)
from maingate.cli.output import print_json
from maingate.cli.text import safe
from maingate.errors import UsageError


def swebench(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="Predictions: JSON Lines, a JSON list, or a mapping by instance."
        ),
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
    from maingate.importers.swebench.options import SwebenchOptions
    from maingate.importers.swebench.plans import import_swebench

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
        gates=gates_of(gate or []),
    )
    print_plans(import_swebench(source, out=out, options=options), as_json=as_json)


def _results(
    runs: list[Path],
    *,
    source: Path | None,
    instances: Path | None,
    model: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from maingate.importers.swebench.results import write_results

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
