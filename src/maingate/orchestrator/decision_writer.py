"""Writing what a decision of the core records besides transitions: patches, intents, answers, events."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Protocol, cast

from maingate.clock import Clock
from maingate.commits import LandingIntent
from maingate.db.dao import (
    artifacts,
    holds,
    intents,
    patches,
    queue_items,
    requests,
    runs,
    tool_runs,
    verdicts,
)
from maingate.db.dao.history import events
from maingate.db.dao.intents import Intent
from maingate.db.dao.queue_items import OfferedItemRow
from maingate.db.dao.verdicts import Evidence
from maingate.db.ledger.new_event import new_event, the_run
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType, Severity
from maingate.ids import RunId
from maingate.orchestrator.core.decision import Decision, GateEvidence, OverrideRecord
from maingate.orchestrator.core.effect_inputs import RunInput
from maingate.orchestrator.core.queue_items import (
    QueueAnswer,
    QueueItem,
    QueueStep,
    Recall,
    Removal,
    Taking,
)
from maingate.orchestrator.recorder import Write
from maingate.recovery.breaker_and_patch_overrides import override_event
from maingate.recovery.breaker_store import write_update
from maingate.state.steps.step import Head


class OfferedRow(Protocol):
    """Makes the row of a workstream that is handed to the process which holds the target."""

    def __call__(self, item: QueueItem, /) -> OfferedItemRow:
        """Return the row."""
        ...


def writes_of(decision: Decision, run: RunInput, clock: Clock, offered: OfferedRow) -> Sequence[Write]:
    """Return what the recorder has to write for a decision besides its transitions."""
    return [partial(write, decision, run, clock, offered)] if decision.has_rows else []


def write(
    decision: Decision, run: RunInput, clock: Clock, offered: OfferedRow, conn: Connection
) -> Sequence[Head]:
    """Write the rows of a decision; return the heads of the entities that it created."""
    at = clock.now()
    # The rows are the shell's; the core passes them on and knows their identity only.
    taken = [cast("patches.PatchRow", row) for row, _ in decision.patches]
    rows = patches.insert_many(conn, taken, at=at)
    artifacts.store_many(conn, {row.id: diff for row, diff in decision.patches})
    verdicts.attach(conn, *(_evidence(each, at) for each in decision.evidence))
    for intent in decision.intents:
        intents.record(conn, _row(intent, run, at))
    if decision.target is not None:
        runs.record_head(conn, run.id, decision.target)
    for intent_id in decision.intents_landed:
        intents.landed(conn, intent_id, at)
    for intent_id in decision.intents_abandoned:
        intents.abandon(conn, intent_id, at)
    for step in decision.queue:
        _write_step(conn, step, offered)
    for answer in decision.answers:
        requests.answer(conn, answer, at)
    for override in decision.overrides:
        events.record(conn, decision_event(override, at))
    tool_runs.record(conn, decision.tool_runs)
    for change in decision.breakers:
        write_update(conn, change, at)
    holds.publish(conn, run.id, decision.holds)
    return [row.head for row in rows]


def _write_step(conn: Connection, step: QueueStep, offered: OfferedRow) -> None:
    """Write a step of a hand-over between processes."""
    match step:
        case QueueItem():
            queue_items.offer(conn, offered(step))
        case Recall(workstream=workstream):
            queue_items.want_back(conn, [workstream])
        case Removal(workstream=workstream):
            queue_items.remove(conn, [workstream])
        case Taking(workstream=workstream):
            queue_items.take(conn, workstream)
        case QueueAnswer():
            queue_items.answer(
                conn, step.workstream, step.state, reason=step.reason, is_blamed=step.is_blamed
            )


def decision_event(override: OverrideRecord, at: datetime) -> Event:
    """Return the event that records an operator's decision."""
    return override_event(
        override.head,
        override.override,
        state=override.state,
        message=override.message,
        operator=override.operator,
        at=at,
    )


def _evidence(proof: GateEvidence, at: datetime) -> Evidence:
    return Evidence(
        subject_kind="workstream",
        subject_id=proof.workstream,
        gate_name=proof.gate,
        tree=proof.tree,
        gate_id=proof.gate_id,
        reused=proof.is_reused,
        created_at=at,
    )


def _row(intent: LandingIntent, run: RunInput, at: datetime) -> Intent:
    return Intent(
        id=intent.id,
        run_id=intent.run,
        workstream_id=intent.workstream,
        ref=run.target,
        old=intent.old,
        new=intent.new,
        commits={str(patch): commit for patch, commit in intent.commits.items()},
        created_at=at,
    )


def write_events(found: Sequence[Event], conn: Connection) -> Sequence[Head]:
    """Write events; they create no entity."""
    for event in found:
        events.record(conn, event)
    return ()


def write_warning(conn: Connection, run_id: RunId, text: str, at: datetime) -> None:
    """Write a warning about a run."""
    event = new_event(EventType.WARNING, the_run(run_id), at, severity=Severity.WARNING, reason=text)
    events.record(conn, event)
