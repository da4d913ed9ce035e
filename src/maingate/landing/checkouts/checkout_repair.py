"""Repair of the checkouts of a repository: all remains of killed processes, in one go."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from maingate.git.repository import Repository
from maingate.landing.checkouts import index_hold
from maingate.landing.checkouts.behind import behind
from maingate.landing.checkouts.late_checkouts import FILTER_TIME, catch_up_held
from maingate.landing.checkouts.working_trees import Checkout, all_checkouts, branch_of, checkouts_of
from maingate.landing.move_values import Behind
from maingate.landing.owed_checkouts import locked_record, unfinished_moves
from maingate.landing.ref_locks import foreign_lock, locks_of

_SHORT: timedelta = timedelta(seconds=1)
"""Maximum wait for a lock of another git: a repair reports it instead."""


@dataclass(frozen=True, kw_only=True)
class CheckoutRepair:
    """The result of a repair.

    Args:
        brought: The checkouts that have followed now.
        left: Those that still cannot.
        removed: The lock files of dead processes of Maingate's that were removed.
        locks: Sentences about lock files of others, which stay.
    """

    brought: tuple[Behind, ...] = ()
    left: tuple[Behind, ...] = ()
    removed: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()

    @property
    def is_in_order(self) -> bool:
        """Return whether nothing is left to do."""
        return not self.left and not self.locks


def repair(repository: Repository, *, timeout: timedelta = FILTER_TIME) -> CheckoutRepair:
    """Update every checkout that has not followed its branch, and remove the locks of dead processes.

    Raises:
        TargetBusyError: A living process is moving one of the branches.
    """
    refs = {record.ref for record, _ in unfinished_moves(repository)}
    refs |= {
        branch for each in all_checkouts(repository) if (branch := branch_of(repository, each)) is not None
    }
    found = [_repair(repository, ref, timeout) for ref in sorted(refs)]
    return CheckoutRepair(
        brought=tuple(one for each in found for one in each.brought),
        left=tuple(one for each in found for one in each.left),
        removed=tuple(dict.fromkeys(one for each in found for one in each.removed)),
        locks=tuple(dict.fromkeys(one for each in found for one in each.locks)),
    )


def _repair(repository: Repository, ref: str, timeout: timedelta) -> CheckoutRepair:
    owing = behind(repository, ref)
    there = {path for path in _locks(repository, ref) if path.exists()}
    with locked_record(repository, ref) as held_record:
        left = catch_up_held(repository, held_record, timeout)
        said = []
        for checkout in checkouts_of(repository, ref):
            held = index_hold.take(
                checkout, held_record.owner("a repair"), is_dead=held_record.is_dead, patience=_SHORT
            )
            if isinstance(held, str):
                said.append(held)
            else:
                held.release()
        if (lock := foreign_lock(repository, ref)) is not None:
            said.append(lock)
    tops = {each.top for each in left}
    return CheckoutRepair(
        brought=tuple(each for each in owing if each.top not in tops),
        left=left,
        removed=tuple(sorted(str(path) for path in there if not path.exists())),
        locks=tuple(said),
    )


def _locks(repository: Repository, ref: str) -> list[Path]:
    return [*locks_of(repository, ref), *(_index_lock(each) for each in checkouts_of(repository, ref))]


def _index_lock(checkout: Checkout) -> Path:
    return checkout.index.with_name("index.lock")
