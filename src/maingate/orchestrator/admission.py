"""Admitting a plan: all that could refuse it is asked first, then the run exists whole, or not at all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from maingate.db.dao import runs, tasks, workstreams
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.errors import RepositoryError
from maingate.ids import RunId, TaskId, WorkstreamId, new_id, new_ids
from maingate.plan.loader import LoadedPlan
from maingate.uet.checkout import checked_out_at, dirt, fast_forward_checkout
from maingate.uet.repository import Repository, Target


@dataclass(frozen=True, kw_only=True)
class Landing:
    """A move of the target, from one commit to another."""

    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A plan that may run: where it will land, and on what it begins."""

    loaded: LoadedPlan
    target: Target


def examine(repository: Repository, loaded: LoadedPlan, left_behind: Landing | None = None) -> Admission:
    """Ask everything that could refuse the plan; write nothing but what an earlier run owes.

    Args:
        repository: The plan's repository.
        loaded: The plan.
        left_behind: A landing whose process ended before it could move the target's checkout along: that is
            made good, or what has landed would look like a change of the person's that takes it back.

    Raises:
        RepositoryError: The target is missing, or is checked out with uncommitted changes.
    """
    target = repository.resolve_target(loaded.plan.target)
    see_to_checkout(repository, target, left_behind)
    return Admission(loaded=loaded, target=target)


def see_to_checkout(repository: Repository, target: Target, left_behind: Landing | None) -> None:
    """Make sure that a checkout of the target can follow it; write nothing but what an earlier process owes.

    Args:
        repository: Where the target is.
        target: The branch.
        left_behind: A move of it whose process ended before it could move the checkout along.

    Raises:
        RepositoryError: The target is checked out with uncommitted changes.
    """
    checkout = checked_out_at(repository, target.ref)
    if checkout is not None and left_behind is not None and left_behind.new == target.commit:
        fast_forward_checkout(repository, checkout, left_behind.old, left_behind.new)
    if checkout is not None and (what := dirt(checkout)):
        raise RepositoryError(
            f"{target.ref} is checked out in {checkout} with uncommitted changes ({'; '.join(what)}); "
            "commit or stash them first, or let the plan land on another branch"
        )


def create(conn: Connection, repository: Repository, admission: Admission, *, at: datetime) -> RunId:
    """Insert the run with its workstreams and tasks; the caller's transaction makes it all or nothing."""
    plan, target = admission.loaded.plan, admission.target
    run_id = RunId(new_id("run"))
    run = RunRow(
        id=run_id,
        name=plan.name,
        repository=str(repository.git_dir),
        target_ref=target.ref,
        landing=str(plan.landing),
        strict=plan.strict,
        plan=plan.as_json(),
        plan_file=str(admission.loaded.path.absolute()),
        old_head=target.commit,
    )
    runs.insert_many(conn, [run], at=at)
    ids = {name: WorkstreamId(new_id("ws")) for name in plan.workstreams}
    workstreams.insert_many(conn, list(_workstream_rows(run_id, admission.loaded, ids)), at=at)
    workstreams.add_needs(
        conn,
        [(ids[name], ids[need]) for name, ws in plan.workstreams.items() for need in dict.fromkeys(ws.needs)],
    )
    rows = list(_task_rows(run_id, admission.loaded, ids))
    tasks.insert_many(conn, rows, at=at)
    tasks.add_needs(
        conn, _task_needs(admission.loaded, {(row.workstream_id, row.name): row.id for row in rows}, ids)
    )
    return run_id


def _workstream_rows(
    run_id: RunId, loaded: LoadedPlan, ids: dict[str, WorkstreamId]
) -> Iterator[WorkstreamRow]:
    for position, (name, workstream) in enumerate(loaded.plan.workstreams.items()):
        yield WorkstreamRow(
            id=ids[name],
            run_id=run_id,
            name=name,
            title=workstream.title or "",
            position=position,
            priority=workstream.priority,
            is_critical=workstream.critical,
        )


def _task_rows(run_id: RunId, loaded: LoadedPlan, ids: dict[str, WorkstreamId]) -> Iterator[TaskRow]:
    names = iter(new_ids("task", sum(len(ws.tasks) for ws in loaded.plan.workstreams.values())))
    for name, workstream in loaded.plan.workstreams.items():
        for position, (task_name, task) in enumerate(workstream.tasks.items()):
            yield TaskRow(
                id=TaskId(next(names)),
                run_id=run_id,
                workstream_id=ids[name],
                name=task_name,
                position=position,
                is_critical=task.critical,
                kind=str(task.kind),
                spec=_spec(loaded, name, task_name),
                max_retries=task.max_retries,
            )


def _spec(loaded: LoadedPlan, workstream: str, task: str) -> dict[str, str]:
    """Say what a task needs that lies beside the plan: its patch, or what its tool is asked."""
    planned = loaded.plan.workstreams[workstream].tasks[task]
    if planned.patch:
        return {"patch": str(loaded.patch_path(workstream, task).absolute())}
    return {"prompt": loaded.prompt_text(workstream, task)} if planned.tool else {}


def _task_needs(
    loaded: LoadedPlan, tasks_by_name: dict[tuple[str, str], str], ids: dict[str, WorkstreamId]
) -> Iterable[tuple[str, str]]:
    return [
        (tasks_by_name[ids[name], task_name], tasks_by_name[ids[name], need])
        for name, workstream in loaded.plan.workstreams.items()
        for task_name, task in workstream.tasks.items()
        for need in dict.fromkeys(task.needs)
    ]
