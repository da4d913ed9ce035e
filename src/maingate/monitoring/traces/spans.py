"""Spans of what has ended, made of the ledger: run, workstream, task, attempt, patch, gate, landing.

A span is made when the event that ends it comes, of the events up to that one alone. So it is the same span
whenever and however often that is done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from maingate.db.dao import gates, patches, runs, tasks, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.history import events
from maingate.db.dao.history.events import StateReached
from maingate.db.sql.connection import Connection
from maingate.events import Event
from maingate.state.machines import MACHINES
from maingate.trace_ids import RunTrace, span_id_of
from maingate.wording import short

Attribute = str | int | bool

_STARTS: Final[Mapping[str, str | None]] = {
    "run": None,
    "workstream": "ready",
    "task": "queued",
    "patch_ledger": None,
    "test_gate": "RUNNING",
}
"""The state in which the span of an entity begins; None for its creation. The wait before that is no work."""

_GOOD: Final = frozenset({"succeeded", "completed", "committed", "PASSED"})
_BAD: Final = frozenset({"failed", "retrying", "quarantined", "FAILED"})
"""The states at the end of a span that make its status; another one, such as cancelled, leaves it open."""

_AT_WORK: Final = frozenset({"running", "validating"})
"""The states of a task during an attempt."""

_MESSAGE_CHARACTERS: Final = 300


@dataclass(frozen=True, kw_only=True)
class TraceSpan:
    """A span.

    Args:
        name: Its name.
        run: The trace that it is in.
        id: Its identifier.
        parent: The identifier of the span that it belongs to; None for that of a run of its own trace.
        start: Its beginning.
        end: Its end.
        attributes: Its attributes.
        is_good: Whether the work came to a good end; None when it was neither a success nor a failure.
        failure: Why it failed.
        link: The identifier of the attempt that it repeats.
    """

    name: str
    run: RunTrace
    id: int
    parent: int | None
    start: datetime
    end: datetime
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    is_good: bool | None = None
    failure: str = ""
    link: int | None = None


def spans_of(conn: Connection, batch: Sequence[Event]) -> list[TraceSpan]:
    """Return the spans that events end.

    Args:
        conn: A reading transaction of the record.
        batch: Events in the order of the ledger.
    """
    ending = [event for event in batch if _ends_something(event)]
    return list(_Spans(conn, ending).made()) if ending else []


def run_of(event: Event) -> str:
    """Return the run that an event belongs to; empty for one of no run."""
    return str(event.run_id or (event.entity_id if event.entity_type == "run" else None) or "")


def _ends_something(event: Event) -> bool:
    """Return whether a span ends with an event."""
    if not event.is_transition or event.from_state is None or event.entity_type not in _STARTS:
        return False
    if event.entity_type == "patch_ledger":
        return event.to_state in {"committed", "quarantined", "dropped"} and event.from_state != "quarantined"
    is_over = MACHINES[str(event.entity_type)].is_terminal(str(event.to_state))
    return is_over or (event.entity_type == "task" and event.to_state == "retrying")


class _Spans:
    """The spans that some events end, and all that has to be read for them.

    Args:
        conn: A reading transaction of the record.
        ending: The events.
    """

    def __init__(self, conn: Connection, ending: Sequence[Event]) -> None:
        self._ending = ending
        ids: dict[str, set[str]] = {machine: set() for machine in _STARTS}
        for event in ending:
            ids[str(event.entity_type)].add(str(event.entity_id))
            ids["run"].add(run_of(event))
            ids["workstream"].update([event.workstream_id] if event.workstream_id else [])
            ids["task"].update([event.task_id] if event.task_id else [])
        self._rows: Mapping[str, Any] = {
            **runs.get_many(conn, ids["run"]),
            **workstreams.get_many(conn, ids["workstream"]),
            **tasks.get_many(conn, ids["task"]),
            **patches.get_many(conn, ids["patch_ledger"]),
            **gates.get_many(conn, ids["test_gate"]),
        }
        self._histories = events.states_of(conn, self._rows)

    def made(self) -> Iterator[TraceSpan]:
        """Return the spans."""
        for event in self._ending:
            if event.entity_type == "task":
                yield from self._attempt(event)
                if event.to_state == "retrying":
                    continue
            if event.entity_type == "workstream" and event.from_state == "validating":
                yield self._landing(event)
            if (span := self._whole(event)) is not None:
                yield span

    def _whole(self, event: Event) -> TraceSpan | None:
        """Return the span of an entity; None for a gate that never ran."""
        wanted = _STARTS[str(event.entity_type)]
        before = self._before(event)
        begun = before[:1] if wanted is None else [each for each in before if each.state == wanted][:1]
        if not begun and event.entity_type == "test_gate":
            return None
        start = begun[0].at if begun else event.timestamp
        name, attributes = self._described(event)
        return self._span(
            event, name, span_id_of(str(event.entity_id)), self._parent(event), start, attributes=attributes
        )

    def _attempt(self, event: Event) -> Iterator[TraceSpan]:
        """Return the span of the attempt of a task that an event ends, linked with the one before."""
        begun = [each for each in self._before(event) if each.state == "running"]
        if event.from_state not in _AT_WORK or not begun:
            return
        task_id, number = str(event.entity_id), len(begun)
        _, attributes = self._described(event)
        link = span_id_of(task_id, "attempt", str(number - 1)) if number > 1 else None
        yield self._span(
            event,
            f"attempt {number}",
            span_id_of(task_id, "attempt", str(number)),
            span_id_of(task_id),
            begun[-1].at,
            attributes={**attributes, "maingate.attempt": number},
            link=link,
        )

    def _landing(self, event: Event) -> TraceSpan:
        """Return the span from the last task of a workstream to its landing."""
        begun = [each for each in self._before(event) if each.state == "validating"][-1]
        stream = str(event.entity_id)
        _, attributes = self._described(event)
        return self._span(
            event,
            "landing",
            span_id_of(stream, "landing"),
            span_id_of(stream),
            begun.at,
            attributes=attributes,
        )

    def _parent(self, event: Event) -> int | None:
        """Return the span that the span of an entity belongs to."""
        row = self._rows[str(event.entity_id)]
        match event.entity_type:
            case "run":
                caller = self._trace(event).caller
                return None if caller is None else caller.id
            case "workstream":
                return span_id_of(row.run_id)
            case "task":
                return span_id_of(row.workstream_id)
            case "patch_ledger":
                return span_id_of(row.task_id, "attempt", str(self._attempt_of(row.task_id, event)))
            case _:
                return self._judged_by(row, event)

    def _judged_by(self, row: GateRow, event: Event) -> int:
        """Return the span of the patch or landing that a gate judges, or else that of its workstream."""
        if row.patch_id is not None:
            return span_id_of(row.patch_id)
        if row.workstream_id is None:
            return span_id_of(row.run_id)
        begun = self._before(event)[0].seq
        states = [each.state for each in self._histories[row.workstream_id] if each.seq <= begun]
        return span_id_of(row.workstream_id, *(["landing"] if states[-1] == "validating" else []))

    def _attempt_of(self, task_id: str, event: Event) -> int:
        """Return the number of the attempt of a task that made a patch."""
        made = self._before(event)[0].seq
        history = self._histories.get(task_id, [])
        return sum(each.state == "running" and each.seq <= made for each in history)

    def _described(self, event: Event) -> tuple[str, dict[str, Attribute]]:
        """Return the name of the span of an entity, and its attributes."""
        row = self._rows[str(event.entity_id)]
        given: dict[str, Attribute | None] = {"maingate.run.id": run_of(event)}
        kind = str(event.entity_type)
        for above, its_id in (("workstream", event.workstream_id), ("task", event.task_id)):
            if (found := str(event.entity_id) if kind == above else its_id) is not None:
                given |= {f"maingate.{above}.id": found, f"maingate.{above}.name": self._rows[found].name}
        match event.entity_type:
            case "run":
                name = "run"
                given |= {"maingate.run.name": row.name, "maingate.target": row.target_ref}
            case "patch_ledger":
                name = "patch"
                given |= {"maingate.patch.id": row.id, "maingate.patch.files": row.files}
                given |= {
                    "maingate.patch.insertions": row.insertions,
                    "maingate.patch.deletions": row.deletions,
                }
            case "test_gate":
                name = f"gate {row.name}"
                given |= {"maingate.gate.id": row.id, "maingate.gate.name": row.name}
                given |= {"maingate.gate.type": row.type, "maingate.gate.executions": row.attempts}
                given |= {"maingate.gate.flaky": row.is_flaky, "maingate.gate.exit_code": row.exit_code}
                given |= {"maingate.gate.fault": row.fault, "maingate.patch.id": row.patch_id}
            case _:
                name = f"{kind} {row.name}"
                given |= {"maingate.task.kind": row.kind} if kind == "task" else {}
        return name, {key: value for key, value in given.items() if value is not None}

    def _before(self, event: Event) -> list[StateReached]:
        """Return the states that an entity has reached up to an event."""
        history = self._histories.get(str(event.entity_id), [])
        return [each for each in history if each.seq <= (event.seq or 0)]

    def _trace(self, event: Event) -> RunTrace:
        """Return the trace of the run that an event belongs to."""
        run = self._rows[run_of(event)]
        return RunTrace.of(run.id, run.traceparent)

    def _span(
        self,
        event: Event,
        name: str,
        span: int,
        parent: int | None,
        start: datetime,
        *,
        attributes: Mapping[str, Attribute],
        link: int | None = None,
    ) -> TraceSpan:
        """Return a span that an event ends."""
        reason = event.reason or {}
        ends: dict[str, Attribute] = {"maingate.state": str(event.to_state)}
        if "code" in reason:
            ends["maingate.reason"] = str(reason["code"])
        message = str(reason.get("message") or event.trigger or "").strip().partition("\n")[0]
        is_bad = event.to_state in _BAD
        return TraceSpan(
            name=name,
            run=self._trace(event),
            id=span,
            parent=parent,
            start=start,
            end=max(start, event.timestamp),  # a clock may be set back
            attributes={**attributes, **ends},
            is_good=False if is_bad else (True if event.to_state in _GOOD else None),
            failure=short(message, _MESSAGE_CHARACTERS) if is_bad else "",
            link=link,
        )
