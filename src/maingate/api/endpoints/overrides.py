"""Overrides: tasks and workstreams decided by hand, in the version that the caller has seen."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from maingate.api.actions.idempotent_requests import Acting, Done, Why
from maingate.api.answers.problems import HttpProblemError
from maingate.api.description import described
from maingate.api.schemas.workstreams_and_tasks import Decided
from maingate.bootstrap import Maingate
from maingate.queries.decided_entity import decided
from maingate.queries.names import find_entity
from maingate.roles import Role
from maingate.services.http.kept_answers import Note
from maingate.state.operator_rules import OF_WORKSTREAMS, Override

router = APIRouter(prefix="/api/v1", tags=["overrides"])

_TAG: Final = re.compile(r'(?:W/)?"(\d{1,9})(?:\.[0-9a-f]+)?"')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=100,
        description="The `ETag` of the entity as it was read, or `*` to decide whatever it is by now.",
    ),
]


class OverrideRequest(BaseModel):
    """A decision about a task or a workstream."""

    entity: str = Field(max_length=40, description="The identifier of a task or workstream.")
    action: Override = Field(description="`fail` and `validate` are of workstreams, the others of tasks.")
    reason: Why


@router.post("/overrides", summary="Decide a task or a workstream by hand", responses=described(Decided))
async def override(
    actor: Acting,
    body: OverrideRequest,
    if_match: IfMatch = None,
) -> Response:
    """Decide a task or a workstream by hand, whichever process works on it.

    Of several callers that decide about the same version, the first counts; the others get 412.
    """
    version = version_in(if_match)
    kind = "ws" if body.action in OF_WORKSTREAMS else "task"

    def reach() -> tuple[str, Maingate]:
        return actor.desk.of(body.entity, Role.OPERATOR, kind=kind)

    def do(maingate: Maingate, note: Note) -> str:
        return maingate.operator.ask_to_override(
            body.action,
            body.entity,
            reason=body.reason,
            operator=actor.desk.operator,
            version=version,
            note=note,
        )

    def tell(_name: str, maingate: Maingate, request_id: str) -> Done:
        maingate.operator.answer(request_id)
        operator = actor.desk.operator
        found = find_entity(maingate.context, body.entity, kinds=["task", "workstream"])
        return Done(value=decided(maingate.context, found, action=body.action, operator=operator))

    return await actor.act(reach, do, tell, content=f"{if_match} {body.model_dump_json()}".encode())


def version_in(if_match: str | None) -> int | None:
    """Return the version in an If-Match header; None for any.

    Raises:
        HttpProblemError: There is none.
    """
    if if_match is None:
        raise HttpProblemError(
            428,
            "precondition_required",
            "read the entity, and send its `ETag` as `If-Match`, so that no decision of others is overruled",
        )
    if if_match.strip() == "*":
        return None
    if (found := _TAG.fullmatch(if_match.strip())) is None:
        raise HttpProblemError(400, "bad_request", "`If-Match` is no `ETag` of a task or workstream")
    return int(found[1])
