"""Files of quarantined patches for people: written when a patch is refused, and when that was missed."""

from contextlib import suppress
from pathlib import Path

from maingate.db.dao import artifacts, patches, runs
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.errors import OutsideFaultError
from maingate.ids import PatchId
from maingate.patches import quarantine
from maingate.reasons import Reason


def keep(
    conn: Connection,
    folder: Path,
    patch_id: PatchId,
    reason: Reason,
    *,
    run: str,
    target: str,
    base: str | None,
) -> None:
    """Write a refused patch with its reason and where it was to go.

    Raises:
        OutsideFaultError: The files cannot be written.
    """
    about = {"run": run, "target": target, "base": base}
    quarantine.keep(folder, patch_id, diff=artifacts.diff_of(conn, patch_id), reason=reason, about=about)


def keep_missing(database: Database, folder: Path, *, repository_id: str) -> None:
    """Write the missing files: a process was killed between refusing a patch and writing its files.

    A file that cannot be written stops nothing: the record has the patch, and the next start tries again.
    """
    with database.read() as conn:
        for patch_id in quarantine.missing(folder, patches.quarantined_in(conn, repository_id)):
            patch = patches.get(conn, patch_id)
            run = runs.get(conn, patch.run_id)
            if patch.quarantine_reason is not None:
                with suppress(OutsideFaultError):
                    keep(
                        conn,
                        folder,
                        PatchId(patch.id),
                        patch.quarantine_reason,
                        run=run.id,
                        target=run.target_ref,
                        base=run.old_head,
                    )
