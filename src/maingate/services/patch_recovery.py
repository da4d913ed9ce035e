"""Recovery of a refused patch: a plan of one task, with the same gates, that tries again what it was for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from maingate.db.dao import artifacts, runs, tasks, workstreams
from maingate.db.dao.patches import PatchRow
from maingate.errors import UsageError
from maingate.ids import new_id
from maingate.plan.rules import without_inherited
from maingate.repository_context import RepositoryContext
from maingate.settings.problems import did_you_mean
from maingate.state.patch_ledger import PatchState
from maingate.wording import listed, short

PLAN_NAME: Final = "plan.json"
SHOWN_DIFF: Final = 64 * 1024
"""Bytes of a refused diff that a prompt has at most."""
_SHOWN_OUTPUT: Final = 16 * 1024
"""Characters of the output of the gate that refused it that a prompt has at most."""
_MOST_TOOLS: Final = 12
"""Names of tools that a message lists at most."""

_OF_THE_OLD: Final = frozenset({"needs", "critical", "base", "commit"})
"""Keys about other tasks and workstreams of the old plan; the new run has no others."""
_SOURCES: Final = frozenset({"patch", "tool", "prompt", "prompt_file"})
"""Keys about the source of a task's patch."""

_RECOVERABLE: Final = frozenset({PatchState.QUARANTINED, PatchState.DROPPED, PatchState.ROLLED_BACK})


def write_recovery_plan(
    context: RepositoryContext, row: PatchRow, *, diff: bytes | None, tool: str | None
) -> Path:
    """Write the plan of one task that stands for a patch, and the diff beside it; return the plan's path.

    Args:
        context: The repository and its record.
        row: The patch.
        diff: A diff to land instead of its own.
        tool: A tool of its plan that makes another one.

    Raises:
        UsageError: The patch may still land by itself, its plan has no such tool, or the new plan cannot be
            written.
    """
    if row.state not in _RECOVERABLE:
        raise UsageError(
            f"patch {row.id} is {row.state}; "
            f"`recover` applies to patches that are {', '.join(sorted(_RECOVERABLE))}"
        )
    with context.database.read() as conn:
        old, task = runs.get(conn, row.run_id), tasks.get(conn, row.task_id)
        stream = workstreams.get(conn, row.workstream_id)
        own = artifacts.diff_of(conn, row.id)
    plan = json.loads(json.dumps(without_inherited(old.plan, old.tree_settings)))
    if tool is not None:
        _require_tool(plan.get("tools") or {}, tool, of_run=old.name)
    described = plan["workstreams"][stream.name]
    wanted = _task(described["tasks"][task.name], row, own, tool)
    kept = {key: value for key, value in described.items() if key not in _OF_THE_OLD}
    plan |= {
        "maingate": 1,
        "name": f"recover {stream.name}/{task.name}",
        "repo": str(context.repository.root),
        "target": old.target_ref,
        "workstreams": {stream.name: kept | {"tasks": {task.name: wanted}}},
    }
    folder = context.paths.recoveries / new_id("patch").removeprefix("patch_")
    try:
        folder.mkdir(parents=True)
        (folder / "recovered.patch").write_bytes(own if diff is None else diff)
        (folder / PLAN_NAME).write_text(json.dumps(plan, indent=1))
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be used: {error.strerror}") from error
    return folder / PLAN_NAME


def _require_tool(tools: Mapping[str, Any], tool: str, *, of_run: str) -> None:
    """Raise unless the plan of a run has a tool."""
    if tool not in tools:
        known = f"its tools are {listed(sorted(tools), _MOST_TOOLS)}" if tools else "it has no tools"
        hint = f"; {meant}" if "did you mean" in (meant := did_you_mean(tool, tools)) else ""
        raise UsageError(f"the plan of run {short(of_run)} has no tool {short(tool)!r}: {known}{hint}")


def _task(planned: Mapping[str, Any], row: PatchRow, diff: bytes, tool: str | None) -> dict[str, Any]:
    """Return the task that stands for a patch, as a plan has it."""
    wanted = {key: value for key, value in planned.items() if key not in _OF_THE_OLD | _SOURCES}
    if tool is None:
        return wanted | {"patch": "recovered.patch"}
    return wanted | {"tool": tool, "prompt": _prompt(planned, row, diff)}


def _prompt(planned: Mapping[str, Any], row: PatchRow, diff: bytes) -> str:
    """Return the prompt for another patch: the old prompt, the reason of the refusal, the refused diff."""
    reason = row.quarantine_reason or row.reason
    asked = str(planned.get("prompt") or planned.get("title") or row.summary)
    why = "" if reason is None else f"\n\nAn earlier patch for this was refused: {reason.message}"
    output = "" if reason is None else str(reason.detail.get("output") or "")[-_SHOWN_OUTPUT:]
    shown = diff[:SHOWN_DIFF].decode(errors="replace")
    return f"{asked}{why}\n\n{output}\n\nThe refused patch:\n\n{shown}".replace("\0", "")
