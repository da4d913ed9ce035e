"""The caller, the inbox, the state machines, and the audit of the record."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from maingate.api.actions.idempotent_requests import slowly
from maingate.api.answers.json_answer import answer
from maingate.api.description import described
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.record import Inbox, Me, RecordAudit, Why
from maingate.errors import UnknownEntityError
from maingate.queries.audit import audit_record
from maingate.queries.inbox.open_matters import inbox
from maingate.queries.waits.explain import EXPLAINED, standing
from maingate.roles import Role
from maingate.state.machines import MACHINES

router = APIRouter(prefix="/api/v1", tags=["record"])


@router.get("/me", summary="Read who is calling", responses=described(Me))
def get_me(request: Request, desk: AtDesk) -> Response:
    """Read the name under which decisions of this caller are recorded, and the repositories it may read."""
    repositories = [
        {"name": name, "path": str(maingate.repository.root), "role": str(desk.caller.roles[name])}
        for name, maingate in desk.readable()
    ]
    return answer(request, {"name": desk.operator, "repositories": repositories})


@router.get("/inbox", summary="Read what needs a person", responses=described(Inbox))
def get_inbox(request: Request, desk: AtDesk, repo: RepoName = None) -> Response:
    """Read the open matters that a person has to decide, each with the one command that ends it."""
    if repo is None:
        desk.require_whole()
    items = [
        item.as_json() | {"repo": name}
        for name, maingate in desk.readable(repo)
        for item in inbox(maingate.context)
    ]
    return answer(request, {"items": items})


@router.get("/why/{entity_id}", summary="Read why something is where it is", responses=described(Why))
def get_why(request: Request, desk: AtDesk, entity_id: str) -> Response:
    """Read the reason of the state of a run, workstream, task, patch or gate, and what it waits for."""
    if entity_id.partition("_")[0] not in EXPLAINED:
        raise UnknownEntityError(entity_id, "it is no id of a run, workstream, task, patch or gate")
    name, maingate = desk.of(entity_id)
    return answer(request, standing(maingate.context, entity_id) | {"repo": name})


@router.get(
    "/machines",
    summary="Read the state machines",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def get_machines(request: Request, desk: AtDesk) -> Response:
    """Read the states and transitions of runs, workstreams, tasks, patches, gates, workers and breakers."""
    del desk  # a caller is needed, and any will do
    return answer(request, {each.name: each.as_json() for each in MACHINES.values()})


@router.get("/audit/verify", summary="Verify the record", responses=described(RecordAudit))
async def verify(
    request: Request,
    desk: AtDesk,
    repo: RepoName = None,
    others: Annotated[bool, Query(description="Accept landings from other records.")] = False,
) -> Response:
    """Verify the record of a repository: its hash chains, its file of transitions, and its branches."""

    def work() -> dict[str, Any]:
        name, maingate = desk.one(repo, Role.VIEWER)
        return audit_record(maingate.context, others=others).as_json() | {"repo": name}

    return answer(request, await slowly(request, work))
