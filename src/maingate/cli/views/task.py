"""View of a task without a patch: its attempts, its output and its history.

Attempts are derived from the task's changes of state, because commands and lost or interrupted attempts have
no other record. Reports of tools are added to them.
"""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.output import EVERY, duration, print_commands, print_more, safe
from maingate.cli.views.patch import (
    history_json,
    print_excerpt,
    print_facts,
    print_heading,
    print_history,
    print_reason,
)

if TYPE_CHECKING:
    from rich.console import Console

    from maingate.bootstrap import Maingate
    from maingate.db.connection import Connection
    from maingate.db.dao.runs import RunRow
    from maingate.db.dao.tasks import TaskRow
    from maingate.db.dao.tool_runs import ToolRun
    from maingate.events import Event

    Span = tuple[Event, Event | None]
    """The changes of state at the start and the end of an attempt; the end may be missing."""

SHOWN_LINES: Final = 20
SHOWN_BYTES: Final = 4096
"""Bytes of the end of an attempt's output that are shown."""
SHOWN_ATTEMPTS: Final = 10
"""Number of latest attempts that are shown; a tool whose provider refuses may have hundreds."""
SHOWN_CHANGES: Final = 4 * SHOWN_ATTEMPTS
_ENDED: Final = frozenset({"completed", "failed", "cancelled"})
_CONTINUATION_BYTES: Final = bytes(range(0x80, 0xC0))


def described_task(conn: "Connection", maingate: "Maingate", row: "TaskRow") -> dict[str, Any]:
    """Return a task without a patch, with its attempts.

    Returns:
        The task, with ``id`` null in place of a patch's; ``attempts``, oldest first; ``output``, the end of
        the last attempt's output; and ``history``.
    """
    from maingate.db.dao import events, runs, tool_runs, workstreams

    run, stream = runs.get(conn, row.run_id), workstreams.get(conn, row.workstream_id)
    happened = events.query(conn, entity=row.id, limit=EVERY)
    changes = [event for event in happened if event.is_transition]
    told = {each.attempt: each for each in tool_runs.of_task(conn, row.id)}
    label = f"{stream.name}/{row.name}"
    spans = _spans(changes)
    logs = maingate.paths.logs
    attempts = [
        _attempt_json(number, span, told.get(number), label=label, left=logs / f"{row.id}.{number}")
        for number, span in enumerate(spans, 1)
    ]
    planned = _planned(run, stream.name, row.name)
    return {
        "id": None,
        "run_id": row.run_id,
        "task": label,
        "task_id": row.id,
        "kind": row.kind,
        "tool": planned.get("tool"),
        "command": planned.get("command"),
        "plan_file": run.plan_file,
        "state": str(row.state),
        "reason": None if row.reason is None else row.reason.as_json(),
        "attempts": attempts,
        "output": _output(attempts[-1]["log"], spans[-1][1]) if attempts else None,
        "history": [history_json(event) for event in happened],
    }


def _planned(run: "RunRow", stream: str, task: str) -> Mapping[str, Any]:
    """Return the definition of a task in the run's plan."""
    found: Mapping[str, Any] = run.plan
    for key in ("workstreams", stream, "tasks", task):
        found = found.get(key) or {}
    return found


def _spans(changes: Iterable["Event"]) -> "list[Span]":
    """Return the span of each attempt; decisions by hand are no attempts."""
    spans: list[Span] = []
    for change in changes:
        if change.to_state == "running" and change.operator is None:
            spans.append((change, None))
        elif change.from_state == "running" and spans and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], change)
    return spans


def _attempt_json(
    number: int, span: "Span", told: "ToolRun | None", *, label: str, left: Path
) -> dict[str, Any]:
    """Return the public JSON form of an attempt.

    Args:
        number: The number of the attempt, from 1.
        span: The changes of state at its start and end.
        told: The record of the tool's run, if any.
        label: The task's name, a prefix of messages.
        left: The path of its log and diff, without the extension.
    """
    from maingate.db.dao.tool_runs import MICROS

    began, ended = span
    reason = (ended.reason if ended else None) or {}
    detail = reason.get("detail") or {}
    recorded = max(0.0, (ended.timestamp - began.timestamp).total_seconds()) if ended else None
    cost = told.cost_micros if told else None
    log, diff = left.with_name(f"{left.name}.log"), left.with_name(f"{left.name}.diff")
    return {
        "attempt": number,
        "outcome": told.outcome if told else _outcome(ended, reason),
        "exit_code": told.exit_code if told else detail.get("exit_code"),
        "seconds": told.duration_ms / 1000 if told else recorded,
        "cost_usd": None if cost is None else cost / MICROS,
        "tokens_in": told.tokens_in if told else None,
        "tokens_out": told.tokens_out if told else None,
        "message": (told and told.message) or str(reason.get("message", "")).removeprefix(f"{label}: "),
        "log": str(log) if log.is_file() else None,
        "diff": str(diff) if ended and diff.is_file() and diff.stat().st_size else None,
        "began_at": began.timestamp,
        "ended_at": ended.timestamp if ended else None,
    }


def _outcome(ended: "Event | None", reason: Mapping[str, Any]) -> str:
    """Return the outcome of an attempt without a record of a tool's run."""
    if ended is None:
        return "running"
    if ended.operator is not None or ended.trigger == "user_cancelled":
        return "cancelled"
    if ended.trigger == "execution_completed":
        return "done"
    return {"tool_timeout": "timed_out", "worker_lost": "lost"}.get(str(reason.get("code")), "failed")


def _output(log: str | None, ended: "Event | None") -> str | None:
    """Return the end of an attempt's output: from its log, or from the record if the log is gone."""
    if log is None:
        detail = ((ended.reason if ended else None) or {}).get("detail") or {}
        return None if "output" not in detail else _end_of(str(detail["output"]).encode(errors="replace"))
    with Path(log).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - SHOWN_BYTES - 1))
        return _end_of(file.read())


def _end_of(printed: bytes) -> str:
    """Return the last lines of an output in whole characters, within the limits."""
    kept = printed[-SHOWN_BYTES:]
    if len(kept) < len(printed):
        kept = kept.lstrip(_CONTINUATION_BYTES)
    lines = kept.rstrip(b"\n").split(b"\n")[-SHOWN_LINES:]
    return b"\n".join(lines).decode(errors="replace")


def print_task(out: "Console", shown: Mapping[str, Any]) -> None:
    """Print the result of :func:`described_task`."""
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
