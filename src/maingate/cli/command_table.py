"""Table of commands: the module that defines each, and its heading in the help.

A command is loaded when it is called; only the help loads all commands.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.main import get_group

from maingate.cli.help_text import show_plain_help
from maingate.cli.parameters import spare_conversions

FIRST_STEPS, RUNNING, LEDGER, RECORD, SERVING, UPKEEP = (
    "First steps",
    "Plan and run",
    "Patches",
    "The record",
    "Server and agents",
    "Upkeep",
)


class Place(NamedTuple):
    """Location of a command: a module of `cli.commands`, and a function or group in it."""

    panel: str
    module: str
    name: str = "app"


COMMANDS: Final[Mapping[str, Place]] = {
    "demo": Place(FIRST_STEPS, "demo", "demo"),
    "init": Place(FIRST_STEPS, "init", "init"),
    "plan": Place(RUNNING, "plan"),
    "run": Place(RUNNING, "run", "run"),
    "land": Place(RUNNING, "land", "land"),
    "queue": Place(RUNNING, "queue"),
    "status": Place(RUNNING, "status", "status"),
    "inbox": Place(RUNNING, "inbox", "inbox"),
    "runs": Place(RUNNING, "runs", "runs"),
    "resume": Place(RUNNING, "resume", "resume"),
    "cancel": Place(RUNNING, "cancel", "cancel"),
    "override": Place(RUNNING, "override"),
    "patch": Place(LEDGER, "patch_decisions"),
    "quarantine": Place(LEDGER, "patch", "quarantine"),
    "rollback": Place(LEDGER, "rollback", "rollback"),
    "bisect": Place(LEDGER, "bisect", "bisect"),
    "events": Place(RECORD, "events", "events"),
    "audit": Place(RECORD, "audit"),
    "prove": Place(RECORD, "prove", "prove"),
    "serve": Place(SERVING, "serve", "serve"),
    "token": Place(SERVING, "token"),
    "webhook": Place(SERVING, "webhook"),
    "mcp": Place(SERVING, "mcp", "mcp"),
    "health": Place(UPKEEP, "health", "health"),
    "doctor": Place(UPKEEP, "doctor", "doctor"),
    "workers": Place(UPKEEP, "workers", "workers"),
    "tools": Place(UPKEEP, "tools"),
    "breaker": Place(UPKEEP, "breaker"),
    "checkout": Place(UPKEEP, "checkout"),
    "clean": Place(UPKEEP, "clean", "clean"),
    "machines": Place(UPKEEP, "machines", "machines"),
}
"""All commands, in the order of the help."""


@cache
def command_named(name: str) -> Any:
    """Load a command and return the parser's object for it."""
    place = COMMANDS[name]
    found = getattr(import_module(f"maingate.cli.commands.{place.module}"), place.name)
    alone = typer.Typer(rich_markup_mode="rich")
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name, rich_help_panel=place.panel)
    else:
        alone.command(name, rich_help_panel=place.panel)(found)
    command = get_group(alone).commands[name]
    spare_conversions(command)
    show_plain_help(command)
    return command
