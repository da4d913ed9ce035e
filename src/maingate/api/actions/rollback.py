"""Rollbacks of patches, tasks, workstreams and runs, each once under its idempotency key."""

from collections.abc import Callable
from typing import Any

from fastapi import Response

from maingate.api.actions.idempotent_requests import Actor, Done
from maingate.api.answers.problems import HttpProblemError
from maingate.bootstrap import Maingate
from maingate.errors import UsageError
from maingate.queries.decided_entity import require_version
from maingate.queries.rollbacks.rollback import rolled_back_since
from maingate.server.rollback_process import roll_back
from maingate.services.http.kept_answers import Note, note_begun


async def rolled_back(
    actor: Actor,
    reach: Callable[[], tuple[str, Maingate]],
    entity_id: str,
    reason: str,
    *,
    content: bytes,
    version: int | None = None,
) -> Response:
    """Roll an entity back, and answer when that is decided.

    The process of a rollback outlives a server that is killed, and nothing is rolled back twice. So a request
    whose server was killed is begun again, and finds what became of the first attempt.

    Args:
        actor: Carries the request out.
        reach: Returns the repository, and refuses a caller who may not do this there.
        entity_id: The entity.
        reason: Why.
        content: The content of the request.
        version: The version of the entity that the decision was made about; None for any.
    """

    def do(maingate: Maingate, note: Note) -> str:
        require_version(maingate.context, entity_id, version)
        return note_begun(maingate.context, note)

    def tell(_name: str, maingate: Maingate, begun: str) -> Done:
        told = _result(maingate, entity_id, reason, begun=begun, operator=actor.desk.operator)
        if (refused := told["reason"]) is not None:
            raise HttpProblemError(409, refused["code"], refused["message"], reason=refused)
        return Done(value=told)

    return await actor.act(reach, do, tell, content=content)


def _result(maingate: Maingate, entity_id: str, reason: str, *, begun: str, operator: str) -> dict[str, Any]:
    """Roll an entity back, unless that was done since the request was begun; return the public JSON form."""
    try:
        return roll_back(maingate.repository.root, entity_id, reason=reason, operator=operator)
    except UsageError:
        told = rolled_back_since(maingate.context, entity_id, begun=begun, operator=operator)
        if told is None:
            raise
        return told
