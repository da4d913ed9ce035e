"""Cleanup: the leftovers of ended runs are found and removed, and nothing that is evidence.

Quarantine, salvage and the database are never touched: refused patches and the record stay.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from maingate.db.dao import runs
from maingate.db.dao.runs import RunRow
from maingate.errors import OutsideFaultError
from maingate.git.refs import RefChange
from maingate.repository_context import RepositoryContext
from maingate.services.http.uploads import UPLOADED_PLAN
from maingate.services.patch_recovery import PLAN_NAME
from maingate.services.targets.lease_renewal import TargetHolds
from maingate.system.removal import remove
from maingate.workers.local.slots import Slots

_RUN_REFS: Final = "refs/maingate/run_"


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """The things that can go.

    Args:
        worktrees: Worktree slots of this repository in the cache.
        refs: Refs of runs that have ended, with what they point to.
        logs: Gate logs beyond those that are kept.
        recoveries: Folders with the plan of a run that has ended, written by `patch recover` or submitted.
        freed: Bytes that removing them frees; hard links and sparse files make it an estimate.
    """

    worktrees: Sequence[Path]
    refs: dict[str, str]
    logs: Sequence[Path]
    recoveries: Sequence[Path]
    freed: int = 0

    @property
    def paths(self) -> Sequence[Path]:
        """All that is on disk."""
        return (*self.worktrees, *self.logs, *self.recoveries)

    def as_json(self, *, dry_run: bool) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "dry_run": dry_run,
            "worktrees": [str(path) for path in self.worktrees],
            "refs": list(self.refs),
            "logs": [path.name for path in self.logs],
            "recoveries": [str(path) for path in self.recoveries],
            "bytes": self.freed,
        }


class CleanupService:
    """Removes what ended runs left behind.

    Args:
        context: The repository and its record.
        holds: The holds of this process.
    """

    def __init__(self, context: RepositoryContext, holds: TargetHolds) -> None:
        self._context, self._holds = context, holds

    def clean(self, *, older_than: timedelta, keep_logs: int, dry_run: bool) -> Leftovers:
        """Remove what can go, while no run is at work; return it.

        Args:
            older_than: Refs and recoveries of runs that ended less long ago stay.
            keep_logs: How many of the newest logs stay; they are named by gate ids, which sort by age.
            dry_run: Whether to remove nothing.

        Raises:
            TargetBusyError: A living process holds a run that has not ended, or its target.
            OutsideFaultError: Something could not be removed; things removed before it are gone.
            GitError: The refs could not be deleted.
        """
        ended_before = self._context.clock.now() - older_than
        with self._holds.on_unfinished(), self._free_slots() as slots:
            found = self._find(slots, ended_before, keep_logs)
            if not dry_run:
                self._remove(found)
        return found

    def _find(self, slots: Sequence[Path], ended_before: datetime, keep_logs: int) -> Leftovers:
        folder = self._context.paths.logs
        logs = sorted(folder.glob("gate_*")) if folder.is_dir() else []
        gone = logs[: max(0, len(logs) - keep_logs)]
        recoveries = self._old_recoveries(ended_before)
        return Leftovers(
            worktrees=slots,
            refs=self._old_refs(ended_before),
            logs=gone,
            recoveries=recoveries,
            freed=sum(_bytes_of(path) for path in (*slots, *gone, *recoveries)),
        )

    def _remove(self, found: Leftovers) -> None:
        repository = self._context.repository
        if found.refs:
            for folder in sorted({f"{ref.rpartition('/')[0]}/" for ref in found.refs}):
                repository.unlock(folder)
            changes = [RefChange(ref=ref, new=None, old=value) for ref, value in found.refs.items()]
            moved = repository.update_refs(changes, message="clean")
            if moved is not None:
                raise OutsideFaultError(f"{moved.ref} moved during the cleanup; run `maingate clean` again")
        for path in found.paths:
            try:
                remove(os.fsencode(path))
            except OSError as error:
                raise OutsideFaultError(f"{path} could not be removed: {error}; remove it by hand") from error

    @contextmanager
    def _free_slots(self) -> Iterator[list[Path]]:
        """Lock the worktree slots that no pool uses, those from before a move of the repository too.

        The lock files stay: one that is removed while a pool is about to lock it would lock nothing.
        """
        paths = self._context.paths
        folders = [folder for folder in (paths.slots, *paths.former_slots) if folder.is_dir()]
        if not folders:
            yield []
            return
        slots = Slots(paths.slots, paths.locks, former=paths.former_slots)
        slots.make()
        with slots.unused() as free:
            found = [folder / str(slot.number) for folder in folders for slot in free]
            yield [path for path in found if path.is_dir()]

    def _old_refs(self, ended_before: datetime) -> dict[str, str]:
        """Return the refs of runs that ended long enough ago; a run that can be resumed keeps its own."""
        refs = self._context.repository.refs_under(_RUN_REFS)
        with self._context.database.read() as conn:
            known = runs.get_many(conn, {_run_of(ref) for ref in refs})
        ended = {run.id for run in known.values() if _has_ended(run, before=ended_before)}
        return {ref: value for ref, value in refs.items() if _run_of(ref) in ended}

    def _old_recoveries(self, ended_before: datetime) -> list[Path]:
        """Return the folders of plans whose runs ended long ago; one without a run may still get it."""
        paths = self._context.paths
        plans = sorted([*paths.recoveries.glob(f"*/{PLAN_NAME}"), *paths.uploads.glob(f"*/{UPLOADED_PLAN}")])
        with self._context.database.read() as conn:
            known = runs.of_plan_files(conn, map(str, plans))
        kept = {run.plan_file for run in known if not _has_ended(run, before=ended_before)}
        gone = {run.plan_file for run in known} - kept
        return [plan.parent for plan in plans if str(plan) in gone]


def _has_ended(run: RunRow, *, before: datetime) -> bool:
    return run.completed_at is not None and run.completed_at <= before


def _run_of(ref: str) -> str:
    return ref.split("/")[2]


def _bytes_of(path: Path) -> int:
    """Add up the sizes of a file or of all files below a folder, links not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118  # names on disk are not always text
        for folder, _, names in os.walk(os.fsencode(path))
        for name in names
    )
