"""Updating the checkouts that have not followed their branch, because of a kill or of an obstacle.

Nothing is guessed: the record says from which commit to which, and each file that the move changed is old,
new, or an edit of the person's, which stays. So it can be done at any time and any number of times.
"""

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from maingate.errors import OutsideFaultError
from maingate.git.repository import Repository
from maingate.landing.checkouts import index_hold
from maingate.landing.checkouts.checkout_state import in_progress, uncommitted_changes
from maingate.landing.checkouts.file_change import digest, remove_copies
from maingate.landing.checkouts.follower import CheckoutFollower
from maingate.landing.checkouts.prepared_files import remove_stages
from maingate.landing.checkouts.working_trees import Checkout, all_checkouts, checkouts_of, why_away
from maingate.landing.move_values import Behind, Move
from maingate.landing.owed_checkouts import (
    HeldRecord,
    PendingCheckout,
    UnfinishedMove,
    locked_record,
    unfinished_moves,
)
from maingate.landing.ref_locks import remove_own

FILTER_TIME: Final = timedelta(minutes=5)
"""Default of the time that git and a person's filters may take for the files of a checkout."""


def catch_up(repository: Repository, ref: str, *, timeout: timedelta = FILTER_TIME) -> tuple[Behind, ...]:
    """Update the checkouts that an earlier move of a branch has left behind, and remove its dead locks.

    Returns:
        The checkouts that still cannot follow.

    Raises:
        TargetBusyError: A living process is moving it.
    """
    if not any(record.ref == ref for record, _ in unfinished_moves(repository)):
        return ()
    with locked_record(repository, ref) as held_record:
        return catch_up_held(repository, held_record, timeout)


def left_behind(repository: Repository, record: UnfinishedMove) -> list[Behind]:
    """List the checkouts that have not followed a move that no living process works on."""
    return [
        _described(record, each) for each in record.checkouts if not _is_settled(repository, record, each)
    ]


def uncommitted(repository: Repository, ref: str, checkout: Checkout) -> tuple[str, ...]:
    """List the uncommitted changes of a checkout of a branch, without those of a landing under way.

    An apparent change may be a landing of another process that the files are just following. So before a
    person is told of changes, the checkout is read again while branch and index are locked.

    Raises:
        TargetBusyError: A living process is moving the branch.
    """
    if not uncommitted_changes(checkout):
        return ()
    with locked_record(repository, ref) as held_record:
        catch_up_held(repository, held_record, FILTER_TIME)
        held = index_hold.take(checkout, held_record.owner("a look at it"), is_dead=held_record.is_dead)
        try:
            return uncommitted_changes(checkout)
        finally:
            if not isinstance(held, str):
                held.release()


def catch_up_held(repository: Repository, held_record: HeldRecord, timeout: timedelta) -> tuple[Behind, ...]:
    """Update the checkouts that the held record names; return those that still cannot follow."""
    record = held_record.read()
    for present in checkouts_of(repository, held_record.ref):
        if present.is_there:
            remove_stages(present)
    if record is None:
        return ()
    remove_own(repository, record)
    move = Move(ref=record.ref, old=record.old, new=record.new, what=record.what)
    here = {str(each.git_dir): each for each in all_checkouts(repository)}
    left: list[PendingCheckout | None] = []
    for each in record.checkouts:
        checkout = here.get(each.git_dir)
        if checkout is None or _is_settled(repository, record, each):
            _tidy(repository, held_record, record, each, checkout)
        elif not checkout.is_there:
            left.append(_still(each, why_away(checkout, record.ref)))
        else:
            left.append(
                update_checkout(repository, held_record, move, checkout, timeout=timeout, owed_by=each)
            )
    return note(held_record, record, left)


def update_checkout(
    repository: Repository,
    held_record: HeldRecord,
    move: Move,
    checkout: Checkout,
    *,
    timeout: timedelta,
    owed_by: PendingCheckout | None = None,
) -> PendingCheckout | None:
    """Update a checkout from any state of its files; every edit of the person's stays."""
    head = head_of(repository, checkout)
    goal = _goal(repository, move, head or move.new, checkout)
    old = repository.tree_of(move.old)
    name = uuid.uuid4().hex[:12]
    follower = CheckoutFollower(repository, checkout, old=old, new=goal, name=name, timeout=timeout)
    try:
        if (who := follower.hold(held_record, move.what)) is not None:
            return _still(follower.following(), who)
        _remove_stage(repository, move, checkout, owed_by)
        if said := (in_progress(checkout) or follower.make_ready(is_again=True)):
            return _still(follower.following(), *said)
        follower.look()
        return follower.place()
    except OutsideFaultError as error:
        return _still(follower.following(), str(error))
    finally:
        follower.release()


