"""The branch that patches land on: the one place where it is checked, moved and settled.

A run's landing and a rollback move it by one protocol, so that a process that is killed at any instruction
neither lands twice nor forgets that it has landed:

1. Before any gate runs, the checkouts of the branch are checked (`LandingTarget.require_ready`, `obstacle`).
2. The intent, from which commit to which, is recorded in a transaction in which the fence holds.
3. When everything is prepared, fence and intent are checked again; then the branch moves by compare-and-swap
   and its checkouts follow (`HeldTarget.move`).
4. The ledger and the end of the intent are recorded in one transaction.

A run records steps 2 and 4 with the transitions of its decisions, a rollback through `HeldTarget.carry_out`.
After a crash between them the history of the branch says whether the intent was carried out
(`LandingTarget.newest_landed`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from maingate.clock import Clock
from maingate.db.dao import intents
from maingate.db.dao.intents import Intent
from maingate.db.engine import Database
from maingate.db.ledger import running_head
from maingate.db.sql.connection import Connection
from maingate.errors import CheckoutError, RepositoryError
from maingate.faultpoints import reach
from maingate.git.repository import RefMoved, Repository
from maingate.landing.checkouts.behind import behind
from maingate.landing.checkouts.late_checkouts import FILTER_TIME, catch_up, uncommitted
from maingate.landing.checkouts.working_trees import checkouts_of, why_away
from maingate.landing.ledger_trailers import seal
from maingate.landing.move import Obstruction, land, obstacle
from maingate.landing.move_values import Behind, Move


class Meant(Protocol):
    """An intent, in memory or on record, as far as it is compared with the branch."""

    @property
    def new(self) -> str:
        """The commit that the branch was to move to."""
        ...


AnyMeant = TypeVar("AnyMeant", bound=Meant)

Moved = RefMoved | Obstruction | tuple[Behind, ...]
"""Result of a move: the reason why the branch was not moved, or the checkouts that have not followed it."""


@dataclass(frozen=True, kw_only=True)
class LandingTarget:
    """A branch that patches land on, for any process: it can be read and checked.

    Args:
        repository: The repository that has the branch.
        ref: Full name of the branch.
        timeout: How long git and a person's filters may take for the files of one checkout.
    """

    repository: Repository
    ref: str
    timeout: timedelta = FILTER_TIME

    def require_ready(self, *, is_trial: bool = False) -> None:
        """Raise unless every checkout of the branch has followed it so far and can follow it now.

        Args:
            is_trial: Whether nothing may be written, not even what an earlier landing owes to a checkout.

        Raises:
            RepositoryError: A checkout has uncommitted changes, or cannot be seen.
            CheckoutError: A checkout has not followed an earlier landing and cannot.
            TargetBusyError: A living process is moving the branch.
        """
        left = behind(self.repository, self.ref) if is_trial else self.catch_up()
        if left:
            raise CheckoutError(str(left[0]))
        for checkout in checkouts_of(self.repository, self.ref):
            if not checkout.is_there:
                raise RepositoryError(why_away(checkout, self.ref))
            if changes := uncommitted(self.repository, self.ref, checkout):
                raise RepositoryError(
                    f"{self.ref} is checked out in {checkout.top} with uncommitted changes "
                    f"({'; '.join(changes)}); "
                    "commit or stash them first"
                )

    def obstacle(self, move: Move) -> str | None:
        """Return why a checkout could not follow a move; None when all could."""
        return obstacle(self.repository, move, timeout=self.timeout)

    def catch_up(self) -> Sequence[Behind]:
        """Update the checkouts that an earlier process has left behind; return those that still are.

        Raises:
            TargetBusyError: A living process is moving the branch.
        """
        return catch_up(self.repository, self.ref, timeout=self.timeout)

    def head(self) -> str | None:
        """Return the commit that the branch is at; None when there is no such branch."""
        return self.repository.ref_value(self.ref)

    def newest_landed(self, meant: Sequence[AnyMeant], *, head: str) -> AnyMeant | None:
        """Return the newest of some intents whose commit is in the history of the branch; None without one.

        Args:
            meant: Intents to move the branch, oldest first.
            head: The commit that the branch is at.
        """
        return next((each for each in reversed(meant) if self.contains(each.new, head=head)), None)

    def contains(self, commit: str, *, head: str) -> bool:
        """Return whether a commit is in the history of the branch, at a head of it."""
        return self.repository.has_object(commit) and self.repository.is_ancestor(commit, head)


@dataclass(frozen=True, kw_only=True)
class HeldTarget(LandingTarget):
    """A target whose lease this process holds: only this type moves the branch.

    Args:
        database: The record of intents and landings.
        fence: Raises when this process does not hold the target any more.
        clock: The time that the end of an intent is stamped with.
    """

    database: Database
    fence: Callable[[Connection], None]
    clock: Clock

    def move(self, move: Move, intent_id: str, *, kind: str = "landing") -> Moved:
        """Move the branch by compare-and-swap if its recorded intent still stands, and its checkouts along.

        Args:
            move: From which commit to which.
            intent_id: The intent on record.
            kind: The intent's kind; it names the places at which tests end the process.

        Raises:
            LeaseLostError: Another process holds the target by now; nothing was changed.
            RecordError: The intent is not on record any more; nothing was changed.
            GitError: git could not move the branch.
            TargetBusyError: A living process is moving it.
        """
        came = land(
            self.repository,
            move,
            before=partial(self._require_intent, intent_id, kind),
            after=lambda: reach(f"{kind}.after-ref"),
            timeout=self.timeout,
        )
        if isinstance(came, tuple):
            reach(f"{kind}.after-checkout")
        return came

    def carry_out(self, intent: Intent, move: Move, *, book: Callable[[Connection], None]) -> Moved:
        """Record an intent, move the branch, and record the outcome.

        Args:
            intent: The intent; it is abandoned when the branch was not moved.
            move: The same for git and for people.
            book: Writes the ledger and settles the intent, in one transaction, when the branch has moved.

        Raises:
            OutsideFaultError: See `move`.
        """
        with self.fenced() as conn:
            intents.record(conn, intent)
        reach(f"{intent.kind}.intent")
        came = self.move(move, intent.id, kind=intent.kind)
        with self.fenced() as conn:
            if isinstance(came, RefMoved | Obstruction):
                intents.abandon(conn, intent.id, self.clock.now())
                return came
            book(conn)
        reach(f"{intent.kind}.booked")
        return came

    def seal(self, commit: str) -> str:
        """Return the id of a commit made again with the present head of the ledger in its message."""
        with self.database.read() as conn:
            position = running_head.position(conn)
        record = self.database.record_id or ""
        return seal(self.repository, commit, record=record, position=str(position))

    @contextmanager
    def fenced(self) -> Iterator[Connection]:
        """Return a writing transaction of a process that holds the target.

        Raises:
            LeaseLostError: Another process holds it by now; nothing was written.
        """
        with self.database.write() as conn:
            self.fence(conn)
            yield conn

    def _require_intent(self, intent_id: str, kind: str) -> None:
        """Raise unless this process may still move the branch, at the last moment before it does."""
        with self.database.read() as conn:
            self.fence(conn)
            intents.require(conn, intent_id)
        reach(f"{kind}.before-ref")
