"""Workstreams and tasks."""

from fastapi import APIRouter, Request, Response

from maingate.api.actions.cancellation import cancelled
from maingate.api.actions.idempotent_requests import Acting, Decision
from maingate.api.answers.json_answer import answer
from maingate.api.description import described
from maingate.api.lists.filters import Fields, NamePart, OfRun, OfWorkstream, States, one
from maingate.api.lists.merged_pages import PageWanted, fields_of, list_answer, picked
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.runs import Answered
from maingate.api.schemas.workstreams_and_tasks import TaskItem, Tasks, WorkstreamItem, Workstreams
from maingate.queries.changes import parts_of_list
from maingate.queries.details import listing
from maingate.roles import Role

router = APIRouter(prefix="/api/v1", tags=["work"])


@router.get("/workstreams", summary="List workstreams, newest first", responses=described(Workstreams))
def list_workstreams(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    state: States,
    run: OfRun = None,
    name: NamePart = None,
    repo: RepoName = None,
) -> Response:
    """List workstreams, newest first."""
    among = {"run_id": one(run), "state": state}
    shows = parts_of_list("workstreams", run)
    return list_answer(
        request, desk, listing.workstreams_page, shows=shows, among=among, name=name, repo=repo, wanted=wanted
    )


@router.get("/workstreams/{workstream_id}", summary="Read a workstream", responses=described(WorkstreamItem))
def get_workstream(request: Request, desk: AtDesk, workstream_id: str, fields: Fields = None) -> Response:
    """Read a workstream. The number at the beginning of its `ETag` is its version, for `If-Match`."""
    repo, maingate = desk.of(workstream_id, kind="ws")
    found = listing.workstream(maingate.context, workstream_id) | {"repo": repo}
    return answer(request, picked(found, fields_of(fields)), version=found["version"])


@router.get("/tasks", summary="List tasks, newest first", responses=described(Tasks))
def list_tasks(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    state: States,
    run: OfRun = None,
    workstream: OfWorkstream = None,
    name: NamePart = None,
    repo: RepoName = None,
) -> Response:
    """List tasks, newest first, each with its present patch."""
    among = {"run_id": one(run), "workstream_id": one(workstream), "state": state}
    shows = parts_of_list("tasks", run)
    return list_answer(
        request, desk, listing.tasks_page, shows=shows, among=among, name=name, repo=repo, wanted=wanted
    )


@router.get("/tasks/{task_id}", summary="Read a task", responses=described(TaskItem))
def get_task(request: Request, desk: AtDesk, task_id: str, fields: Fields = None) -> Response:
    """Read a task. The number at the beginning of its `ETag` is its version, for `If-Match`."""
    repo, maingate = desk.of(task_id, kind="task")
    found = listing.task(maingate.context, task_id) | {"repo": repo}
    return answer(request, picked(found, fields_of(fields)), version=found["version"])


@router.post(
    "/workstreams/{workstream_id}/cancel", summary="Cancel a workstream", responses=described(Answered)
)
async def cancel_workstream(actor: Acting, workstream_id: str, body: Decision) -> Response:
    """Cancel a workstream. One that is landing at this moment is cancelled only if it does not land."""
    return await cancelled(actor, workstream_id, body, Role.OPERATOR, kind="ws")


@router.post("/tasks/{task_id}/cancel", summary="Cancel a task", responses=described(Answered))
async def cancel_task(actor: Acting, task_id: str, body: Decision) -> Response:
    """Cancel a task."""
    return await cancelled(actor, task_id, body, Role.OPERATOR, kind="task")
