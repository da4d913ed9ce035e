"""``maingate cancel``: cancel a run, a workstream or a task."""

from typing import Annotated

import typer

from maingate.cli.completion import record_words
from maingate.cli.decision_options import By, Run, Why, operator_name
from maingate.cli.output import console, print_json
from maingate.cli.text import safe


def cancel(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|WORKSTREAM|TASK",
            help="An id, the beginning of one, or a name from the plan.",
            autocompletion=record_words("RUN", "WORKSTREAM", "TASK", is_open=True),
        ),
    ],
    reason: Why = "",
    run: Run = None,
    operator: By = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Cancel a run, a workstream or a task at once, whichever process works on it.

    Landed work stays. A workstream that is landing at this moment is cancelled only if it does not land.
    """
    from maingate.bootstrap import Maingate
    from maingate.queries.names import find_entity

    with Maingate.open(create=False) as maingate:
        found = find_entity(maingate.context, what, kinds=["run", "workstream", "task"], run=run)
        said = maingate.operator.cancel(found.id, message=reason, operator=operator or operator_name())
    if as_json:
        print_json({"id": found.id, "name": found.name, "answer": said})
    else:
        console().print(safe(said), soft_wrap=True)
