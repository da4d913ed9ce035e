"""``maingate clean``: remove what past runs left behind, and nothing that is evidence.

Quarantine, salvage and the database are never touched: what was refused and what happened stays.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.cli.commands.patch_actions import RECOVERED, RECOVERED_PLAN
from maingate.cli.output import console, count, print_json, safe, size
from maingate.errors import OutsideFaultError, UsageError

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate
    from maingate.db.dao.runs import RunRow

KEPT_LOGS: Final = 1000
_RUN_REFS: Final = "refs/maingate/run_"


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """What can go.

    Args:
        worktrees: Worktree slots of this repository in the cache.
        refs: Refs of runs that have ended, with what they point to.
        logs: Gate logs beyond those that are kept.
        recoveries: Folders with the plan that `patch recover` wrote for a run that has ended.
    """

    worktrees: Sequence[Path]
    refs: dict[str, str]
    logs: Sequence[Path]
    recoveries: Sequence[Path]

    @property
    def paths(self) -> Sequence[Path]:
        """All that is on disk."""
        return (*self.worktrees, *self.logs, *self.recoveries)

    def bytes_on_disk(self) -> int:
        """Measure what removing it frees; hard links and sparse files make it an estimate."""
        return sum(_bytes_of(path) for path in self.paths)


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the leftovers; remove nothing.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="D",
            help="Keep the refs and recovery plans of runs that ended within this time, such as 7d.",
        ),
    ] = None,
    keep_logs: Annotated[
        int, typer.Option("--keep-logs", min=0, metavar="N", help="Keep the newest N gate logs.")
    ] = KEPT_LOGS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Remove the leftovers of ended runs: cached worktrees, refs, old gate logs and recovery plans.

    Patches, their diffs and the record stay.
    """
    from maingate.bootstrap import Maingate

    with Maingate.open(create=False) as maingate:
        before = maingate.context.clock.now() - _duration(older_than)
        with _no_run(maingate), _free_slots(maingate) as slots:
            found = find_leftovers(maingate, slots, ended_before=before, keep_logs=keep_logs)
            freed = found.bytes_on_disk()
            if not dry_run:
                remove_leftovers(maingate, found)
    if as_json:
        print_json(_as_json(found, freed=freed, dry_run=dry_run))
    else:
        _print(found, freed=freed, dry_run=dry_run)


def find_leftovers(
    maingate: "Maingate", slots: Sequence[Path], *, ended_before: datetime, keep_logs: int
) -> Leftovers:
    """Find what can go; no run may be active.

    Args:
        maingate: On which repository.
        slots: Worktree slots that nobody uses.
        ended_before: Refs and recoveries of runs that ended at or after this stay.
        keep_logs: How many of the newest logs stay; they are named by gate ids, which sort by age.
    """
    logs = sorted(maingate.paths.logs.glob("gate_*")) if maingate.paths.logs.is_dir() else []
    return Leftovers(
        worktrees=slots,
        refs=_old_refs(maingate, ended_before),
        logs=logs[: max(0, len(logs) - keep_logs)],
        recoveries=_old_recoveries(maingate, ended_before),
    )


def remove_leftovers(maingate: "Maingate", found: Leftovers) -> None:
    """Remove it.

    Raises:
        OutsideFaultError: Something could not be removed; what was removed before is gone.
        GitError: The refs could not be deleted.
    """
    from maingate.git.refs import RefChange
    from maingate.system.removal import remove

    if found.refs:
        for folder in sorted({f"{ref.rpartition('/')[0]}/" for ref in found.refs}):
            maingate.repository.unlock(folder)
        changes = [RefChange(ref=ref, new=None, old=value) for ref, value in found.refs.items()]
        moved = maingate.repository.update_refs(changes, message="clean")
        if moved is not None:
            raise OutsideFaultError(f"{safe(moved.ref)} moved while it was to be removed; run clean again")
    for path in found.paths:
        try:
            remove(os.fsencode(path))
        except OSError as error:
            raise OutsideFaultError(f"{path} could not be removed: {error}; remove it by hand") from error


