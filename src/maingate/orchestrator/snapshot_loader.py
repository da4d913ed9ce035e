"""The loader of a run: its nodes, rebuilt from the database."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from maingate.commits import LandingIntent, Tip
from maingate.db.dao import (
    breakers,
    holds,
    intents,
    patches,
    queue_items,
    runs,
    tasks,
    tool_runs,
    workstreams,
)
from maingate.db.dao.intents import Intent
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.git.repository import Repository
from maingate.ids import PatchId, RunId, TaskId, WorkstreamId
from maingate.orchestrator.core.snapshot import PatchNode, RunNode, TaskNode, WorkstreamNode
from maingate.orchestrator.lane_bases import base_of, head_of, leads, tip_of
from maingate.orchestrator.task_scheduler import dependents_of
from maingate.plan.model import Plan
from maingate.recovery.breaker_store import guard_of
from maingate.state.patch_ledger import PatchState
from maingate.state.steps.step import Head
from maingate.state.workstream import WORKSTREAM, WorkstreamState


def load(
    conn: Connection, repository: Repository, run_id: RunId, *, now: datetime
) -> tuple[RunNode, dict[str, Head]]:
    """Read a run with everything in it, wherever it stands.

    Args:
        conn: A reading connection; one consistent moment.
        repository: Where its commits are.
        run_id: Which run.
        now: The time, for what waits for one.

    Returns:
        The picture, and what was read of every entity for the guarded updates to come.
    """
    row = runs.get(conn, run_id)
    plan = Plan.from_json(row.plan)
    newest = patches.present(patches.of_run(conn, run_id))
    put_off = tool_runs.put_off_by_task(conn, run_id)
    head = head_of(repository, row.target_ref)
    rows_of: dict[str, list[TaskRow]] = {}
    for task in tasks.of_run(conn, run_id):
        rows_of.setdefault(task.workstream_id, []).append(task)
    meant: dict[str, list[Intent]] = {}
    for intent in intents.of_run(conn, run_id):
        meant.setdefault(intent.workstream_id, []).append(intent)
    heads = {row.id: row.head}
    nodes = {}
    for ws in workstreams.of_run(conn, run_id):
        node = nodes[ws.name] = _workstream(plan, row, ws)
        mine = rows_of.get(ws.id, [])
        node.seat([_task(plan, node, task, newest.get(task.id), now) for task in mine])
        for seated in node.tasks:
            seated.put_offs = put_off.get(seated.id, 0)
        if row.repository != str(repository.git_dir):
            for each in node.by_name.values():
                each.file = _moved(each.file, row.repository, repository)
        _restore(node, ws, meant.get(ws.id, []), repository)
        if ws.base_commit is not None and not node.has_ended:
            made_on = [newest[task.id].base_commit for task in mine if task.id in newest]
            commit = base_of(repository, node, recorded=ws.base_commit, made_on=made_on, head=head)
            node.base = tip_of(repository, commit)
        heads.update((entity.id, entity.head) for entity in (ws, *mine))
    heads.update((patch.id, patch.head) for patch in newest.values())
    run = _run(row, plan, nodes, repository)
    _note_found(run, repository)
    run.breakers = [guard_of(row) for row in breakers.all_of(conn)]
    run.holds = holds.of_run(conn, run_id)
    offered = {item.workstream_id for item in queue_items.of_run(conn, run_id)}
    for node in run.order if offered else ():
        node.is_offered = node.id in offered and not node.has_ended
    run.head_seen = head
    run.spent = tool_runs.spent_by_task(conn, run_id)
    return run, heads


def _note_found(run: RunNode, repository: Repository) -> None:
    """Note the heads of the target that workstreams which were passed over were found on."""
    landed = [(each, each.landed.commit) for each in run.order if each.landed is not None]
    for node in run.order:
        reason = node.reason if node.state is WorkstreamState.COMPLETED and node.landed is None else None
        if reason is not None and (head := reason.detail.get("onto")) is not None:
            before = [each for each, commit in landed if leads(repository, commit, head)]
            run.note_found(node, tip_of(repository, head), after=before)


def landing_intent(row: Intent) -> LandingIntent:
    """Return the intent of a landing that a row of the record tells of."""
    return LandingIntent(
        id=row.id,
        run=RunId(row.run_id),
        workstream=WorkstreamId(row.workstream_id),
        old=row.old or "",
        new=row.new,
        commits={PatchId(patch): commit for patch, commit in row.commits.items()},
    )


def _moved(file: str | None, git_dir: str, repository: Repository) -> str | None:
    """Return the present path of a file that was in a repository before the repository was moved."""
    old = Path(git_dir)
    root = old.parent if old.name == ".git" else old
    if file is None or not Path(file).is_relative_to(root):
        return file
    return str(repository.root / Path(file).relative_to(root))


def _run(row: RunRow, plan: Plan, nodes: dict[str, WorkstreamNode], repository: Repository) -> RunNode:
    base = tip_of(repository, row.old_head or "")
    order = [nodes[name] for name in plan.workstream_order()]
    for node in order:
        node.begins_on = _own_base(repository, node.plan.base, base)
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
        admitted=row.created_at,
        base=base,
        workstreams=nodes,
        order=order,
        dependents=dependents_of(list(nodes.values())),
        open_workstreams=sum(not WORKSTREAM.is_terminal(node.state) for node in order),
        tip=tip_of(repository, row.new_head) if row.new_head else base,
    )


def _workstream(plan: Plan, run: RunRow, row: WorkstreamRow) -> WorkstreamNode:
    described = plan.workstreams[row.name]
    return WorkstreamNode(
        id=WorkstreamId(row.id),
        run=RunId(run.id),
        head=row.head,
        name=row.name,
        plan=described,
        is_critical=row.is_critical,
        needs=described.needs,
        gates=tuple(plan.landing_gates(row.name)),
        may_defer_gates=(may_defer := plan.defers_gates(row.name)),
        defers_gates=may_defer,
        ref=f"refs/maingate/{run.id}/{row.name}",
        state=row.state,
        reason=row.reason,
        done_since=row.changed_at if row.state is WorkstreamState.VALIDATING else None,
    )


def _restore(
    node: WorkstreamNode, row: WorkstreamRow, meant: Sequence[Intent], repository: Repository
) -> None:
    """Fill in how far a workstream had come."""
    if row.landed_commit is not None:
        node.landed = tip_of(repository, row.landed_commit)
        node.landed_by = max((intent.id for intent in meant if intent.new == row.landed_commit), default="")
    if node.has_ended:
        return
    last = next(
        (
            task.patch
            for task in reversed(node.tasks)
            if task.patch and task.patch.state is PatchState.VERIFIED
        ),
        None,
    )
    if last is not None and last.commit and last.tree:
        node.settled = Tip(commit=last.commit, tree=last.tree)
    node.intents = [landing_intent(intent) for intent in meant]
    node.open_intent = next((intent.id for intent in meant if intent.state == "pending"), None)


def _task(
    plan: Plan, workstream: WorkstreamNode, row: TaskRow, patch: PatchRow | None, now: datetime
) -> TaskNode:
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
        retries=row.retry_count,
        losses=row.lost_count,
        file=row.spec.get("patch"),
        request=row.spec.get("prompt", ""),
        reviewers=plan.reviewers(workstream.name, row.name),
        replaces=row.spec.get("replaces"),
        delay=_delay(row, now),
        reason=row.reason,
        patch=_patch(patch) if patch else None,
    )


def _delay(row: TaskRow, now: datetime) -> float:
    """Return the seconds until its next attempt, though the clock jumped back: never more than was meant."""
    if row.not_before is None:
        return 0.0
    left, wanted = row.not_before - now, row.not_before - row.changed_at
    return max(0.0, min(left, wanted).total_seconds())


def _patch(row: PatchRow) -> PatchNode:
    return PatchNode(
        id=PatchId(row.id),
        head=row.head,
        state=row.state,
        commit=row.commit,
        tree=row.tree,
        method=row.method or "exact",
    )


def _own_base(repository: Repository, commit: str | None, head: Tip) -> Tip | None:
    """Return the commit that a workstream is to begin on, while it is in the history of the target."""
    if commit is None or not (repository.has_object(commit) and repository.has_object(head.commit)):
        return None
    return tip_of(repository, commit) if repository.is_ancestor(commit, head.commit) else None
