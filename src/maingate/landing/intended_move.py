"""The move of a target: its intent is on record before the ref moves, by compare-and-swap.

A run's landing and a rollback move a branch by one protocol, so that a process that is killed at any
instruction neither lands twice nor forgets that it has landed:

1. Before any gate runs, the checkouts of the branch are checked (`LandingTarget.require_ready`, `obstacle`).
2. The intent, from which commit to which, is recorded in a transaction in which the fence holds.
3. When everything is prepared, fence and intent are checked again; then the branch moves by compare-and-swap
   and its checkouts follow (`HeldTarget.move`).
4. The ledger and the end of the intent are recorded in one transaction.

A car of several workstreams has an intent for each, and moves the branch once. A run records steps 2 and 4
with the transitions of its decisions, a rollback through `HeldTarget.carry_out`.
After a crash between them the history of the branch says whether the intent was carried out
(`landing.unfinished_landing`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from maingate.clock import Clock
from maingate.db.dao import intents
from maingate.db.dao.intents import Intent
from maingate.db.engine import Database
from maingate.db.ledger import running_head
from maingate.db.sql.connection import Connection
from maingate.faultpoints import reach
from maingate.git.repository import RefMoved
from maingate.landing.ledger_trailers import seal
from maingate.landing.move import Obstruction, land
from maingate.landing.move_values import Behind, Move
from maingate.landing.target import LandingTarget

Moved = RefMoved | Obstruction | tuple[Behind, ...]
"""Result of a move: the reason why the branch was not moved, or the checkouts that have not followed it."""


@dataclass(frozen=True, kw_only=True)
class HeldTarget(LandingTarget):
    """A target whose lease this process holds: only this type moves the branch.

    Args:
        database: The record of intents and landings.
        fence: Raises when this process does not hold the target at this moment, or has lost a hold.
        clock: The time that the end of an intent is stamped with.
    """

    database: Database
    fence: Callable[[Connection], None]
    clock: Clock

    def move(self, move: Move, intent_ids: Sequence[str], *, kind: str = "landing") -> Moved:
        """Move the branch by compare-and-swap if its recorded intents still stand, and its checkouts along.

        Args:
            move: From which commit to which.
            intent_ids: The intents on record.
            kind: The intent's kind; it names the places at which tests end the process.

        Raises:
            LeaseLostError: Another process holds the target by now; nothing was changed.
            RecordError: An intent is not on record any more; nothing was changed.
            GitError: git could not move the branch.
            TargetBusyError: A living process is moving it.
        """
        came = land(
            self.repository,
            move,
            before=partial(self._require_intents, intent_ids, kind),
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
        came = self.move(move, [intent.id], kind=intent.kind)
        with self.fenced() as conn:
            if isinstance(came, RefMoved | Obstruction):
                intents.abandon(conn, intent.id, self.clock.now())
                return came
            book(conn)
        reach(f"{intent.kind}.booked")
        return came

    def sealing(self) -> Callable[[str], str]:
        """Return a function that makes a commit again with the present head of the ledger in its message."""
        with self.database.read() as conn:
            position = running_head.position(conn)
        record = self.database.record_id or ""
        return partial(seal, self.repository, record=record, position=str(position))

    def seal(self, commit: str) -> str:
        """Return the id of a commit made again with the present head of the ledger in its message."""
        return self.sealing()(commit)

    @contextmanager
    def fenced(self) -> Iterator[Connection]:
        """Return a writing transaction of a process that holds the target.

        Raises:
            LeaseLostError: Another process holds it by now; nothing was written.
        """
        with self.database.write() as conn:
            self.fence(conn)
            yield conn

    def _require_intents(self, intent_ids: Sequence[str], kind: str) -> None:
        """Raise unless this process may still move the branch, at the last moment before it does."""
        with self.database.read() as conn:
            self.fence(conn)
            for intent_id in intent_ids:
                intents.require(conn, intent_id)
        reach(f"{kind}.before-ref")
