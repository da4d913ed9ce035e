"""``maingate cancel``: end a run, or a workstream or task of one."""

from typing import Annotated

import typer

from maingate.cli.output import console, print_json, safe


def cancel(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|WORKSTREAM|TASK", help="Its id, the beginning of one, or the plan's name of it."
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")] = "",
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Where to look for names."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """End a run, a workstream or a task now, wherever it is being worked on.

    What has landed stays. What is just landing ends only if it has not landed.
    """
    from maingate.bootstrap import Maingate
    from maingate.cli.commands.run import operator_name
    from maingate.cli.commands.status import run_named
    from maingate.db.dao import lookup

    with Maingate.open(create=False) as maingate:
        with maingate.database.read() as conn:
            within = None if run is None else run_named(conn, run)
            found = lookup.find(conn, what, kinds=["run", "workstream", "task"], run_id=within)
        said = maingate.cancel(found.id, message=reason, operator=operator_name())
    if as_json:
        print_json({"id": found.id, "name": found.name, "answer": said})
    else:
        console().print(safe(said), soft_wrap=True)
