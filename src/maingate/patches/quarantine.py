"""Quarantine: the files of refused patches for people, the diff and its evidence.

``quarantine/<patch id>.patch`` and ``quarantine/<patch id>.json``. The ledger is the truth; these files are
for reading, and are written again if they are missing.
"""

import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from maingate.errors import OutsideFaultError
from maingate.ids import PatchId
from maingate.reasons import Reason


def missing(folder: Path, patch_ids: Iterable[str]) -> list[str]:
    """Return the patches without evidence files; those are written last, and atomically."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return [patch_id for patch_id in patch_ids if _evidence(folder, patch_id).name not in there]


def keep(folder: Path, patch_id: PatchId, *, diff: bytes, reason: Reason, about: dict[str, Any]) -> Path:
    """Write a quarantined patch and its evidence; return the patch's path.

    Args:
        folder: The quarantine.
        patch_id: The patch.
        diff: Its bytes.
        reason: The reason of its quarantine.
        about: Further evidence: run, task, base, gate output.

    Raises:
        OutsideFaultError: The files cannot be written.
    """
    patch = folder / f"{patch_id}.patch"
    evidence = {
        "patch": patch_id,
        "reason": reason.as_json(),
        **about,
        "environment": {"system": platform.platform(), "python": platform.python_version()},
    }
    try:
        folder.mkdir(exist_ok=True)  # never the state folder: one that was moved away stays away
        patch.write_bytes(diff)
        text = json.dumps(evidence, indent=2, ensure_ascii=False, default=str)
        unfinished = patch.with_suffix(".json.part")
        unfinished.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        unfinished.replace(_evidence(folder, patch_id))
    except OSError as error:
        raise OutsideFaultError(
            f"the quarantined patch {patch_id} cannot be kept in {folder}: {error}"
        ) from error
    return patch


def _evidence(folder: Path, patch_id: str) -> Path:
    return folder / f"{patch_id}.json"
