"""Recording rollbacks: the ledger and the event of one that happened, the refusal of one that did not."""

from collections.abc import Sequence

from maingate.clock import Clock
from maingate.db.dao import intents, patches
from maingate.db.dao.history import events
from maingate.db.dao.intents import Intent
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.ledger.new_event import new_event, the_run
from maingate.db.sql.connection import Connection
from maingate.db.transitions import write
from maingate.events import EventType, Severity
from maingate.landing.target import LandingTarget
from maingate.landing.unfinished_landing import newest_landed
from maingate.reasons import Reason, ReasonCode
from maingate.state.patch_ledger import PatchState
from maingate.state.steps import patches as patch_steps


def book(conn: Connection, intent: Intent, clock: Clock) -> None:
    """Record that a rollback has happened, in the caller's transaction: ledger, event and intent."""
    at = clock.now()
    rows = patches.get_many(conn, intent.commits)
    there = [row for row in rows.values() if row.state is PatchState.COMMITTED]
    steps = [
        patch_steps.roll_back(
            row, _reason_for(intent, row), operator=intent.operator, metadata=_facts(intent, row)
        )
        for row in there
    ]
    write(conn, {row.id: row.head for row in there}, steps, at=at)
    event = new_event(
        EventType.ROLLBACK,
        the_run(intent.run_id),
        clock.now(),
        severity=Severity.CRITICAL,
        operator=intent.operator,
        reason=intent.reason,
        metadata={
            "rollback": intent.id,
            "ref": intent.ref,
            "old": intent.old,
            "new": intent.new,
            "patches": sorted(rows),
        },
    )
    events.record(conn, event)
    intents.landed(conn, intent.id, at)


def refuse(
    conn: Connection,
    run: RunRow,
    clock: Clock,
    *,
    rollback: str,
    patch_ids: Sequence[str],
    asked: str,
    operator: str,
    reason: Reason,
) -> None:
    """Record that a rollback was refused.

    Args:
        conn: A writing transaction.
        run: The run.
        clock: The time.
        rollback: The id of the rollback.
        patch_ids: The patches that it was to take back.
        asked: The reason that its operator gave.
        operator: The operator.
        reason: Why it was refused.
    """
    facts = {"rollback": rollback, "asked": asked, "patches": list(patch_ids)}
    event = new_event(
        EventType.ROLLBACK_REFUSED,
        run.head,
        clock.now(),
        severity=Severity.WARNING,
        operator=operator,
        reason=reason,
        metadata=facts,
    )
    events.record(conn, event)


def settle(
    conn: Connection, target: LandingTarget, intent: Intent, clock: Clock
) -> tuple[bool, tuple[str, ...]]:
    """Finish, or give up, a rollback whose process was ended; the caller holds the target.

    Args:
        conn: A writing transaction.
        target: The branch that the rollback was to move.
        intent: A pending rollback.
        clock: The time.

    Returns:
        Whether the branch has it, so that the ledger moved too; and why a checkout did not follow.
    """
    head = target.head()
    if head is None or newest_landed(target.repository, [intent], head=head) is None:
        intents.abandon(conn, intent.id, clock.now())
        return False, ()
    notes = tuple(str(left) for left in target.catch_up())
    book(conn, intent, clock)
    return True, notes


def _reason_for(intent: Intent, row: PatchRow) -> Reason:
    why = intent.reason.message if intent.reason is not None else ""
    return Reason(
        code=ReasonCode.ROLLED_BACK, message=f"{intent.operator}: {why}", detail=_facts(intent, row)
    )


def _facts(intent: Intent, row: PatchRow) -> dict[str, object]:
    commit = intent.commits[row.id]
    return {"rollback": intent.id, "commit": commit or None, "by_hand": not commit}
