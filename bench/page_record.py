"""A record with a large run under way: real rows, written by the functions that write every record.

The run has workstreams that landed, that are at work and that wait. This process holds its target, so the run
counts as under way, and each gate that runs has a worker of its own.
"""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from maingate.bootstrap import Maingate
from maingate.clock import ManualClock, SystemClock
from maingate.db.dao import artifacts, gates, holds, patches, runs, tasks, uet_workers, workers, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.uet_workers import UetWorkerRow
from maingate.db.dao.workers import WorkerRow
from maingate.db.sql.connection import Connection
from maingate.db.transitions import write
from maingate.ids import RunId, new_id
from maingate.orchestrator.worker_roster import JOB
from maingate.plan.loader import load_plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.holds import Hold, HoldCode
from maingate.state.steps import gates as gate_steps
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import runs as run_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.steps import uet_workers as slot_steps
from maingate.state.steps import workers as worker_steps
from maingate.state.steps import workstreams as workstream_steps
from maingate.state.steps.step import Head, Step
from maingate.state.task import TaskState
from maingate.system.process_table import started

STREAMS, EACH, AT_WORK, JOBS = 100, 50, 20, 10
"""Workstreams, the tasks of each, the workstreams at work, and the gates that run for each of those."""
_PAST: Final = timedelta(hours=1)
_REFUSED: Final = Reason(
    code=ReasonCode.GATE_FAILED, message="the gate unit failed: exit code 1", detail={"gate": "unit"}
)
_AGAIN: Final = Reason(code=ReasonCode.TOOL_FAILED, message="the command ended with exit code 75")
_OUTPUT: Final = "tests/test_part.py F\nE   assert 1 == 2\n"
_DIFF: Final = (
    "diff --git a/{0} b/{0}\nnew file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1,3 @@\n+a\n+b\n+c\n"
)


def fill(maingate: Maingate, folder: Path) -> RunId:
    """Admit a large plan, take its target, and record an hour of it that ends now.

    Args:
        maingate: The repository; it holds the target until it is closed.
        folder: Where the plan is written.
    """
    (folder / "plan.json").write_text(json.dumps(_plan()))
    began = maingate.context.clock.now() - _PAST
    maingate.context.clock = ManualClock(current=began)
    run_id = maingate.admission.admit(load_plan(folder / "plan.json"))
    maingate.context.clock = SystemClock()
    head = maingate.repository.resolve_target("main").commit
    with maingate.database.write() as conn:
        _Story(conn, run_id, began=began, commit=head, tree=maingate.repository.tree_of(head)).tell()
    return run_id


def move_on(maingate: Maingate, workstream_id: str) -> str:
    """Begin a task that waits in the lane of a workstream, as the run's process would; return its id."""
    with maingate.database.write() as conn:
        lane = tasks.of_workstream(conn, workstream_id)
        task = next(task for task in lane if task.state is TaskState.QUEUED)
        step = task_steps.start(task, worker_id=workers.alive(conn)[0].id, attempt=1)
        write(conn, {task.id: task.head}, [step], at=maingate.context.clock.now())
    return task.id


def _plan() -> dict[str, Any]:
    streams: dict[str, Any] = {}
    for number in range(STREAMS):
        each = {
            f"task-{place:02}": {"command": ["true"]}
            | ({"needs": [f"task-{place - 1:02}"]} if place % 5 else {})
            for place in range(EACH)
        }
        needs = {"needs": [f"stream-{number - 5:03}"]} if number >= STREAMS - AT_WORK else {}
        streams[f"stream-{number:03}"] = {"title": f"part {number} of the move", "tasks": each} | needs
    return {
        "maingate": 1,
        "name": "a large move",
        "gates": {"unit": {"run": "make test"}},
        "workstreams": streams,
    }


