"""Rebuilding the picture of a run from the database."""

from sqlalchemy import Connection

from headgate.db.dao import patches, runs, tasks, workstreams
from headgate.db.dao.patches import PatchRow
from headgate.db.dao.runs import RunRow
from headgate.db.dao.tasks import TaskRow
from headgate.db.dao.workstreams import WorkstreamRow
from headgate.db.transitions import Head
from headgate.ids import PatchId, RunId, TaskId, WorkstreamId
from headgate.orchestrator.lane import Tip
from headgate.orchestrator.picture import PatchNode, RunNode, TaskNode, WorkstreamNode
from headgate.orchestrator.task_scheduler import dependents_of
from headgate.plan.model import Plan
from headgate.state.workstream import WORKSTREAM, WorkstreamState
from headgate.uet.repository import Repository


def load(conn: Connection, repository: Repository, run_id: RunId) -> tuple[RunNode, dict[str, Head]]:
    """Read a run with everything in it.

    Returns:
        The picture, and what was read of every entity for the guarded updates to come.
    """
    row = runs.get(conn, run_id)
    plan = Plan.from_json(row.plan)
    patch_of = {patch.task_id: patch for patch in patches.of_run(conn, run_id)}
    task_rows = tasks.of_run(conn, run_id)
    workstream_rows = workstreams.of_run(conn, run_id)
    nodes = {ws.name: _workstream(plan, row, ws) for ws in workstream_rows}
    for ws in workstream_rows:
        mine = [task for task in task_rows if task.workstream_id == ws.id]
        nodes[ws.name].seat([_task(plan, nodes[ws.name], task, patch_of.get(task.id)) for task in mine])
    run = _run(row, plan, nodes, repository)
    heads = {entity.id: entity.head for entity in (row, *workstream_rows, *task_rows, *patch_of.values())}
    return run, heads


def _run(row: RunRow, plan: Plan, nodes: dict[str, WorkstreamNode], repository: Repository) -> RunNode:
    base_commit = row.old_head or ""
    base = Tip(commit=base_commit, tree=repository.tree_of(base_commit))
    order = [nodes[name] for name in plan.workstream_order()]
    for place, node in enumerate(order):
        node.landing = place
        node.unmet = sum(nodes[name].state is not WorkstreamState.COMPLETED for name in set(node.needs))
    return RunNode(
        id=RunId(row.id),
        head=row.head,
        name=row.name,
        plan=plan,
        target=row.target_ref,
        state=row.state,
        base=base,
        workstreams=nodes,
        order=order,
        dependents=dependents_of(list(nodes.values())),
        open_workstreams=sum(not WORKSTREAM.is_terminal(node.state) for node in order),
        tip=base,
    )


def _workstream(plan: Plan, run: RunRow, row: WorkstreamRow) -> WorkstreamNode:
    described = plan.workstreams[row.name]
    return WorkstreamNode(
        id=WorkstreamId(row.id),
        head=row.head,
        name=row.name,
        plan=described,
        is_critical=row.is_critical,
        needs=described.needs,
        gates=tuple(plan.landing_gates(row.name)),
        ref=f"refs/headgate/{run.id}/{row.name}",
        state=row.state,
        reason=row.reason,
    )


def _task(plan: Plan, workstream: WorkstreamNode, row: TaskRow, patch: PatchRow | None) -> TaskNode:
    described = workstream.plan.tasks[row.name]
    return TaskNode(
        id=TaskId(row.id),
        head=row.head,
        name=row.name,
        label=f"{workstream.name}/{row.name}",
        plan=described,
        workstream=workstream,
        is_critical=row.is_critical,
        needs=described.needs,
        gates=tuple(plan.task_gates(workstream.name, row.name)),
        state=row.state,
        attempt=row.attempt,
        reason=row.reason,
        patch=_patch(patch) if patch else None,
    )


def _patch(row: PatchRow) -> PatchNode:
    return PatchNode(id=PatchId(row.id), head=row.head, state=row.state, commit=row.commit)
