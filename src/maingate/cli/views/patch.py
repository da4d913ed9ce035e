"""View of a patch: its ledger entry, the results of its gates, and its history."""

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.output import STATE_STYLES
from maingate.cli.tables import print_commands, print_table, table
from maingate.cli.text import count, duration, local_time, safe
from maingate.wording import first_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


_HAPPENED: Final = {"patch_approved": "approved", "manual_override": "override"}
"""Labels for events that are no change of state, where the type is unclear to people."""


def print_patch(out: "Console", shown: Mapping[str, Any]) -> None:
    """Print a patch."""
    print_heading(out, shown["id"], shown["state"], shown["task"])
    if shown["summary"] not in ("", shown["task"]):
        out.print(f"  {safe(shown['summary'])}")
    print_reason(out, shown["reason"])
    if gone := shown["taken_back"]:
        out.print(f"  {safe(gone['message'])}", style="yellow", soft_wrap=True)
    out.print()
    print_facts(out, _facts(shown))
    _print_gates(out, shown["gates"])
    print_history(out, shown["history"])
    out.print()
    print_commands(out, [(f"maingate patch diff {shown['id']}", "the diff itself")])


def print_heading(out: "Console", name: str, state: str, more: str) -> None:
    """Print the heading: a name with its state."""
    from rich.text import Text

    out.print(Text.assemble((safe(name), "bold"), "  ", state_text(state), f"  {safe(more)}"), soft_wrap=True)


def print_reason(out: "Console", reason: Mapping[str, Any] | None) -> None:
    """Print the reason of a state, if there is one."""
    from rich.text import Text

    if reason:
        out.print()
        out.print(Text(f"{reason['code']}: ", style="red").append(safe(reason["message"]), style="default"))


def print_facts(out: "Console", facts: Mapping[str, str], *, indent: int = 2) -> None:
    """Print facts, one line each; empty ones are left out."""
    for name, value in facts.items():
        for heading, line in zip(chain([name], repeat("")), value.splitlines(), strict=False):
            out.print(f"{'':{indent}}{heading:<10}{line}", soft_wrap=True)


def _facts(shown: Mapping[str, Any]) -> dict[str, str]:
    scope = shown["scope"]
    rest = "; --json lists them all"
    lines = f"+{scope['insertions']} -{scope['deletions']}"
    return {
        "run": shown["run_id"],
        "change": f"{count(scope['files'], 'file')}, {lines}, {count(scope['hunks'], 'hunk')}",
        "paths": "\n".join(first_lines([safe(path) for path in shown["paths"]], rest=rest)),
        "repaired": "\n".join(first_lines([safe(one["message"]) for one in shown["repairs"]], rest=rest)),
        "applied": safe(shown["method"] or ""),
        "base": shown["base_commit"],
        "commit": shown["commit"] or "",
        "kept in": safe(shown["quarantine_file"] or ""),
    }


def _print_gates(out: "Console", gates: Sequence[Mapping[str, Any]]) -> None:
    if not gates:
        return
    out.print()
    grid = table("  gate", "judged", "state", "exit", "took")
    for gate in gates:
        took = "-" if gate["seconds"] is None else duration(gate["seconds"])
        state = state_text("lost" if gate["is_lost"] else gate["state"]).append(_tries(gate), style="yellow")
        code = "-" if gate["exit_code"] is None or gate["is_lost"] else str(gate["exit_code"])
        grid.add_row(f"  {safe(gate['name'])}", gate["judged"], state, code, took)
    print_table(out, grid)
    for gate in gates:
        if gate["state"] == "FAILED" and gate["output"] and not gate["is_lost"]:
            out.print()
            out.print(f"  output of gate {safe(gate['name'])} on the {gate['judged']}:", style="bold")
            print_excerpt(out, gate["output"])
            if gate["log"]:
                out.print(f"  all of it: {safe(gate['log'])}", soft_wrap=True)


def _tries(gate: Mapping[str, Any]) -> str:
    if gate["is_flaky"]:
        return f" flaky, {gate['attempts']} tries"
    return f" {gate['attempts']} times" if gate["attempts"] > 1 else ""


def print_excerpt(out: "Console", output: str) -> None:
    """Print untrusted output line by line, set apart from the text around it."""
    for line in safe(output, keep_newlines=True).rstrip().splitlines():
        out.print(f"  │ {line}", soft_wrap=True)


def print_history(out: "Console", history: Sequence[Mapping[str, Any]]) -> None:
    """Print changes of state and decisions by hand, oldest first; decisions with their reasons."""
    out.print()
    moved = {(step["at"], step["operator"]) for step in history if step["to"] and step["operator"]}
    why = ["why"] if any(_why(step) for step in history) else []
    grid = table("  when", "state", "by", *why, wide="why")
    for step in history:
        operator, trigger = step["operator"], safe(step["trigger"] or "")
        if step["to"] is None and (step["at"], operator) in moved:
            continue  # its change of state shows the same
        by = trigger if not operator else f"{trigger} ({safe(operator)})" if trigger else safe(operator)
        state = step["to"] or _HAPPENED.get(step["type"], step["type"])
        cells = f"  {local_time(step['at'])}", state_text(safe(state)), by
        grid.add_row(*cells, *([_why(step)] if why else []))
    print_table(out, grid)


def _why(step: Mapping[str, Any]) -> str:
    """Return the reason of a decision by hand; other reasons are shown elsewhere."""
    if step["to"] is not None and not step["operator"]:
        return ""
    said = str((step["reason"] or {}).get("message") or "")
    return safe(said.removeprefix(f"{step['operator']}: "))


def state_text(state: str) -> "Text":
    """Return a state in its colour."""
    from rich.text import Text

    return Text(str(state), style=STATE_STYLES.get(state, ""))
