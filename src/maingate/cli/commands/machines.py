"""``maingate machines``: the eight state machines as the program knows them.

Diagrams and ``docs/state_machines.md`` are generated from the tables that refuse forbidden transitions, so
they cannot differ from the program.
"""

import ast
import inspect
import sys
from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated

import typer

from maingate.cli.completion import fixed_words
from maingate.cli.output import print_json
from maingate.state.machine import Machine
from maingate.state.machines import MACHINES


def machines(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MACHINE",
            help="Print only this machine.",
            autocompletion=fixed_words("maingate.state.machines", "MACHINES"),
            show_default="all",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print states and transitions as one JSON object.")
    ] = False,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid state diagrams.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the documentation page.")] = False,
) -> None:
    """Print the state machines of runs, tasks, patches, gates and workers."""
    if as_json + as_mermaid + as_markdown > 1:
        raise typer.BadParameter("choose one of --json, --mermaid and --markdown")
    shown = _chosen(name)
    if as_json:
        print_json({each.name: each.as_json() for each in shown.values()})
    elif as_mermaid:
        print("\n\n".join(f"---\ntitle: {each.name}\n---\n{each.mermaid()}" for each in shown.values()))
    elif as_markdown:
        print(markdown(shown), end="")
    else:
        print("\n\n".join([*(_overview(each) for each in shown.values()), "> initial   . terminal"]))


def markdown(shown: Mapping[str, Machine]) -> str:
    """Return the documentation page of some machines, ending with a newline."""
    head = (
        "# State machines\n\n"
        "Made by `maingate machines --markdown` from the tables in `src/maingate/state/`; do not edit.\n\n"
        "A transition that is not listed is refused and changes nothing. Every one that is made is recorded\n"
        "with its trigger, its time and the hash of the record before it.\n"
    )
    return "\n".join([head, *(_section(machine) for machine in shown.values())])


def meanings(states: type[StrEnum]) -> dict[str, str]:
    """Read the meaning of each state from the docstring after its member in the source."""
    tree = ast.parse(inspect.getsource(states))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    for member, text in pairwise(body):
        match member, text:
            case ast.Assign(targets=[ast.Name(id=key)]), ast.Expr(value=ast.Constant(value=str(meaning))):
                found[str(states[key])] = " ".join(meaning.split())
    return found


def _chosen(name: str | None) -> Mapping[str, Machine]:
    if name is None:
        return MACHINES
    if name not in MACHINES:
        raise typer.BadParameter(f"unknown machine {name!r}: choose one of {', '.join(MACHINES)}")
    return {name: MACHINES[name]}


def _overview(machine: Machine) -> str:
    width = max(len(state) for state in machine.states)
    lines = [machine.name]
    for state in machine.states:
        ways = ", ".join(machine.allowed(state)) or "-"
        mark = ">" if state == machine.initial else "." if machine.is_terminal(state) else " "
        lines.append(f"  {mark} {state:<{width}}  {ways}")
    return "\n".join(lines)


def _section(machine: Machine) -> str:
    theory = inspect.cleandoc(sys.modules[machine.states.__module__].__doc__ or "").replace("``", "`")
    said = meanings(machine.states)
    rows = [
        f"| `{state}`{_mark(machine, state)} | {said[state]} | {_ways(machine, state)} |"
        for state in machine.states
    ]
    parts = [
        f"## {machine.name}",
        theory,
        f"```mermaid\n{machine.mermaid()}\n```",
        "\n".join(["| state | meaning | goes to |", "|---|---|---|", *rows]),
    ]
    if machine.extensions:
        parts.append(
            "Transitions that were added to the first design of this machine, and why they are needed:"
        )
        parts.append(
            "\n".join(f"- `{a}` → `{b}` by `{by}`: {why}" for (a, b, by), why in machine.extensions.items())
        )
    return "\n\n".join(parts) + "\n"


def _mark(machine: Machine, state: str) -> str:
    if state == machine.initial:
        return " (initial)"
    return " (terminal)" if machine.is_terminal(state) else ""


def _ways(machine: Machine, state: StrEnum) -> str:
    return "<br>".join(f"`{to}` by `{trigger}`" for to, trigger in machine.table[state]) or "nothing"
