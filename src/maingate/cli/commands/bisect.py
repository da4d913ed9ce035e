"""``maingate bisect``: find the patch that turned a gate red."""

from typing import Annotated, Any

import typer

from maingate.cli.commands.run import Workers
from maingate.cli.completion import RUNS, record_words
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson
from maingate.cli.text import count, safe


def bisect(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WORKSTREAM|RANGE",
            help="A landed workstream, or commits as OLD..NEW. [default NEW: the target's head]",
            autocompletion=record_words("WORKSTREAM", states=("completed",)),
        ),
    ],
    gate: Annotated[
        str,
        typer.Option(
            "--gate",
            "-g",
            metavar="GATE",
            help="The gate's name in the plan.",
            autocompletion=record_words("GATE"),
        ),
    ],
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The run whose plan has the gate. [default: the newest run]",
            autocompletion=RUNS,
        ),
    ] = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Find the patch with which a gate began to fail: by stored verdicts first, then by running the gate.

    Exit codes: 0 the patch or commit was found, or the gate does not fail at the end of the range, 1 the gate
    already fails at its beginning.
    """
    from maingate.bootstrap import Maingate
    from maingate.queries.bisect import range_named, search_json

    with Maingate.open(create=False) as maingate:
        run_id, old, new = range_named(maingate.context, what, run)
        found = maingate.bisection.bisect(run_id, old, new, gate=gate, workers=workers)
        told = search_json(maingate.context, found)
    if as_json:
        print_json(told)
    else:
        _print(told)
    if found.place == 0:
        raise typer.Exit(ExitCode.REFUSED)


def _print(told: dict[str, Any]) -> None:
    out = console()
    old, new = told["range"]["old"][:10], told["range"]["new"][:10]
    gate = safe(told["gate"])
    if told["state"] == "green":
        out.print(f"{gate} passes at {new}: there is nothing to search for.", soft_wrap=True)
    elif told["state"] == "red_before":
        out.print(f"{gate} already fails at {old}: choose an earlier start.", soft_wrap=True)
    elif told["patch"] is not None:
        patch = told["patch"]
        out.print(
            f"{gate} fails since {safe(patch['task'])} ({patch['id']}), in {told['commit']}.", soft_wrap=True
        )
        out.print(f"`maingate rollback {patch['id']} --reason …` rolls it back.", soft_wrap=True)
    else:
        out.print(f"{gate} fails since {told['commit']}.", soft_wrap=True)
    asked = count(told["asked"], "execution")
    out.print(f"{asked}; {count(told['known'], 'verdict')} known before.", style="dim")
