"""The queue of a target in the public JSON form, for the command line, the API and pages.

While a process controls the target, it says what is on board (`maingate.orchestrator.queue_publisher`), and
is behind by half a second or a little more. Without one, the rows say what waits for the next process.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from maingate.db.dao import queue_controls, runs, workstreams
from maingate.db.dao.runs import RunRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.events import iso_millis
from maingate.git.targets import resolve_target, short_name
from maingate.landing.lease import key_of
from maingate.queries.waits.handed_over import to_let_go
from maingate.queries.waits.run_rows import has_ended
from maingate.queries.waits.server_line import NamedRun, ServerLine, server_lines
from maingate.queries.waits.target_rows import read_holder
from maingate.repository_context import RepositoryContext
from maingate.state.landing_terms import TermsDifference
from maingate.state.queue_control import ENDED_BY_PERSON, OrderInForce, QueueControl, QueueOrder, in_force
from maingate.state.workstream import WorkstreamState

Json = dict[str, Any]

_NOTHING: Final[Mapping[str, Any]] = {"members": [], "tests": [], "blocker": None, "conflicts": []}
"""A view without anything on board."""


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The rows about a target: its unfinished runs, their open workstreams, the orders that are not over."""

    ref: str
    now: datetime
    unfinished: Sequence[RunRow]
    workstreams: Sequence[WorkstreamRow]
    controls: Sequence[QueueControl]
    view: Mapping[str, Any] | None
    at: datetime
    writer: NamedRun | None
    at_work: Collection[str]
    lines: Mapping[str, ServerLine]

    @property
    def orders(self) -> Sequence[OrderInForce]:
        """The orders that are in force now."""
        return in_force(self.controls, self.now)


def queue_target(context: RepositoryContext, name: str | None) -> str:
    """Return the full name of the branch whose queue is meant.

    Args:
        context: The repository and its record.
        name: A branch, short or in full; None for that of the only unfinished runs, else the checked-out one.

    Raises:
        RepositoryError: There is no such branch.
    """
    if name is None:
        with context.database.read() as conn:
            used = {run.target_ref for run in runs.unfinished(conn) if context.is_own(run)}
        if len(used) == 1:
            return used.pop()
    return resolve_target(context.repository, name, opened_at=context.repository.git_dir).ref


def queues_in_use(context: RepositoryContext) -> list[str]:
    """Return the branches that unfinished runs are to land on, or whose queues are under orders."""
    with context.database.read() as conn:
        used = {run.target_ref for run in runs.unfinished(conn) if context.is_own(run)}
        ordered = queue_controls.of_repository(conn, context.identity.id)
    now = context.clock.now()
    return sorted(used | {order.key.rpartition("#")[2] for order in ordered if not order.is_over(now)})


def queue_report(context: RepositoryContext, ref: str) -> Json:
    """Return the queue of a target in the public JSON form.

    Args:
        context: The repository and its record.
        ref: The full name of the branch.
    """
    with context.database.read() as conn:
        rows = _read(context, conn, ref)
    view = _from_rows(rows) if rows.view is None else rows.view
    names = {stream.id: stream.name for stream in rows.workstreams}
    names |= {member["id"]: member["name"] for member in view["members"]}
    on_board = [_member_json(place, member, view, rows) for place, member in enumerate(view["members"], 1)]
    placed = {member["id"] for member in on_board}
    return {
        "target": {"ref": ref, "name": short_name(ref)},
        "alive": rows.view is not None or bool(rows.at_work),
        "run_id": None if rows.writer is None else rows.writer.id,
        "run_name": None if rows.writer is None else rows.writer.name,
        "at": iso_millis(rows.at),
        "runs": [_run_json(run, rows) for run in rows.unfinished],
        "orders": [order_json(each, rows.now) for each in rows.controls],
        "on_board": on_board,
        "kept_waiting": [_kept_json(each, rows) for each in view.get("kept_waiting", ())],
        "tests": [_test_json(test, names) for test in view["tests"]],
        "blocked_by": view["blocker"],
        "conflicts": [[_named(one, names) for one in pair] for pair in view["conflicts"]],
        "not_on_board": sum(stream.id not in placed for stream in rows.workstreams),
        "next_action": _next_action(rows, is_empty=not on_board),
    }


def _read(context: RepositoryContext, conn: Connection, ref: str) -> _Rows:
    now, key = context.clock.now(), key_of(context.identity.id, ref)
    unfinished = [run for run in runs.unfinished(conn) if context.is_own(run) and run.target_ref == ref]
    holder = read_holder(conn, key, now)
    lands = holder if holder is not None and holder.run is not None else None  # other work lands nothing
    return _Rows(
        ref=ref,
        now=now,
        unfinished=unfinished,
        workstreams=[
            stream
            for run in unfinished
            for stream in workstreams.of_run(conn, run.id)
            if not has_ended(stream)
        ],
        controls=[each for each in queue_controls.of_target(conn, key) if not each.is_over(now)],
        view=None if lands is None else lands.view or _NOTHING,
        at=now if lands is None else lands.at or now,
        writer=None if lands is None else lands.run,
        at_work={run.id for run in unfinished if context.is_at_work(conn, run)},
        lines=server_lines(context, conn, unfinished),
    )