class _Story:
    """Records what happened to a run.

    Args:
        conn: A writing transaction.
        run_id: The run.
        began: The time of its admission.
        commit: The commit that stands for each of its commits.
        tree: The tree of that commit.
    """

    def __init__(self, conn: Connection, run_id: RunId, *, began: datetime, commit: str, tree: str) -> None:
        self._conn, self._run, self._at, self._commit, self._tree = conn, run_id, began, commit, tree
        self._heads: dict[str, Head] = {}

    def tell(self) -> None:
        """Record all of it."""
        run = runs.get(self._conn, self._run)
        streams, every = workstreams.of_run(self._conn, run.id), tasks.of_run(self._conn, run.id)
        self._heads = {row.id: row.head for row in (run, *streams, *every)}
        slots = self._slots()
        self._write([run_steps.start(run)])
        lanes: dict[str, list[TaskRow]] = {stream.id: [] for stream in streams}
        for task in every:
            lanes[task.workstream_id].append(task)
        for number, stream in enumerate(streams):
            if number >= STREAMS - AT_WORK:
                self._write([workstream_steps.block(stream)])
                continue
            self._write([workstream_steps.ready(stream), workstream_steps.start(stream)])
            if number >= STREAMS - 2 * AT_WORK:
                self._work_at(lanes[stream.id], slots)
                continue
            landed = self._complete(lanes[stream.id])
            self._write([workstream_steps.validate(stream)])
            moves = [patch_steps.commit(patch, commit=self._commit) for patch in landed]
            self._write([*moves, workstream_steps.complete(stream, self._commit)])
        first = streams[STREAMS - 2 * AT_WORK].id
        order = Hold(code=HoldCode.LANDING_ORDER, about={"next": first}, since=self._at)
        holds.publish(self._conn, run.id, {run.id: order})

    def _work_at(self, lane: Sequence[TaskRow], slots: Iterator[tuple[WorkerRow, UetWorkerRow]]) -> None:
        """Have some tasks of a lane done, some under way, and the others refused, retried or waiting."""
        self._complete(lane[: EACH - 3 * JOBS])
        under_way, refused, again = (
            lane[-3 * JOBS : -2 * JOBS],
            lane[-2 * JOBS],
            lane[1 - 2 * JOBS : 5 - 2 * JOBS],
        )
        for _, gate in self._judge(under_way):
            worker, slot = next(slots)
            self._write(
                [
                    gate_steps.start(gate, uet_worker_id=slot.id),
                    worker_steps.assign(worker),
                    slot_steps.assign(slot, metadata={JOB: f"{gate.id}.1"}),
                ]
            )
        [(patch, gate)] = self._judge([refused])
        self._write(
            [gate_steps.start(gate), gate_steps.fail(gate, exit_code=1, output=_OUTPUT, reason=_REFUSED)]
        )
        self._write(
            [
                patch_steps.quarantine(patch, _REFUSED, trigger="gates_failed"),
                task_steps.fail(refused, _REFUSED, trigger="validation_failed"),
            ]
        )
        self._begin(again)
        later = timedelta(hours=2)
        self._write([task_steps.retry(t, _AGAIN, trigger="execution_failed", after=later) for t in again])
        self._write([task_steps.queue(task) for task in lane[5 - 2 * JOBS :]])

    def _complete(self, lane: Sequence[TaskRow]) -> list[PatchRow]:
        """Have tasks done; return their patches."""
        done = []
        for begin in range(0, len(lane), JOBS):
            together = lane[begin : begin + JOBS]
            judged = self._judge(together)
            self._write([gate_steps.start(gate) for _, gate in judged])
            passed = [gate_steps.pass_(gate, exit_code=0, output="ok", duration_ms=900) for _, gate in judged]
            self._write([*passed, *(patch_steps.verify(patch) for patch, _ in judged)])
            self._write([task_steps.complete(task) for task in together])
            done += [patch for patch, _ in judged]
        return done

    def _judge(self, lane: Sequence[TaskRow]) -> list[tuple[PatchRow, GateRow]]:
        """Run tasks, and have their patches applied; return those with a gate that is to run."""
        self._begin(lane)
        made = [
            PatchRow(
                id=new_id("patch"),
                run_id=self._run,
                workstream_id=task.workstream_id,
                task_id=task.id,
                summary=f"move {task.name}",
                files=1,
                insertions=3,
                hunks=1,
                paths=[f"src/part/{task.name}.py"],
            )
            for task in lane
        ]
        judging = [
            GateRow(
                id=new_id("gate"),
                run_id=self._run,
                workstream_id=patch.workstream_id,
                patch_id=patch.id,
                name="unit",
                tree=f"{place:040x}",
            )
            for place, patch in enumerate(made, len(self._heads))
        ]
        self._heads |= {row.id: row.head for row in patches.insert_many(self._conn, made, at=self._at)}
        artifacts.store_many(self._conn, {patch.id: _DIFF.format(patch.paths[0]).encode() for patch in made})
        self._write([task_steps.produced(task) for task in lane])
        self._write([step(patch) for patch in made for step in (patch_steps.validate, patch_steps.enqueue)])
        commit, tree = self._commit, self._tree
        self._write([patch_steps.applied(patch, method="exact", commit=commit, tree=tree) for patch in made])
        self._heads |= {row.id: row.head for row in gates.insert_many(self._conn, judging, at=self._at)}
        return list(zip(made, judging, strict=True))

    def _begin(self, lane: Sequence[TaskRow]) -> None:
        self._write([task_steps.queue(task) for task in lane])
        self._write([task_steps.start(task, worker_id=self._worker, attempt=1) for task in lane])

    def _slots(self) -> Iterator[tuple[WorkerRow, UetWorkerRow]]:
        """Start the workers, this process being that of each."""
        made = [
            WorkerRow(
                id=new_id("wrk"),
                name=f"worker-{number:03}",
                host=socket.gethostname(),
                pid=os.getpid(),
                pid_started=started(os.getpid()),
                heartbeat_at=self._at + _PAST,
            )
            for number in range(AT_WORK * JOBS)
        ]
        slots = [UetWorkerRow(id=new_id("uet"), worker_id=worker.id, pid=os.getpid()) for worker in made]
        workers.insert_many(self._conn, made, at=self._at)
        uet_workers.insert_many(self._conn, slots, at=self._at)
        known = workers.get_many(self._conn, [each.id for each in made])
        self._heads |= {key: row.head for key, row in known.items()}
        read = uet_workers.get_many(self._conn, [each.id for each in slots])
        self._heads |= {key: row.head for key, row in read.items()}
        self._write([*map(worker_steps.register, made), *map(slot_steps.ready, slots)])
        self._worker = made[0].id
        return iter(zip(made, slots, strict=True))

    def _write(self, steps: Sequence[Step]) -> None:
        """Write steps, half a second after those before."""
        self._at += timedelta(seconds=0.5)
        known = {step.head_id: self._heads[step.head_id] for step in steps}
        self._heads |= write(self._conn, known, steps, at=self._at)
