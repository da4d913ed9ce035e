"""The checks for leftovers of killed processes: processes, slots, holds, checkouts, temporary folders."""

import shlex
import socket

from maingate.db.dao import leases, runs, workers
from maingate.db.dao.leases import Lease
from maingate.git.private_git import abandoned
from maingate.landing.checkouts.behind import behind
from maingate.landing.lease import is_held, is_of_run, subject_of
from maingate.landing.owed_checkouts import unfinished_moves
from maingate.landing.ref_locks import locks_of
from maingate.monitoring.finding import SHOWN, CheckFinding, Trouble, command_in
from maingate.repository_context import RepositoryContext
from maingate.wording import listed
from maingate.workers.liveness import left_behind
from maingate.workers.local.slots import Slots
from maingate.workers.local.stray_processes import strays


def check_slots(context: RepositoryContext) -> CheckFinding:
    """Check the worktrees: no process that was started in a slot outlives the worker that held it."""
    paths = context.paths
    seen = Slots(paths.slots, paths.locks, former=paths.former_slots).seen()
    free = [path for path, is_held_ in seen.items() if not is_held_]
    alone = strays(*map(str, free))
    former = [path for path in seen if path.parent in paths.former_slots]
    troubles = []
    if alone:
        reason = f"{len(alone)} processes of gates outlive their worker, which was killed"
        troubles.append(Trouble(reason=reason, command=shlex.join(["kill", "-9", *map(str, alone)])))
    if former:
        reason = f"{len(former)} worktrees are left from where the repository was before"
        troubles.append(Trouble(reason=reason, command=command_in(context.repository.root, "clean")))
    detail = {"folder": str(paths.slots), "slots": len(seen), "free": len(free), "processes": alone}
    return CheckFinding(
        summary=f"worktrees: {len(seen)}, free: {len(free)}", troubles=troubles, detail=detail
    )


def check_dead(context: RepositoryContext) -> CheckFinding:
    """Check for workers and holds on record whose process is gone."""
    now, window = context.clock.now(), context.settings.recovery_window
    with context.database.read() as conn:
        rows = left_behind(workers.alive(conn), now, socket.gethostname(), window)
        found = leases.unreleased_of_runs(conn, context.identity.id)
        found += leases.unreleased(conn, context.identity.id)
        waiting = [run.id for run in runs.unfinished(conn) if context.is_own(run)]
    gone = {lease.holder: lease for lease in found if not is_held(lease, now)}  # the target of each is named
    dead = list(gone.values())
    resume = command_in(context.repository.root, "resume", *waiting[:1])
    troubles = []
    if rows and waiting:
        named = listed([f"{row.name} (process {row.pid})" for row in rows], SHOWN)
        troubles.append(Trouble(reason=f"workers on record whose process is gone: {named}", command=resume))
    troubles += [
        Trouble(
            reason=f"{lease.holder} {_hold_of(lease)} on record, but its process {lease.pid} is gone",
            command=resume,
        )
        for lease in dead
        if str(lease.holder) in waiting
    ]
    detail = {"workers": [row.id for row in rows], "leases": [str(lease.holder) for lease in dead]}
    summary = "no hold of a dead process stands in the way" + (
        f"; the next run clears {len(rows) + len(dead)} entries away" if rows or dead else ""
    )
    return CheckFinding(summary=summary, troubles=troubles, detail=detail)


def _hold_of(lease: Lease) -> str:
    return "is still at work" if is_of_run(lease) else f"still has {subject_of(lease)}"


def check_checkouts(context: RepositoryContext) -> CheckFinding:
    """Check that every checkout followed its branch, and that no lock of a killed git stands in the way."""
    repair = command_in(context.repository.root, "checkout", "repair")
    late = behind(context.repository)
    moving = [record for record, is_alive in unfinished_moves(context.repository) if not is_alive]
    locks = [path for record in moving for path in locks_of(context.repository, record.ref) if path.exists()]
    troubles = [Trouble(reason=str(each), command=repair) for each in late[:SHOWN]]
    troubles += [
        Trouble(reason=f"{path} was left by a process that was killed", command=repair) for path in locks
    ]
    detail = {"behind": [each.as_json() for each in late], "locks": [str(path) for path in locks]}
    return CheckFinding(summary="every checkout followed its branch", troubles=troubles, detail=detail)


def check_temporary(context: RepositoryContext) -> CheckFinding:
    """Check for temporary folders of killed processes of this user; the next run removes them."""
    found = abandoned()
    command = shlex.join(["rm", "-r", *map(str, found)])
    reason = f"{len(found)} temporary folders are left from killed processes; the next run removes them"
    return CheckFinding(
        summary="no temporary folder is left",
        troubles=[Trouble(reason=reason, command=command)] if found else [],
        detail={"folders": list(map(str, found)), "state": str(context.paths.root)},
    )
