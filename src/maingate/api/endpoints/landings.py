"""Landings: finished work that is sent from another machine, without a plan."""

import json
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from maingate.api.actions.idempotent_requests import Acting, Done
from maingate.api.actions.started_run import hosted
from maingate.api.answers.json_answer import JSON, answer, rendered
from maingate.api.answers.problems import HttpProblemError
from maingate.api.description import described
from maingate.api.landing_request import LandRequest
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.runs import LandingAnswer, LandingTargetFound
from maingate.bootstrap import Maingate
from maingate.landing_requests.sent_work import land_sent, target_for_sent
from maingate.roles import Role
from maingate.services.http.kept_answers import Note

router = APIRouter(prefix="/api/v1", tags=["landings"])

BranchName = Annotated[str, Query(min_length=1, max_length=250, description="The branch to land on.")]


async def _body(request: Request) -> bytes:
    """Read the body of a request, which may be large: it is parsed in a thread.

    Raises:
        HttpProblemError: It is no JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise HttpProblemError(415, "unsupported_media_type", f"send {JSON}")
    return await request.body()


def _parsed(sent: bytes) -> LandRequest:
    try:
        return LandRequest.model_validate_json(sent)
    except ValidationError as error:
        found = [each | {"loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
        raise RequestValidationError(found) from error


@router.get("/land", summary="Read where finished work lands", responses=described(LandingTargetFound))
def get_target(
    request: Request, desk: AtDesk, into: BranchName | None = None, repo: RepoName = None
) -> Response:
    """Read the branch that finished work lands on, by default the main line, with its newest commit."""
    name, maingate = desk.one(repo, Role.VIEWER)
    target = target_for_sent(maingate, into)
    return answer(request, {"repo": name, "ref": target.ref, "commit": target.commit})


@router.post(
    "/land",
    summary="Land finished work",
    responses=described(LandingAnswer),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/LandRequest"}}},
        }
    },
)
async def land(
    actor: Acting,
    sent: Annotated[bytes, Depends(_body)],
    repo: RepoName = None,
    traceparent: Annotated[
        str | None, Header(max_length=500, description="The span of the caller (W3C Trace Context).")
    ] = None,
) -> Response:
    """Land finished work: each branch or series as a whole or not at all, proved by the repository's gates.

    Commits of a branch come as a pack and land as they are where `maingate land` would land them so; the pack
    is checked apart from the repository, and comes into it with the run. The answer names the run, if one is
    needed; its report is at `runs/{run_id}`. Nothing lands twice: work that the target has is left out.
    """

    def do(maingate: Maingate, note: Note) -> str:
        operator, wanted = actor.desk.operator, _parsed(sent).sent()
        made = hosted(land_sent(maingate, wanted, operator=operator, traceparent=traceparent, note=note))
        if made["run_id"] is not None:
            actor.wake()
        return rendered(made)

    reach = partial(actor.desk.one, repo, Role.SUBMITTER)
    return await actor.act(reach, do, _told, content=sent)


def _told(name: str, _maingate: Maingate, made: str) -> Done:
    found: dict[str, Any] = json.loads(made)
    location = None if found["run_id"] is None else f"/api/v1/runs/{found['run_id']}"
    return Done(value={**found, "repo": name}, location=location)
