"""The reason why a task of a report is as it is: its own, or that of its patch.

A task has the patch of its last attempt that made one, and later attempts may have ended for another reason.
So the task's own reason counts where there is one.
"""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def is_refused(task: Json) -> bool:
    """Return whether a task failed, or its patch is quarantined and it was not cancelled afterwards."""
    patch = task["patch"]
    is_patch_refused = bool(patch and patch["state"] == "quarantined")
    return task["state"] == "failed" or (is_patch_refused and task["state"] != "cancelled")


def reason_of(task: Json) -> Json | None:
    """Return why a task, or else its patch, is in its state; None without a reason."""
    patch = task["patch"]
    return task["reason"] or (patch and patch["reason"]) or None
