"""Options and results that the commands of ``maingate plan import`` share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maingate.cli.output import print_json
from maingate.cli.text import count, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from maingate.importers.plan_files import ImportedPlan
    from maingate.importers.swebench.plans import ImportedPlans
    from maingate.importers.task_lists.tool_plans import ToolPlanOptions
    from maingate.plan.choices import LandingStyle

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="The name of the plan.", show_default="the source's")
]
Target = Annotated[str | None, typer.Option(metavar="BRANCH", help="The branch to land on.")]
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
    typer.Option(
        metavar="serial|allow", help="serial: tools run one after the other; default: side by side."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse entries and dependencies that lead nowhere.")]
Model = Annotated[str | None, typer.Option(metavar="NAME", help="The model whose predictions to import.")]


def list_options(
    *,
    tool: str,
    name: str | None,
    target: str | None,
    landing: str | None,
    gate: list[str] | None,
    overlap: str | None,
    strict: bool,
) -> "ToolPlanOptions":
    """Return the options of a plan of tool-made patches.

    Raises:
        UsageError: An option is invalid.
    """
    from maingate.importers.task_lists.tool_plans import ToolPlanOptions
    from maingate.plan.choices import Overlap

    named = named_target(target, Path())
    if overlap is not None and overlap not in list(Overlap):
        raise UsageError(f"invalid --overlap {overlap!r}: choose serial or allow")
    return ToolPlanOptions(
        tool=tool,
        name=name,
        target=named.name,
        notes=named.notes,
        landing=landing_style(landing),
        gates=gates_of(gate or []),
        overlap=None if overlap is None else Overlap(overlap),
        is_strict=strict,
    )


@dataclass(frozen=True)
class NamedTarget:
    """The target that a plan names.

    Args:
        name: The branch; None for the one that is checked out where the plan is run.
        notes: Notes about it for the user.
    """

    name: str | None
    notes: tuple[str, ...] = ()


def named_target(target: str | None, repo: Path, source: str = "") -> NamedTarget:
    """Return the target of the option, or of the repository (`maingate.importers.default_target`)."""
    from maingate.importers.default_target import default_target

    if target is not None:
        return NamedTarget(target)
    name, note = default_target(repo, source)
    return NamedTarget(name, (note,) if note else ())


def landing_style(landing: str | None) -> "LandingStyle | None":
    """Return the landing style of an option; raise for an unknown one."""
    from maingate.plan.choices import LandingStyle

    if landing is not None and landing not in list(LandingStyle):
        raise UsageError(f"invalid --landing {landing!r}: choose merge, squash or rebase")
    return None if landing is None else LandingStyle(landing)


def gates_of(given: list[str]) -> dict[str, str]:
    """Return gates by name, from ``NAME=COMMAND``; raise for an invalid or repeated one."""
    gates: dict[str, str] = {}
    for text in given:
        name, equals, command = text.partition("=")
        if not name or not equals or not command.strip():
            raise UsageError(f"invalid --gate {text!r}: write NAME=COMMAND")
        if name in gates:
            raise UsageError(f"--gate {name!r} is given twice")
        gates[name] = command
    return gates


def print_plan(made: "ImportedPlan", *, as_json: bool, why: str = "") -> None:
    """Print the result of an import of one plan."""
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
    _print_remarks(made, why=why, check=made.path)


def print_plans(made: "ImportedPlans", *, as_json: bool) -> None:
    """Print the result of an import of several plans."""
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
    _print_remarks(made, why="", check=made.plans[0])


def _print_remarks(made: "ImportedPlan | ImportedPlans", *, why: str, check: Path) -> None:
    for line in made.skipped:
        print(f"  left out{why}: {safe(line)}")
    for line in made.notes:
        print(f"  note: {safe(line)}")
    print(f"next: maingate plan check {check}")
