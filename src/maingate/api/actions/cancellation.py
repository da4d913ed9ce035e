"""Cancellation of runs, workstreams and tasks."""

from functools import partial

from fastapi import Response

from maingate.api.actions.idempotent_requests import Actor, Decision, Done
from maingate.bootstrap import Maingate
from maingate.roles import Role
from maingate.services.http.kept_answers import Note


async def cancelled(actor: Actor, entity_id: str, body: Decision, role: Role, *, kind: str) -> Response:
    """Cancel an entity, and answer with the sentence of the process that did it.

    Args:
        actor: Carries the request out.
        entity_id: The entity.
        body: The reason.
        role: The role that is needed.
        kind: The prefix of its identifier.
    """

    def do(maingate: Maingate, note: Note) -> str:
        operator = actor.desk.operator
        return maingate.operator.ask_to_cancel(entity_id, message=body.reason, operator=operator, note=note)

    def tell(_name: str, maingate: Maingate, request_id: str) -> Done:
        return Done(value={"id": entity_id, "answer": maingate.operator.answer(request_id)})

    reach = partial(actor.desk.of, entity_id, role, kind=kind)
    return await actor.act(reach, do, tell, content=body.model_dump_json().encode())
