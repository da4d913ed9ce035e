"""Runs: the list, the report of each, submission, cancellation, resumption."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field

from maingate.api.actions.cancellation import cancelled
from maingate.api.actions.idempotent_requests import Acting, Decision
from maingate.api.actions.started_run import hosted, run_done, submitted_done
from maingate.api.answer_cache import draft
from maingate.api.answers.json_answer import answer
from maingate.api.description import described
from maingate.api.endpoints.plans import DESCRIBED_BODY, Submitted
from maingate.api.lists.filters import Fields, NamePart, States
from maingate.api.lists.merged_pages import PageWanted, fields_of, list_page, picked
from maingate.api.permitted_repositories import AtDesk, Desk, RepoName
from maingate.api.schemas.runs import Answered, RunItem, RunReport, Runs, SubmittedRun
from maingate.bootstrap import Maingate
from maingate.ids import RunId
from maingate.queries.changes import parts_of_list
from maingate.queries.decided_entity import version_of
from maingate.queries.details.listing import is_alive, runs_page
from maingate.queries.runs.report import behind_json
from maingate.roles import Role
from maingate.services.handover.run_queue import RunOptions
from maingate.services.http.kept_answers import Note

router = APIRouter(prefix="/api/v1", tags=["runs"])


@router.get("/runs", summary="List runs, newest first", responses=described(Runs))
def list_runs(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    state: States,
    name: NamePart = None,
    repo: RepoName = None,
) -> Response:
    """List runs, newest first, without their parts."""
    made = draft(request, desk, desk.readable(repo), parts_of_list("runs"))
    page = list_page(desk, runs_page, among={"state": state}, name=name, repo=repo, wanted=wanted)
    return answer(request, page, keeper=None if wanted.fields else made.also(*_life(desk, page)))


@router.get("/runs/{run_id}", summary="Report a run with all its parts", responses=described(RunReport))
def get_run(request: Request, desk: AtDesk, run_id: str, fields: Fields = None) -> Response:
    """Report a run: its target, each workstream and task with its reason, and what it waits for."""
    repo, maingate = desk.of(run_id, kind="run")
    wanted, context = fields_of(fields), maingate.context
    made = draft(request, desk, iter([(repo, maingate)]), [(run_id, None)])
    version = version_of(context, run_id)  # first, so that it is never newer than what is shown
    report = maingate.report(RunId(run_id), [each for each in wanted if each != "repo"])
    value = picked(report | {"repo": repo}, wanted)
    if report.get("completed_at") is None or "target" not in report:  # a run under way shows the time
        return answer(request, value, version=version)
    target = report["target"]
    made = made.also(lambda: behind_json(context, target["ref"]), target["behind"])
    return answer(request, value, version=version, keeper=made)


def _life(desk: Desk, page: Mapping[str, Any]) -> tuple[Callable[[], Any], Any]:
    """Return a function that returns which runs of a page are alive, and what the page says about that."""
    shown = [run for run in page["items"] if run["completed_at"] is None]
    contexts = {name: maingate.context for name, maingate in desk.readable()}

    def look() -> list[bool]:
        return [is_alive(contexts[run["repo"]], run["id"]) for run in shown]

    return look, [run["alive"] for run in shown]


class Resumption(BaseModel):
    """Options of the rest of a run."""

    workers: int | None = Field(None, ge=1, le=1024, description="How many gates run at once.")
    budget_usd: float | None = Field(None, gt=0, description="New budget of all its tools together.")


@router.post(
    "/runs",
    summary="Submit a plan",
    status_code=201,
    responses=described(SubmittedRun, 201),
    openapi_extra=DESCRIBED_BODY,
)
async def submit(
    actor: Acting,
    sent: Submitted,
    repo: RepoName = None,
    traceparent: Annotated[
        str | None,
        Header(
            max_length=500,
            description="The span of the caller (W3C Trace Context); the run's span is below it. One "
            "that is not valid is ignored.",
        ),
    ] = None,
) -> Response:
    """Submit a plan with its patches; a run of it is made, whole or not at all, and begins in its turn.

    All problems of the plan are listed at once, as those of `plan/check`. `notes` has what may not be meant:
    no gates, a target that the plan does not name, submodules and filters that gates do not have.
    """

    def do(maingate: Maingate, note: Note) -> str:
        wanted = sent.parsed()
        options = RunOptions(workers=wanted.workers, budget_usd=wanted.budget_usd)
        with maingate.uploads.loaded(wanted.upload(), is_kept=True) as loaded:
            run_id = hosted(
                maingate.admission.admit_for_server(
                    loaded, options, operator=actor.desk.operator, traceparent=traceparent, note=note
                )
            )
        actor.wake()
        return run_id

    reach = partial(actor.desk.one, repo, Role.SUBMITTER)
    return await actor.act(reach, do, submitted_done, content=sent.content)


@router.post("/runs/{run_id}/cancel", summary="Cancel a run", responses=described(Answered))
async def cancel(actor: Acting, run_id: str, body: Decision) -> Response:
    """Cancel a run at once, whichever process works on it. Landed work stays."""
    return await cancelled(actor, run_id, body, Role.SUBMITTER, kind="run")


@router.post(
    "/runs/{run_id}/resume", summary="Resume a run", status_code=202, responses=described(RunItem, 202)
)
async def resume(actor: Acting, run_id: str, body: Resumption) -> Response:
    """Continue a run that was stopped or interrupted. Nothing is lost; nothing lands twice."""

    def do(maingate: Maingate, note: Note) -> str:
        options, operator = RunOptions(workers=body.workers, budget_usd=body.budget_usd), actor.desk.operator
        hosted(maingate.queue.hand_over(RunId(run_id), options, operator=operator, note=note))
        actor.wake()
        return run_id

    reach = partial(actor.desk.of, run_id, Role.SUBMITTER, kind="run")
    tell = partial(run_done, status=202)
    return await actor.act(reach, do, tell, content=body.model_dump_json().encode())