def _goal(repository: Repository, move: Move, head: str, checkout: Checkout) -> str:
    """Return the tree that a checkout has to reach: that of HEAD, but for the person's staged changes.

    Commits that came onto the branch after the move are part of it: no checkout could follow these while this
    one was behind. A staged change is neither old nor new in the index.
    """
    old, there = repository.tree_of(move.old), repository.tree_of(head)
    staged = _changed_in_index(checkout, old) & _changed_in_index(checkout, there)
    changed = repository.changed_paths(old, there).keys() - staged
    return repository.splice(old, {path: repository.entry_at(there, path) for path in changed})


def _is_settled(repository: Repository, record: UnfinishedMove, each: PendingCheckout) -> bool:
    """Return whether a checkout holds nothing any more that the move should have changed."""
    checkout = next((one for one in all_checkouts(repository) if str(one.git_dir) == each.git_dir), None)
    if checkout is None:
        return True
    if not checkout.is_there:
        return False
    head = head_of(repository, checkout)
    if head is None or not repository.has_object(record.new) or not repository.is_ancestor(record.new, head):
        return True
    old = repository.tree_of(record.old)
    due = set(repository.changed_paths(old, repository.tree_of(head)))
    due &= repository.changed_paths(old, repository.tree_of(record.new)).keys()
    if due - _changed_in_index(checkout, old):
        return False
    return not any(digest(checkout, os.fsencode(path)) == was for path, was in each.kept.items())


def head_of(repository: Repository, checkout: Checkout) -> str | None:
    """Return the commit that a checkout's HEAD is at."""
    branch = checkout.branch()
    if branch is not None:
        return repository.ref_value(branch)
    said = (checkout.git_dir / "HEAD").read_text(encoding="ascii", errors="replace").strip()
    return said if re.fullmatch("[0-9a-f]{40}", said) else None


def _changed_in_index(checkout: Checkout, tree: str) -> set[bytes]:
    """Return the paths in which a checkout's index is not a tree."""
    options = ("--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=none")
    said = checkout.git("diff-index", *options, tree, "--")
    return {path for path in said.stdout.split(b"\0") if path}


def _tidy(
    repository: Repository,
    held_record: HeldRecord,
    record: UnfinishedMove,
    each: PendingCheckout,
    checkout: Checkout | None,
) -> None:
    """Remove the remains of a dead process beside a checkout that is in order."""
    if checkout is None or not checkout.is_there:
        return
    held = index_hold.take(checkout, held_record.owner(record.what), is_dead=held_record.is_dead)
    move = Move(ref=record.ref, old=record.old, new=record.new, what=record.what)
    _remove_stage(repository, move, checkout, each)
    if not isinstance(held, str):
        held.release()


def _remove_stage(
    repository: Repository, move: Move, checkout: Checkout, each: PendingCheckout | None
) -> None:
    if each is None or not each.stage:
        return
    if repository.has_object(move.new):  # else git has collected it since, and it never came onto the branch
        changed = repository.changed_paths(repository.tree_of(move.old), repository.tree_of(move.new))
        remove_copies(checkout, each.stage, changed)
    with contextlib.suppress(OSError):
        shutil.rmtree(Path(each.stage))


def _still(each: PendingCheckout, *why: str) -> PendingCheckout:
    return PendingCheckout(git_dir=each.git_dir, top=each.top, stage=each.stage, why=why, kept=each.kept)


def _described(record: UnfinishedMove, each: PendingCheckout) -> Behind:
    return Behind(
        ref=record.ref,
        top=each.top,
        old=record.old,
        new=record.new,
        what=record.what,
        why=each.why,
        kept=tuple(each.kept),
        since=record.since,
    )


def note(
    held_record: HeldRecord, record: UnfinishedMove, left: Sequence[PendingCheckout | None]
) -> tuple[Behind, ...]:
    """Write the checkouts that have not followed into the record, or clear it."""
    still = tuple(each for each in left if each is not None)
    if still:
        held_record.write(record.of(still))
    else:
        held_record.clear()
    return tuple(_described(record, each) for each in still)


def new_follower(
    repository: Repository, checkout: Checkout, old: str, new: str, timeout: timedelta
) -> CheckoutFollower:
    """Return the follower of a checkout from one commit to another."""
    trees = repository.tree_of(old), repository.tree_of(new)
    name = uuid.uuid4().hex[:12]
    return CheckoutFollower(repository, checkout, old=trees[0], new=trees[1], name=name, timeout=timeout)
