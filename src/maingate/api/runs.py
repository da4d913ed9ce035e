"""Runs: the list, the report of each, submission, cancellation, resumption."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from maingate.api.describing import described
from maingate.api.desk import AtDesk, RepoName
from maingate.api.filters import NamePart, States
from maingate.api.json_answer import answer
from maingate.api.paging import PageWanted, fields_of, list_answer, picked
from maingate.api.schemas import RunReport, Runs
from maingate.ids import RunId
from maingate.queries.listing import runs_page

router = APIRouter(prefix="/api/v1", tags=["runs"])


@router.get("/runs", summary="List runs, newest first", responses=described(Runs))
def list_runs(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    state: States = None,
    name: NamePart = None,
    repo: RepoName = None,
) -> Response:
    """List runs, newest first, without their parts."""
    page = list_answer(desk, runs_page, among={"state": state}, name=name, repo=repo, wanted=wanted)
    return answer(request, page)


@router.get("/runs/{run_id}", summary="Report a run with all its parts", responses=described(RunReport))
def get_run(
    request: Request, desk: AtDesk, run_id: str, fields: Annotated[str | None, Query(max_length=500)] = None
) -> Response:
    """Report a run: its target, each workstream and task with its reason, and what it waits for."""
    repo, maingate = desk.of(run_id, kind="run")
    report = maingate.report(RunId(run_id))
    return answer(request, picked(report | {"repo": repo}, fields_of(fields)))
