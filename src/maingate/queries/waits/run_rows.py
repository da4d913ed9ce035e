"""The rows of a run at one moment, with the holds that its process publishes, arranged for explanations.

The rows say where each entity is; the holds what it waits for. Lanes, landing order and the use of tools
are decided by the core alone, and read here as it published them (`maingate.state.holds`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from maingate.db.dao import gates, holds, intents, patches, tasks, tool_runs, workstreams
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow, present
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.landing.queue_holds import order_holding, orders_about
from maingate.queries.waits.server_line import ServerLine
from maingate.queries.waits.target_rows import TargetRows, read_target
from maingate.state.gate import GateState
from maingate.state.holds import Hold, HoldCode
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.queue_control import OrderInForce
from maingate.state.task import TaskState
from maingate.state.tool_run import MICROS


@dataclass(frozen=True, kw_only=True)
class RunRows:
    """All rows of one run, read at one moment.

    Args:
        run: The run.
        workstreams: Its workstreams in the plan's order.
        tasks: Its tasks in the plan's order.
        patches: Its patches.
        gates: Its gates.
        landing: The workstreams whose landing was begun and is not settled: their intents are pending.
        needs: For each workstream and each task, those of its kind that it needs.
        holds: The holds that the run's process published, by entity.
        line: Its place in the line of the living server that is to give it a process; None without one.
        spent: The cost of its tools in micro-dollars; None where no tool reports any.
        orders: The orders about the queue of its target that are in force.
        target: The workstreams that the run has handed over, and the process that holds its target.
    """

    run: RunRow
    workstreams: Sequence[WorkstreamRow]
    tasks: Sequence[TaskRow]
    patches: Sequence[PatchRow]
    gates: Sequence[GateRow]
    landing: Collection[str] = ()
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    line: ServerLine | None = None
    spent: int | None = None
    orders: Sequence[OrderInForce] = ()
    target: TargetRows = field(default_factory=TargetRows)

    def open_ones(self) -> Iterator[EntityRow]:
        """Yield every entity that has not ended; a patch that landed has, though it may be rolled back."""
        if has_ended(self.run):
            return
        yield from (row for row in self.every() if not has_ended(row))

    @property
    def is_overspent(self) -> bool:
        """Return whether the tools have cost what the plan allows, so that resuming needs more."""
        budget = self.run.plan.get("budget_usd")
        return self.spent is not None and budget is not None and self.spent >= round(budget * MICROS)

    def every(self) -> Iterator[EntityRow]:
        """Yield every entity."""
        yield from (self.run, *self.workstreams, *self.tasks, *self.patches, *self.gates)


def read_rows(conn: Connection, run: RunRow, *, now: datetime | None) -> RunRows:
    """Read all rows of a run, and of one that has not ended what its entities wait for.

    Orders are in force, and processes alive, at a moment; without one, nothing about its target is read.
    """
    rows = RunRows(
        run=run,
        workstreams=workstreams.of_run(conn, run.id),
        tasks=tasks.of_run(conn, run.id),
        patches=patches.of_run(conn, run.id),
        gates=gates.of_run(conn, run.id),
        spent=tool_runs.spent_by_run(conn, run.id),
    )
    if has_ended(run):
        return rows
    return replace(
        rows,
        landing={intent.workstream_id for intent in intents.pending(conn, run.id)},
        needs={**workstreams.needs(conn, run.id), **tasks.needs(conn, run.id)},
        holds=holds.of_run(conn, run.id),
        orders=() if now is None else orders_about(conn, run, now),
        target=TargetRows() if now is None else read_target(conn, run, now),
    )


def read_unfinished(
    conn: Connection, run: RunRow, workstream_ids: Collection[str] | None = None, *, now: datetime
) -> RunRows:
    """Read the rows that explain the workstreams and tasks of a run; of ended entities, workstreams alone.

    Args:
        conn: A reading connection; one consistent moment.
        run: A run that has not ended.
        workstream_ids: Explain the tasks of these workstreams alone; None explains those of all.
        now: The moment.
    """
    unfinished = tasks.unfinished(conn, run.id, workstream_ids)
    known = {task.id for task in unfinished}
    needs = tasks.needs(conn, run.id)
    return RunRows(
        run=run,
        workstreams=workstreams.of_run(conn, run.id),
        tasks=unfinished,
        patches=patches.of_unfinished_tasks(conn, run.id),
        gates=gates.running_of_run(conn, run.id),
        spent=tool_runs.spent_by_run(conn, run.id),
        landing={intent.workstream_id for intent in intents.pending(conn, run.id)},
        needs={
            **workstreams.needs(conn, run.id),
            **{task: [need for need in needs.get(task, ()) if need in known] for task in known},
        },
        holds=holds.of_run(conn, run.id),
        orders=orders_about(conn, run, now),
        target=read_target(conn, run, now),
    )


def has_ended(row: EntityRow) -> bool:
    """Return whether only a person can move an entity any more."""
    return MACHINES[row.machine].is_terminal(row.state) or row.state == PatchState.COMMITTED


class RowsUnderWay:
    """The rows of a run under way, arranged so that each relation is found at once."""

    def __init__(self, rows: RunRows) -> None:
        self.rows = rows
        self.streams = {stream.id: stream for stream in rows.workstreams}
        self.tasks = {task.id: task for task in rows.tasks}
        self.patch_of = present(rows.patches)
        self.running_tasks = sum(task.state is TaskState.RUNNING for task in rows.tasks)
        self.tasks_of: defaultdict[str, list[TaskRow]] = defaultdict(list)
        for task in rows.tasks:
            self.tasks_of[task.workstream_id].append(task)
        self.gates: defaultdict[str, list[GateRow]] = defaultdict(list)
        for gate in rows.gates:
            if gate.state is GateState.RUNNING:
                self.gates[gate.patch_id or gate.workstream_id or ""].append(gate)
                self.gates[gate.tree].append(gate)

    def label(self, task: TaskRow) -> str:
        """Return a task's name with that of its workstream."""
        return f"{self.streams[task.workstream_id].name}/{task.name}"

    def hold(self, row: EntityRow) -> Hold | None:
        """Return the published hold of an entity; None where its own row says why it waits."""
        return self.rows.holds.get(row.id)

    @property
    def draining(self) -> Hold | None:
        """The hold of the run if its process starts nothing new."""
        hold = self.hold(self.rows.run)
        return hold if hold is not None and hold.code is HoldCode.DRAINING else None

    def order_about(self, stream: WorkstreamRow) -> OrderInForce | None:
        """Return the order about the queue that holds a workstream; None without one."""
        if stream.id in self.rows.landing or self.gates[stream.id]:
            return None
        return order_holding(
            stream,
            [self.patch_of.get(task.id) for task in self.tasks_of[stream.id] if not has_ended(task)],
            self.rows.orders,
            is_kept=self.is_kept,
            is_tested=lambda patch: bool(self.gates_on(patch)),
        )

    def is_kept(self, patch: PatchRow | None) -> bool:
        """Return whether a patch is proven and waits for its workstream, off the record as yet."""
        return patch is not None and patch.state is PatchState.QUEUED and self.hold(patch) is not None

    def gates_on(self, patch: PatchRow) -> Sequence[GateRow]:
        """Return the gates that run on the tree of a patch, whichever patch asked, or else on its base."""
        return self.gates[patch.tree or patch.id] or self.gates[patch.id] or self.gates[patch.workstream_id]

    @property
    def next_to_land(self) -> WorkstreamRow | None:
        """The workstream that lands before all others that have not ended."""
        hold = self.hold(self.rows.run)
        found = None if hold is None else self.streams.get(str(hold.about.get("next")))
        return None if found is None or has_ended(found) else found

    def front(self, workstream_id: str) -> tuple[int, TaskRow | None]:
        """Return the first task of a lane that has not ended, and its place from 1."""
        hold = self.rows.holds.get(workstream_id)
        task = None if hold is None else self.tasks.get(str(hold.about.get("first")))
        return (0, None) if hold is None or task is None else (int(hold.about["place"]), task)