@contextmanager
def _no_run(maingate: "Maingate") -> Iterator[None]:
    """Hold the targets of all runs that have not ended, so that none of them is at work.

    Raises:
        TargetBusyError: A living process holds one.
    """
    from maingate.db.dao import leases
    from maingate.ids import LeaseHolder
    from maingate.landing import lease_hold

    repository_id, now = maingate.context.identity.id, maingate.context.clock.now()
    holder = LeaseHolder.new("clean")
    with maingate.database.write() as conn:
        targets = {run.target_ref for run in _unfinished(maingate, conn)}
        held = [
            lease_hold.hold(conn, lease_hold.key_of(repository_id, ref), holder=holder, now=now)
            for ref in sorted(targets)
        ]
    try:
        yield
    finally:
        with maingate.database.write() as conn:
            for lease in held:
                leases.release(conn, lease)


@contextmanager
def _free_slots(maingate: "Maingate") -> Iterator[list[Path]]:
    """Lock the worktree slots that no pool uses, those from before a move of the repository too; give them.

    The lock files stay: one that is removed while a pool is about to lock it would lock nothing.
    """
    from maingate.workers.local.slots import Slots

    paths = maingate.paths
    folders = [folder for folder in (paths.slots, *paths.former_slots) if folder.is_dir()]
    if not folders:
        yield []
        return
    slots = Slots(paths.slots, paths.locks, former=paths.former_slots)
    slots.make()
    with slots.unused() as free:
        found = [folder / str(slot.number) for folder in folders for slot in free]
        yield [path for path in found if path.is_dir()]


def _unfinished(maingate: "Maingate", conn: Any) -> "list[RunRow]":
    from maingate.db.dao import runs

    return [run for run in runs.unfinished(conn) if maingate.context.is_own(run)]


def _old_refs(maingate: "Maingate", ended_before: datetime) -> dict[str, str]:
    """Find the refs of runs that ended long enough ago; a run that can be resumed keeps its own."""
    from maingate.db.dao import runs

    refs = maingate.repository.refs_under(_RUN_REFS)
    with maingate.database.read() as conn:
        known = runs.get_many(conn, {_run_of(ref) for ref in refs})
    ended = {run.id for run in known.values() if _has_ended(run, before=ended_before)}
    return {ref: value for ref, value in refs.items() if _run_of(ref) in ended}


def _old_recoveries(maingate: "Maingate", ended_before: datetime) -> list[Path]:
    """Find the recoveries of runs that ended long enough ago; one without a run may be about to get it."""
    from maingate.db.dao import runs

    plans = sorted((maingate.paths.root / RECOVERED).glob(f"*/{RECOVERED_PLAN}"))
    with maingate.database.read() as conn:
        known = runs.of_plan_files(conn, map(str, plans))
    kept = {run.plan_file for run in known if not _has_ended(run, before=ended_before)}
    gone = {run.plan_file for run in known} - kept
    return [plan.parent for plan in plans if str(plan) in gone]


def _has_ended(run: "RunRow", *, before: datetime) -> bool:
    return run.completed_at is not None and run.completed_at <= before


def _run_of(ref: str) -> str:
    return ref.split("/")[2]


def _duration(text: str | None) -> timedelta:
    from pydantic_core import PydanticCustomError

    from maingate.settings.durations import parse_duration

    if text is None:
        return timedelta()
    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        raise UsageError(f"--older-than: {error.message()}") from error


def _bytes_of(path: Path) -> int:
    """Add up the sizes of a file or of all files below a folder, links not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118  # names on disk are not always text
        for folder, _, names in os.walk(os.fsencode(path))
        for name in names
    )


def _as_json(found: Leftovers, *, freed: int, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "worktrees": [str(path) for path in found.worktrees],
        "refs": list(found.refs),
        "logs": [path.name for path in found.logs],
        "recoveries": [str(path) for path in found.recoveries],
        "bytes": freed,
    }


def _print(found: Leftovers, *, freed: int, dry_run: bool) -> None:
    out = console()
    parts = [
        count(len(found.worktrees), "worktree"),
        count(len(found.refs), "ref"),
        count(len(found.logs), "gate log"),
        *([count(len(found.recoveries), "recovery", "recoveries")] if found.recoveries else []),
    ]
    if not (found.paths or found.refs):
        out.print("Nothing to clean.")
        return
    out.print(f"{'Would remove' if dry_run else 'Removed'} {', '.join(parts)}: {size(freed)}.")
    if dry_run:
        on_disk = map(str, (*found.logs, *found.recoveries))
        for line in (*map(str, found.worktrees), *found.refs, *on_disk):
            out.print(f"  {safe(line)}", soft_wrap=True)
