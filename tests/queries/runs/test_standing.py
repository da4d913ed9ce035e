"""A run by its workstreams: counts and explanations are those of its rows, most of which are not read."""

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from maingate.db.dao import gates, holds, patches, runs, tasks, workstreams
from maingate.db.dao.overviews import run_counts
from maingate.db.dao.runs import RunRow
from maingate.db.engine import Database
from maingate.queries.runs import report_parts
from maingate.queries.waits.explain import why_waiting
from maingate.queries.waits.run_rows import has_ended, read_rows, read_unfinished
from maingate.state.holds import Hold, HoldCode
from support.database_factories import (
    NOW,
    bring_to,
    make_gate,
    make_patch,
    make_run,
    make_task,
    make_workstream,
)

TASKS = {
    "done": ("completed", "verified", "PASSED"),
    "refused": ("failed", "quarantined", "FAILED"),
    "judged": ("validating", "applied", "RUNNING"),
    "behind": ("validating", "queued", None),
    "unread": ("running", None, None),
    "queued": ("queued", None, None),
    "needing": ("blocked", None, None),
    "retried": ("retrying", None, None),
    "pending": ("pending", None, None),
}
"""The states of each task, of its patch and of its gate."""


@pytest.fixture
def under_way(database: Database) -> Iterator[tuple[Connection, RunRow]]:
    """Give a run of two workstreams at work, with one of everything, and one that is blocked."""
    with database.write() as conn:
        [run] = runs.insert_many(conn, [make_run()], at=NOW)
        bring_to(conn, run.head, "running")
        for name in ("parser", "printer"):
            [stream] = workstreams.insert_many(conn, [make_workstream(run, name=name)], at=NOW)
            bring_to(conn, stream.head, "executing")
            made = [make_task(stream, name=each, position=place) for place, each in enumerate(TASKS)]
            of_stream = {task.name: task for task in tasks.insert_many(conn, made, at=NOW)}
            tasks.add_needs(
                conn, [(of_stream["needing"].id, of_stream[need].id) for need in ("done", "judged")]
            )
            for task in of_stream.values():
                state, patch_state, gate_state = TASKS[task.name]
                bring_to(conn, task.head, state)
                if patch_state is not None:
                    [patch] = patches.insert_many(conn, [make_patch(task)], at=NOW)
                    bring_to(conn, patch.head, patch_state)
                    if gate_state is not None:
                        [gate] = gates.insert_many(conn, [make_gate(patch, tree="b" * 40)], at=NOW)
                        bring_to(conn, gate.head, gate_state)
            front = Hold(code=HoldCode.PARTS, about={"first": of_stream["judged"].id, "place": 3}, since=NOW)
            holds.publish(conn, run.id, {stream.id: front})
        [last] = workstreams.insert_many(conn, [make_workstream(run, name="last")], at=NOW)
        workstreams.add_needs(conn, [(last.id, stream.id)])
        bring_to(conn, last.head, "blocked")
        yield conn, runs.get(conn, run.id)


@pytest.mark.parametrize("is_alive", [True, False])
def test_unfinished_rows_explain_as_all_rows_do(under_way: tuple[Connection, RunRow], is_alive: bool) -> None:
    """Each task and workstream has the sentence of the report, whether all are read or those of one lane."""
    conn, run = under_way
    full = read_rows(conn, run, now=NOW)
    expected = why_waiting(full, is_alive=is_alive)
    open_ones = [row for row in (run, *full.workstreams, *full.tasks) if not has_ended(row)]
    some = read_unfinished(conn, run, now=NOW)
    assert why_waiting(some, is_alive=is_alive, among=open_ones) == {
        row.id: expected[row.id] for row in open_ones
    }
    for stream in full.workstreams:
        lane = read_unfinished(conn, run, [stream.id], now=NOW)
        own = [row for row in open_ones if row.context.workstream_id == stream.id]
        assert why_waiting(lane, is_alive=is_alive, among=own) == {row.id: expected[row.id] for row in own}


def test_the_database_counts_what_the_rows_say(under_way: tuple[Connection, RunRow]) -> None:
    """Tasks by workstream and state, and the ends of gates."""
    conn, run = under_way
    rows = read_rows(conn, run, now=NOW)
    counted = run_counts.tasks_by_state(conn, run.id)
    assert sum(map(Counter, counted.values()), Counter()) == Counter(str(task.state) for task in rows.tasks)
    assert {stream: sum(states.values()) for stream, states in counted.items()} == {
        stream.id: len(TASKS) for stream in rows.workstreams[:2]
    }
    found = report_parts.gate_counts_json(run_counts.ended_gates(conn, run.id))
    assert found == report_parts.gates_json(rows.gates, [])
    assert found["failed"] == 2
