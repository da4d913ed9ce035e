"""Rollbacks of tasks, workstreams and whole runs, in the version that the caller has seen."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from maingate.api.answers.problems import HttpProblemError
from maingate.api.description import described
from maingate.api.endpoints.overrides import IfMatch, version_in
from maingate.api.idempotent_requests import Acting, Done, Why
from maingate.api.schemas.patches import RolledBack
from maingate.bootstrap import Maingate
from maingate.queries.decisions import require_version
from maingate.roles import Role
from maingate.server.rollback_process import roll_back

router = APIRouter(prefix="/api/v1", tags=["rollbacks"])


class RollbackDecision(BaseModel):
    """A rollback of all that a task, a workstream or a run has on its target."""

    entity: str = Field(
        max_length=40,
        pattern="^(run|ws|task)_",
        description="The identifier of a task, a workstream or a run.",
    )
    reason: Why


@router.post("/rollbacks", summary="Roll a task, a workstream or a run back", responses=described(RolledBack))
async def create_rollback(actor: Acting, body: RollbackDecision, if_match: IfMatch = None) -> Response:
    """Revert the landed patches of an entity; the reverts land together, and only when the gates pass.

    Answers when that is decided. `If-Match` is the `ETag` of the entity as it was read.
    """
    version = version_in(if_match)

    def reach() -> tuple[str, Maingate]:
        return actor.desk.of(body.entity, Role.OPERATOR, kind=body.entity.partition("_")[0])

    def do(_name: str, maingate: Maingate) -> Done:
        require_version(maingate.context, body.entity, version)
        root, operator = maingate.repository.root, actor.desk.operator
        told = roll_back(root, body.entity, reason=body.reason, operator=operator)
        if (refused := told["reason"]) is not None:
            raise HttpProblemError(409, refused["code"], refused["message"], reason=refused)
        return Done(value=told)

    return await actor.act(reach, do, content=f"{if_match} {body.model_dump_json()}".encode())
