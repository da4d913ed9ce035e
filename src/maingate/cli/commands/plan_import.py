"""``maingate plan import``: make plans from other tools' files."""

from pathlib import Path
from typing import Annotated

import typer

from maingate.cli.commands.plan_import_options import (
    AsJson,
    Gates,
    Name,
    Out,
    Side,
    Strict,
    Style,
    Target,
    Tool,
    gates_of,
    landing_style,
    list_options,
    named_target,
    print_plan,
)
from maingate.cli.commands.plan_import_swebench import swebench

app = typer.Typer(help="Make a plan from other tools' files.", no_args_is_help=True)


@app.command()
def series(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A mailbox, a folder of patches, a quilt series, or a git range A..B."
        ),
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
    scissors: Annotated[
        bool,
        typer.Option("--scissors", help="Take only the text below a scissors line (-- >8 --) of a mail."),
    ] = False,
    mboxrd: Annotated[
        bool, typer.Option("--mboxrd", help="Read '>From' in a mailbox that git wrote as 'From'.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a plan from a series of patches, in its order.

    A git range is imported along first parents, oldest first; a merge becomes one patch.
    """
    from maingate.importers.series.series import ImportOptions, MailboxOptions, import_series

    named = named_target(target, repo, source)
    options = ImportOptions(
        name=name,
        target=named.name,
        notes=named.notes,
        landing=landing_style(landing),
        gates=gates_of(gate or []),
        gate_last=gate_last,
        workstream_size=workstream_size,
    )
    mailbox = MailboxOptions(cuts_at_scissors=scissors, is_mboxrd=mboxrd)
    made = import_series(source, out=out, repo=repo, options=options, mailbox=mailbox)
    print_plan(made, as_json=as_json, why=" (no changes)")


@app.command()
def taskmaster(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Task Master's tasks.json, tagged or legacy.")
    ],
    *,
    tag: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The list of tasks to import.", show_default="master, or the only one"
        ),
    ] = None,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open tasks of a tasks.json.

    Done and cancelled tasks are left out, and no task waits for them.
    """
    from maingate.importers.task_lists.taskmaster import import_taskmaster

    options = list_options(
        tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap, strict=strict
    )
    print_plan(import_taskmaster(source, out=out, tag=tag, options=options), as_json=as_json)


@app.command()
def beads(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A Beads export: issues.jsonl.")],
    *,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open issues of a Beads export.

    blocks, conditional-blocks and waits-for make an issue wait for another.
    """
    from maingate.importers.task_lists.beads import import_beads

    options = list_options(
        tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap, strict=strict
    )
    print_plan(import_beads(source, out=out, options=options), as_json=as_json)


@app.command()
def prd(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A prd.json with userStories.")],
    *,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open user stories of a prd.json, in order of priority."""
    from maingate.importers.task_lists.prd import import_prd

    options = list_options(
        tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap, strict=strict
    )
    print_plan(import_prd(source, out=out, options=options), as_json=as_json)


@app.command()
def markdown(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file with checkboxes, such as spec-kit's tasks.md.")
    ],
    *,
    out: Out = Path("plan.yaml"),
    tool: Tool = "claude",
    name: Name = None,
    target: Target = None,
    landing: Style = None,
    gate: Gates = None,
    overlap: Side = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make a plan in which a tool does the open checkboxes of a Markdown file.

    The lines under a checkbox are its text. Numbered lists are done in order, others in any order; lines with
    spec-kit's ids follow its rules.
    """
    from maingate.importers.task_lists.markdown import import_markdown

    options = list_options(
        tool=tool, name=name, target=target, landing=landing, gate=gate, overlap=overlap, strict=strict
    )
    print_plan(import_markdown(source, out=out, options=options), as_json=as_json)


app.command()(swebench)
