"""View of a task without a patch: its attempts, its output and its history."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.tables import print_commands, print_more
from maingate.cli.text import duration, safe
from maingate.cli.views.patch import (
    print_excerpt,
    print_facts,
    print_heading,
    print_history,
    print_reason,
)

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_ATTEMPTS: Final = 10
"""Number of latest attempts that are shown; a tool whose provider refuses may have hundreds."""
SHOWN_CHANGES: Final = 4 * SHOWN_ATTEMPTS
_ENDED: Final = frozenset({"completed", "failed", "cancelled"})


def print_task(out: "Console", shown: Mapping[str, Any]) -> None:
    """Print a task that has no patch."""
    print_heading(out, shown["task"], shown["state"], "no patch")
    print_reason(out, shown["reason"])
    out.print()
    command = shown["command"]
    facts = {
        "run": shown["run_id"],
        "task": shown["task_id"],
        "tool": safe(shown["tool"] or ""),
        "command": safe(command if isinstance(command, str) else shlex.join(command or ())),
    }
    print_facts(out, facts)
    attempts = shown["attempts"]
    out.print()
    print_more(out, len(attempts) - SHOWN_ATTEMPTS, limit="--json")
    for attempt in attempts[-SHOWN_ATTEMPTS:]:
        _print_attempt(out, attempt)
    _print_output(out, shown["output"], attempts)
    print_history(out, shown["history"][-SHOWN_CHANGES:])
    print_more(out, len(shown["history"]) - SHOWN_CHANGES, limit="--json")
    out.print()
    print_commands(out, _hints(shown))


def _print_attempt(out: "Console", attempt: Mapping[str, Any]) -> None:
    from rich.text import Text

    code, seconds, cost = attempt["exit_code"], attempt["seconds"], attempt["cost_usd"]
    ended = [
        attempt["outcome"].replace("_", " "),
        *([] if code is None else [f"exit {code}"]),
        *([] if seconds is None else [duration(seconds)]),
        *([] if cost is None else [f"${cost:.4f}"]),
    ]
    style = {"running": "cyan", "patch": "green", "done": "green"}.get(attempt["outcome"], "red")
    out.print(Text(f"  attempt {attempt['attempt']}: ").append(", ".join(ended), style=style), soft_wrap=True)
    facts = {
        "because": safe(attempt["message"]),
        "log": safe(attempt["log"] or ""),
        "left": safe(attempt["diff"] or ""),
    }
    print_facts(out, facts, indent=4)


def _print_output(out: "Console", output: str | None, attempts: Sequence[Mapping[str, Any]]) -> None:
    if output is None:
        return
    out.print()
    if not output:
        out.print(f"  attempt {len(attempts)} printed nothing.")
        return
    out.print(f"  the end of what attempt {len(attempts)} printed:", style="bold")
    print_excerpt(out, output)


def _hints(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the commands that help next; without a patch nothing can be recovered or approved."""
    hints = [(f"maingate events --entity {shown['task_id']}", "every change of its state, with the reason")]
    if shown["state"] not in _ENDED:
        return [(f"maingate status {shown['run_id']}", "the state of its run"), *hints]
    plan, tool = shown["plan_file"], shown["tool"]
    if shown["state"] == "failed" and tool and plan and Path(plan).is_file():
        tried = shlex.join(["maingate", "tools", "test", tool, "--plan", plan])
        hints = [(safe(tried), "runs the tool once by itself; nothing lands"), *hints]
    left = next((one["diff"] for one in reversed(shown["attempts"]) if one["diff"]), None)
    if left is not None:
        planned = shlex.join(["maingate", "plan", "import", "series", left, "-o", "left.yaml"])
        hints = [(safe(planned), "makes a plan from the diff it left"), *hints]
    return hints
