"""The end of an attempt of a tool, with its cost, as a value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

ToolRunOutcome = Literal["patch", "failed", "timed_out", "rate_limited", "lost"]

MICROS: Final = 1_000_000
"""Micro-dollars in a dollar: money is stored as whole numbers."""


@dataclass(frozen=True, kw_only=True)
class ToolRun:
    """One attempt of a tool that has ended.

    Args:
        task_id: The task.
        attempt: The number of the attempt.
        run_id: The task's run.
        tool: The plan's name of the tool.
        outcome: Its result: a patch, or the kind of its failure.
        exit_code: Its exit code; None if it did not end by itself.
        cost_micros: Its reported cost, in micro-dollars; None if it reports none.
        tokens_in: The tokens that it reports as read.
        tokens_out: The tokens that it reports as written.
        duration_ms: Its duration, in milliseconds.
        message: A remark for people; empty if it ended well.
        log_path: The file with its output.
        diff_path: The file with the diff that it left, also if it failed.
        ended_at: The time it ended.
    """

    task_id: str
    attempt: int
    run_id: str
    tool: str
    outcome: ToolRunOutcome
    exit_code: int | None = None
    cost_micros: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    duration_ms: int = 0
    message: str = ""
    log_path: str | None = None
    diff_path: str | None = None
    ended_at: datetime