def _from_rows(rows: _Rows) -> Mapping[str, Any]:
    """Return what is known of a queue without a process: the workstreams that are done with their tasks."""
    members = [
        {"id": stream.id, "name": stream.name, "run_id": stream.run_id, "state": "waiting", "held_by": None}
        for stream in rows.workstreams
        if stream.state is WorkstreamState.VALIDATING
    ]
    return {**_NOTHING, "members": members}


def _run_json(run: RunRow, rows: _Rows) -> Json:
    """Return a run that has not ended; of one that a server is to take up, its place in the line."""
    line = rows.lines.get(run.id)
    return {
        "id": run.id,
        "name": run.name,
        "alive": run.id in rows.at_work,
        "line": None
        if line is None
        else {"place": line.place, "limit": line.limit, "why": f"waits for {line.waits_for}"},
    }


def _kept_json(kept: Mapping[str, Any], rows: _Rows) -> Json:
    """Return a workstream that waits until its own process has the target, and why."""
    differences = [TermsDifference.from_json(one) for one in kept["differences"]]
    why = "" if rows.writer is None else to_let_go(rows.writer, short_name(rows.ref), differences)
    return {**kept, "why": f"waits for {why}"}


def _member_json(place: int, member: Mapping[str, Any], view: Mapping[str, Any], rows: _Rows) -> Json:
    tested = [test["id"] for test in view["tests"] if member["id"] in test["contains"]]
    return {
        "place": place,
        "id": member["id"],
        "name": member["name"],
        "run_id": member["run_id"],
        "state": member["state"],
        "held_by": member["held_by"],
        "tests": tested,
        "expected_seconds": _expected(member, rows),
    }


def _expected(member: Mapping[str, Any], rows: _Rows) -> Json | None:
    """Return the seconds until a workstream lands, as a band; None where that is not known."""
    band = member.get("expected")
    if band is None or rows.view is None:
        return None
    passed, frozen = (rows.now - rows.at).total_seconds(), 0.0
    for order in rows.orders:
        if order.control.kind is QueueOrder.PAUSE:
            return None
        if order.control.kind is QueueOrder.DRAIN:
            if order.control.on_board is not None and member["id"] not in order.control.on_board:
                return None
        elif order.until is not None:
            frozen = max(frozen, (order.until - rows.now).total_seconds())
    p50, p90 = (round(max(seconds - passed, frozen, 0.0), 1) for seconds in band)
    return {"p50": p50, "p90": p90}


def _test_json(test: Mapping[str, Any], names: Mapping[str, str]) -> Json:
    return {
        "id": test["id"],
        "contains": [_named(one, names) for one in test["contains"]],
        "assumes_bad": [_named(one, names) for one in test["without"]],
        "purpose": test["purpose"],
        "chance": test["chance"],
        "since": test["since"],
        "gates": test["gates"],
    }


def _named(workstream_id: str, names: Mapping[str, str]) -> Json:
    return {"id": workstream_id, "name": names.get(workstream_id, workstream_id)}


def order_json(control: QueueControl, now: datetime) -> Json:
    """Return an order about a queue in the public JSON form."""
    window = control.window(now)
    return {
        "order": str(control.kind),
        "by": control.operator,
        "reason": control.reason,
        "given_at": iso_millis(control.since),
        "in_force": window is not None,
        "since": None if window is None else iso_millis(window[0]),
        "until": None if window is None or window[1] is None else iso_millis(window[1]),
        "cron": control.cron,
        "zone": control.zone,
        "for_seconds": control.seconds,
    }


def _next_action(rows: _Rows, *, is_empty: bool) -> Json:
    """Return the next step for a person or an agent, with one of the codes of `status`."""
    name = short_name(rows.ref)
    if any(order.control.kind in ENDED_BY_PERSON for order in rows.orders):
        return _step("resume", rows.ref, f"maingate queue resume {name}")
    left = [run.id for run in rows.unfinished if run.id not in rows.at_work]
    if left and rows.view is None and not rows.lines:
        return _step("resume", left[0], f"maingate resume {left[0]}")
    if rows.unfinished and not (is_empty and not rows.workstreams):
        return _step("wait", rows.ref, f"maingate queue {name} --watch")
    return _step("none", None, None)


def _step(code: str, about: str | None, command: str | None) -> Json:
    return {"code": code, "about": about, "command": command}


def places(report: Mapping[str, Any], run_id: str) -> Iterable[Mapping[str, Any]]:
    """Return the workstreams of a run that are on board, in order."""
    return [member for member in report["on_board"] if member["run_id"] == run_id]
