"""The command that shows the state machines, and the page that is made from them."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from maingate.cli.commands.machines import machines, markdown, meanings
from maingate.state.machine import Machine
from maingate.state.machines import MACHINES

PROJECT = Path(__file__).parents[3]


def ask(*args: str) -> Result:
    """Run the command by itself."""
    app = typer.Typer()
    app.command()(machines)
    return CliRunner().invoke(app, args)


def test_json_is_one_object_with_the_shape_of_the_specification() -> None:
    """The JSON has every machine with its states, initial, terminal and transitions."""
    shown: dict[str, Any] = json.loads(ask("--json").stdout)
    assert shown == {name: machine.as_json() for name, machine in MACHINES.items()}


def test_json_of_one_machine_keeps_the_shape() -> None:
    """Asked for one machine, the object has that one alone."""
    assert json.loads(ask("task", "--json").stdout) == {"task": MACHINES["task"].as_json()}


def test_mermaid_of_one_machine_is_one_titled_diagram() -> None:
    """The diagram can be given to Mermaid as it is."""
    assert ask("run", "--mermaid").stdout == f"---\ntitle: run\n---\n{MACHINES['run'].mermaid()}\n"
    assert ask("--mermaid").stdout.count("stateDiagram-v2") == len(MACHINES)


def test_without_options_every_state_is_listed_with_its_ways_out() -> None:
    """A person sees for each state where it may go and by what."""
    lines = ask("task").stdout.splitlines()
    assert lines[0] == "task"
    assert "  > pending     queued by scheduler_assigned, blocked by dependency_check_failed, " in lines[1]
    assert "  . completed   -" in lines


def test_an_unknown_machine_is_bad_usage() -> None:
    """The message names the machines there are."""
    refused = ask("tusk")
    assert refused.exit_code == 2
    assert "circuit_breaker" in refused.stderr


def test_two_forms_at_once_are_bad_usage() -> None:
    """One call prints one form."""
    assert ask("--json", "--mermaid").exit_code == 2


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_every_state_has_a_meaning(machine: Machine) -> None:
    """No state is left without a word on what it is and who moves it on."""
    assert list(meanings(machine.states)) == list(machine.states)


def test_the_page_in_docs_is_what_the_tables_say() -> None:
    """docs/state_machines.md is generated; `maingate machines --markdown` prints what it must be."""
    assert (PROJECT / "docs" / "state_machines.md").read_text("utf-8") == markdown(MACHINES)
    assert ask("--markdown").stdout == markdown(MACHINES)
