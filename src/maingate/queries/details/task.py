"""A task without a patch: its attempts, the end of what the last one printed, and its history.

Attempts are derived from the task's changes of state, because commands and lost or interrupted attempts have
no other record. Reports of tools are added to them.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from maingate.db.dao import runs, tool_runs, workstreams
from maingate.db.dao.history import events
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.sql.connection import Connection
from maingate.events import Event
from maingate.queries.events.history import history_json
from maingate.queries.limited_list import EVERY
from maingate.state.tool_run import MICROS, ToolRun

Span = tuple[Event, Event | None]
"""The changes of state at the start and the end of an attempt; the end may be missing."""

SHOWN_LINES: Final = 20
SHOWN_BYTES: Final = 4096
"""Bytes of the end of an attempt's output that are shown."""
_CONTINUATION_BYTES: Final = bytes(range(0x80, 0xC0))


def describe_task(conn: Connection, row: TaskRow, *, logs: Path) -> dict[str, Any]:
    """Return a task without a patch, with its attempts.

    Args:
        conn: A reading connection.
        row: The task.
        logs: Where logs are kept.

    Returns:
        The task, with ``id`` null in place of a patch's; ``attempts``, oldest first; ``output``, the end of
        the last attempt's output; and ``history``.
    """
    run, stream = runs.get(conn, row.run_id), workstreams.get(conn, row.workstream_id)
    happened = events.query(conn, entity=row.id, limit=EVERY)
    changes = [event for event in happened if event.is_transition]
    told = {each.attempt: each for each in tool_runs.of_task(conn, row.id)}
    label = f"{stream.name}/{row.name}"
    spans = _spans(changes)
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


def _planned(run: RunRow, stream: str, task: str) -> Mapping[str, Any]:
    """Return the definition of a task in the run's plan."""
    found: Mapping[str, Any] = run.plan
    for key in ("workstreams", stream, "tasks", task):
        found = found.get(key) or {}
    return found


def _spans(changes: Iterable[Event]) -> list[Span]:
    """Return the span of each attempt; decisions by hand are no attempts."""
    spans: list[Span] = []
    for change in changes:
        if change.to_state == "running" and change.operator is None:
            spans.append((change, None))
        elif change.from_state == "running" and spans and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], change)
    return spans


def _attempt_json(number: int, span: Span, told: ToolRun | None, *, label: str, left: Path) -> dict[str, Any]:
    """Return the public JSON form of an attempt.

    Args:
        number: The number of the attempt, from 1.
        span: The changes of state at its start and end.
        told: The record of the tool's run, if any.
        label: The task's name, a prefix of messages.
        left: The path of its log and diff, without the extension.
    """
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


def _outcome(ended: Event | None, reason: Mapping[str, Any]) -> str:
    """Return the outcome of an attempt without a record of a tool's run."""
    if ended is None:
        return "running"
    if ended.operator is not None or ended.trigger == "user_cancelled":
        return "cancelled"
    if ended.trigger == "execution_completed":
        return "done"
    return {"tool_timeout": "timed_out", "worker_lost": "lost"}.get(str(reason.get("code")), "failed")


def _output(log: str | None, ended: Event | None) -> str | None:
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
