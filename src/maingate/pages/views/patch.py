"""The page of a patch: its diff, the gates that judged it, its history, and how to see it here."""

import shlex
from collections.abc import Sequence
from typing import Any, Final

from maingate.errors import UnknownEntityError
from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.details import patch
from maingate.queries.details.gate_log import log_piece
from maingate.queries.waits.explain import standing
from maingate.repository_context import RepositoryContext

Json = dict[str, Any]

router = page_router()

MOST_DIFF: Final = 256 * 1024
"""Bytes of a diff that are shown."""
MOST_LINES: Final = 4000
MOST_LETTERS: Final = 2000
"""Lines of a diff that are shown, and letters of a line."""
TAIL: Final = 16 * 1024
"""Bytes of the end of a log that are shown at first."""
MOST_LOGS: Final = 12
"""Gates whose logs are shown at once."""


def patch_view(visit: Visit) -> Json:
    """Return all that is known of a patch, with its diff line by line."""
    patch_id = visit.part("patch_id")
    repo, maingate = visit.of(patch_id, "patch")
    context = maingate.context
    found = patch.patch_with_history(context, patch_id)
    _, raw, _ = patch.patch_diff(context, patch_id)
    failed = _failing(found)
    lines = diff_lines(raw[:MOST_DIFF].decode("utf-8", "replace"))
    return found | {
        "repo": repo,
        "gates": _with_logs(context, found["gates"], failed),
        "failing": failed,
        "waiting": standing(context, patch_id)["waiting"],
        "approvals": patch.patch_approvals(context, patch_id),
        "diff": lines[:MOST_LINES],
        "diff_is_cut": len(raw) > MOST_DIFF or len(lines) > MOST_LINES,
        "diff_bytes": len(raw),
        "reproduce": _reproduce(context, found, failed),
    }


def _failing(found: Json) -> str | None:
    """Return the gate that the reason names, else the last one that failed."""
    reason = found["reason"] or {}
    named = (reason.get("detail") or {}).get("gate_id")
    judged: Sequence[Json] = found["gates"]
    if any(gate["id"] == named for gate in judged):
        return str(named)
    failed = [gate["id"] for gate in judged if gate["state"] == "FAILED" and not gate["is_lost"]]
    return failed[-1] if failed else None


def _with_logs(context: RepositoryContext, judged: Sequence[Json], failed: str | None) -> list[Json]:
    """Return gates with the ends of their logs, the failing one first."""
    ordered = sorted(judged, key=lambda gate: (gate["id"] != failed, gate["state"] != "FAILED"))
    return [
        gate | _tail(context, gate, is_read=number < MOST_LOGS or gate["id"] == failed)
        for number, gate in enumerate(ordered)
    ]


def _tail(context: RepositoryContext, gate: Json, *, is_read: bool) -> Json:
    """Return the end of a gate's log, and the place behind it; the address of the log instead of its path."""
    none = {"log": None, "tail": gate["output"] or "", "size": 0, "is_cut": False}
    if not is_read:
        return none
    try:
        piece = log_piece(context, gate["id"], start=None, length=TAIL)
    except UnknownEntityError:
        return none
    return {
        "log": f"/api/v1/gates/{gate['id']}/log",
        "tail": piece.content.decode("utf-8", "replace"),
        "size": piece.start + len(piece.content),
        "is_cut": piece.start > 0,
    }


def diff_lines(text: str) -> list[Json]:
    """Return the lines of a diff with their kinds: ``file``, ``at``, ``add``, ``del`` or ``same``."""
    return [{"kind": _kind(line), "text": _cut(line)} for line in text.split("\n")[:-1] or [text]]


def _kind(line: str) -> str:
    if line.startswith(("diff --git", "+++ ", "--- ", "index ", "new file", "deleted file", "rename ")):
        return "file" if line.startswith("diff --git") else "head"
    return {"@": "at", "+": "add", "-": "del"}.get(line[:1], "same")


def _cut(line: str) -> str:
    return line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]} \u2026 ({len(line)} letters)"


def _reproduce(context: RepositoryContext, found: Json, failed: str | None) -> str:
    """Return the command that shows the failure of a patch in the reader's own repository."""
    root = shlex.quote(str(context.repository.root))
    tree = next((gate["tree"] for gate in found["gates"] if gate["id"] == failed), None)
    name = next((gate["name"] for gate in found["gates"] if gate["id"] == failed), None)
    if tree is None or name is None:
        return f"cd {root} && maingate patch diff {found['id']}"
    place = f"/tmp/{found['id'][-8:].lower()}"  # noqa: S108 - a suggestion, on the reader's machine
    run = patch.gate_command(context, found["run_id"], name)
    export = f"mkdir {place} && git -C {root} archive {tree} | tar -x -C {place}"
    return f"{export} && cd {place}" + (f" && {run}" if run else "")


add_page(router, "/patches/{patch_id}", "patch.html", patch_view)
