"""Rollbacks of tasks, workstreams and whole runs, in the version that the caller has seen."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from maingate.api.actions.idempotent_requests import Acting, Why
from maingate.api.actions.rollback import rolled_back
from maingate.api.description import described
from maingate.api.endpoints.overrides import IfMatch, version_in
from maingate.api.schemas.patches import RolledBack
from maingate.bootstrap import Maingate
from maingate.roles import Role

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

    content = f"{if_match} {body.model_dump_json()}".encode()
    return await rolled_back(actor, reach, body.entity, body.reason, version=version, content=content)
