"""Moving a branch together with its checkouts, in a landing and a rollback alike: lock, check, move.

Either the branch moves and every checkout of it follows, or it does not move and the reason is returned.
When a checkout cannot follow after all, or the process is killed, the record beside the repository names the
checkouts that are owed an update until it is done, and `catch_up` does it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from maingate.errors import GitError
from maingate.faultpoints import reach
from maingate.git.repository import RefMoved, Repository
from maingate.landing.checkouts.checkout_state import in_progress
from maingate.landing.checkouts.follower import CheckoutFollower
from maingate.landing.checkouts.late_checkouts import (
    FILTER_TIME,
    catch_up_held,
    head_of,
    new_follower,
    note,
    update_checkout,
)
from maingate.landing.checkouts.working_trees import Checkout, branch_of, checkouts_of, why_away
from maingate.landing.move_values import Behind, Move
from maingate.landing.owed_checkouts import HeldRecord, PendingCheckout, UnfinishedMove, locked_record
from maingate.landing.ref_locks import foreign_lock, locks_of, remove_own


@dataclass(frozen=True, kw_only=True)
class Obstruction:
    """The reason why a branch was not moved: a checkout of it could not follow."""

    message: str


def land(
    repository: Repository,
    move: Move,
    *,
    before: Callable[[], None],
    after: Callable[[], None],
    timeout: timedelta = FILTER_TIME,
) -> RefMoved | Obstruction | tuple[Behind, ...]:
    """Move a branch if it is where it is expected, and every checkout of it along.

    Args:
        repository: The repository.
        move: The branch, from which commit to which.
        before: Called when all is ready, at the last moment at which nothing was changed; may raise.
        after: Called when the branch has moved and its checkouts have not.
        timeout: How long git and the person's filters may take for the files of a checkout.

    Returns:
        The checkouts that have not followed after all, most often none; else why nothing was changed.

    Raises:
        GitError: git could not move it, for another reason.
        TargetBusyError: A living process is moving it.
    """
    with locked_record(repository, move.ref) as held_record:
        if left := catch_up_held(repository, held_record, timeout):
            return Obstruction(message=str(left[0]))
        if repository.ref_value(move.ref) != move.old:
            return _moved(repository, move)
        followers = _followers(repository, move, timeout)
        if isinstance(followers, Obstruction):
            return followers
        with ExitStack() as held:
            for follower in followers:
                held.callback(follower.release)
            if (said := _hold_and_look(repository, held_record, move, followers)) is not None:
                return said
            return _move(repository, held_record, move, followers, before=before, after=after)


def obstacle(repository: Repository, move: Move, *, timeout: timedelta = FILTER_TIME) -> str | None:
    """Return why a checkout of a branch could not follow it; None when all could. Changes nothing."""
    with locked_record(repository, move.ref) as held_record:
        followers = _followers(repository, move, timeout)
        if isinstance(followers, Obstruction):
            return followers.message
        with ExitStack() as held:
            for follower in followers:
                held.callback(follower.release)
            said = _hold_and_look(repository, held_record, move, followers)
    return said.message if isinstance(said, Obstruction) else None


# -- moving --------------------------------------------------------------------------------------------------


def _followers(
    repository: Repository, move: Move, timeout: timedelta
) -> list[CheckoutFollower] | Obstruction:
    """Prepare the new files of each checkout of the branch; no checkout is locked or changed yet."""
    found = []
    for checkout in checkouts_of(repository, move.ref):
        if not checkout.is_there:
            return Obstruction(message=why_away(checkout, move.ref))
        found.append(new_follower(repository, checkout, move.old, move.new, timeout))
    for place, follower in enumerate(found):
        if problems := (in_progress(follower.checkout) or follower.make_ready()):
            for each in found[: place + 1]:
                each.release()
            return _cannot_follow(move, follower.checkout, problems)
    return found


def _hold_and_look(
    repository: Repository, held_record: HeldRecord, move: Move, followers: Sequence[CheckoutFollower]
) -> RefMoved | Obstruction | None:
    """Lock every checkout's index, and return why one cannot follow."""
    for follower in followers:
        if (who := follower.hold(held_record, move.what)) is not None:
            return _cannot_follow(move, follower.checkout, (who,))
    for follower in followers:
        if branch_of(repository, follower.checkout) == move.ref and (said := follower.blockers()):
            if repository.ref_value(move.ref) != move.old:
                return _moved(repository, move)
            return _cannot_follow(move, follower.checkout, said)
    lock = foreign_lock(repository, move.ref)
    return None if lock is None else Obstruction(message=lock)


def _cannot_follow(move: Move, checkout: Checkout, said: Sequence[str]) -> Obstruction:
    return Obstruction(
        message=f"the checkout of {move.ref} in {checkout.top} cannot follow: {'; '.join(said)}"
    )


def _moved(repository: Repository, move: Move) -> RefMoved:
    return RefMoved(ref=move.ref, expected=move.old, found=repository.ref_value(move.ref))


def _move(
    repository: Repository,
    held_record: HeldRecord,
    move: Move,
    followers: Sequence[CheckoutFollower],
    *,
    before: Callable[[], None],
    after: Callable[[], None],
) -> RefMoved | tuple[Behind, ...]:
    record = UnfinishedMove(
        ref=move.ref,
        old=move.old,
        new=move.new,
        what=move.what,
        locks=tuple(str(path) for path in locks_of(repository, move.ref)),
        checkouts=tuple(follower.following() for follower in followers),
    )
    held_record.write(record)
    reach("checkouts.owed")
    try:
        before()
        moved = _update(repository, held_record, record, move.message)
    except BaseException:
        if repository.ref_value(move.ref) == move.old:
            held_record.clear()
        raise
    if moved is not None:
        held_record.clear()
        return moved
    after()
    left = [follower.place() for follower in followers if _has_followed_head(repository, follower, move)]
    for follower in followers:
        follower.release()
    return note(held_record, record, [*left, *_latecomers(repository, held_record, move, followers)])


def _update(
    repository: Repository, held_record: HeldRecord, record: UnfinishedMove, message: str
) -> RefMoved | None:
    """Move the ref; the git that does it holds the record too, until it has ended."""
    try:
        moved = repository.update_ref(
            record.ref, record.new, record.old, message=message, keep_open=(held_record.held,)
        )
    except GitError:
        remove_own(repository, record)
        raise
    if moved is not None and moved.found == record.new:  # git was ended when all was done
        remove_own(repository, record)
        return None
    return moved


def _has_followed_head(repository: Repository, follower: CheckoutFollower, move: Move) -> bool:
    """Return whether a checkout's HEAD is at the new commit: it may have left the branch meanwhile."""
    return head_of(repository, follower.checkout) == move.new


def _latecomers(
    repository: Repository, held_record: HeldRecord, move: Move, followers: Sequence[CheckoutFollower]
) -> Iterator[PendingCheckout | None]:
    """Update a checkout that came to the branch at the last moment, with the files of the old commit."""
    known = {follower.checkout.git_dir for follower in followers}
    for checkout in checkouts_of(repository, move.ref):
        if checkout.git_dir not in known and checkout.is_there:
            yield update_checkout(repository, held_record, move, checkout, timeout=FILTER_TIME)
