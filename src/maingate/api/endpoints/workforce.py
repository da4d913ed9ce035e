"""Workers, and the circuit breakers of tools."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from maingate.api.actions.idempotent_requests import Acting, Actor, Decision, Done
from maingate.api.answers.json_answer import answer
from maingate.api.description import described
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.workforce import BreakerItem, Breakers, Workers
from maingate.bootstrap import Maingate
from maingate.queries.workforce.breakers import breaker_json, breaker_of, list_breakers, require_known_tool
from maingate.queries.workforce.workers import list_workers
from maingate.roles import Role
from maingate.services.http.kept_answers import Note
from maingate.state.operator_rules import BreakerAction

router = APIRouter(prefix="/api/v1", tags=["workforce"])

ToolName = Annotated[str, Path(max_length=200, description="The tool's name in its plans.")]


@router.get("/workers", summary="List workers", responses=described(Workers))
def get_workers(
    request: Request,
    desk: AtDesk,
    ended: Annotated[int, Query(ge=0, le=500, description="How many that have shut down to add.")] = 0,
    repo: RepoName = None,
) -> Response:
    """List workers and controlling processes with their jobs, oldest first, then the last that shut down."""
    items: list[dict[str, Any]] = []
    for name, maingate in desk.readable(repo):
        items += [row | {"repo": name} for row in list_workers(maingate.context, ended=ended).rows]
    return answer(request, {"items": items})


@router.get("/breakers", summary="List circuit breakers", responses=described(Breakers))
def get_breakers(request: Request, desk: AtDesk, repo: RepoName = None) -> Response:
    """List the circuit breakers of the tools that have ever failed or been tripped."""
    items: list[dict[str, Any]] = []
    for name, maingate in desk.readable(repo):
        items += [row | {"repo": name} for row in list_breakers(maingate.context)]
    return answer(request, {"items": items})


@router.post("/breakers/{tool}/reset", summary="Use a paused tool again", responses=described(BreakerItem))
async def reset(actor: Acting, tool: ToolName, body: Decision, repo: RepoName = None) -> Response:
    """Close the circuit breaker of a tool, so that the tool is used again at once."""
    return await _by_hand(actor, "reset", tool, body, repo)


@router.post("/breakers/{tool}/trip", summary="Pause a tool", responses=described(BreakerItem))
async def trip(actor: Acting, tool: ToolName, body: Decision, repo: RepoName = None) -> Response:
    """Open the circuit breaker of a tool, which pauses the tool for its cooldown."""
    return await _by_hand(actor, "trip", tool, body, repo)


async def _by_hand(
    actor: Actor, action: BreakerAction, tool: str, body: Decision, repo: str | None
) -> Response:
    def do(maingate: Maingate, note: Note) -> str:
        require_known_tool(maingate.context, tool)
        maingate.operator.override_breaker(
            action, tool, reason=body.reason, operator=actor.desk.operator, note=note
        )
        return tool

    def tell(name: str, maingate: Maingate, tool: str) -> Done:
        return Done(value=breaker_json(breaker_of(maingate.context, tool)) | {"repo": name})

    reach = partial(actor.desk.one, repo, Role.OPERATOR)
    return await actor.act(reach, do, tell, content=body.model_dump_json().encode())
