"""Creation of a run: its rows, with those of its workstreams and tasks, in one transaction."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from maingate.db.dao import runs, tasks, workstreams
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.git.refs import PRIVATE_REFS
from maingate.git.repository import Repository, Target
from maingate.ids import RunId, TaskId, WorkstreamId, new_id, new_ids
from maingate.plan.choices import Proof
from maingate.plan.loader import LoadedPlan

_COMMITS: Final = "_commits"
"""The folder of these refs; no name of a workstream begins like that."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A plan that may run.

    Args:
        loaded: The plan.
        target: The branch that it lands on, and the commit that it begins on.
        tree_settings: The values of the tree's ``maingate.toml``, which hold to the end of the run.
        traceparent: The span of the program that asks for the run (W3C Trace Context).
    """

    loaded: LoadedPlan
    target: Target
    tree_settings: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str | None = None


def create(
    conn: Connection, repository: Repository, admission: Admission, *, repository_id: str, at: datetime
) -> RunId:
    """Insert the run with its workstreams and tasks; the caller's transaction makes it all or nothing."""
    plan, target = admission.loaded.plan, admission.target
    run_id = RunId(new_id("run"))
    run = RunRow(
        id=run_id,
        name=plan.name,
        repository=str(repository.git_dir),
        repository_id=repository_id,
        target_ref=target.ref,
        landing=str(plan.landing),
        strict=plan.promise is not Proof.LATER,
        plan=plan.as_json(),
        tree_settings=admission.tree_settings,
        plan_file=str(admission.loaded.path.absolute()),
        old_head=target.commit,
        traceparent=admission.traceparent,
    )
    runs.insert_many(conn, [run], at=at)
    _keep_commits(repository, run_id, admission.loaded)
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


def _keep_commits(repository: Repository, run_id: RunId, loaded: LoadedPlan) -> None:
    """Point a ref of the run at the commits that are to land as they are, so that git keeps them.

    Their branch may be moved on or deleted while the run waits.
    """
    kept: dict[str, str] = {}
    for name, workstream in loaded.plan.workstreams.items():
        for task in reversed(workstream.task_order()):
            commit = workstream.tasks[task].commit
            if commit is not None and repository.has_object(commit):
                kept[f"{PRIVATE_REFS}{run_id}/{_COMMITS}/{name}"] = commit
                break
    repository.keep_all(kept)


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
            source=workstream.source,
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
    """Return what a task needs that lies beside the plan: its patch, or its tool's prompt."""
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
