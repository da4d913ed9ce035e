"""Queues of targets: the workstreams on board, tests under way, and orders of people."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from maingate.api.actions.idempotent_requests import Acting, Actor, Decision, Done
from maingate.api.answers.json_answer import answer
from maingate.api.answers.problems import HttpProblemError
from maingate.api.description import described
from maingate.api.permitted_repositories import AtDesk
from maingate.api.schemas.queues import Freeze, QueueReport
from maingate.api.schemas.runs import Answered
from maingate.bootstrap import Maingate
from maingate.errors import RepositoryError, UnknownEntityError
from maingate.queries.queues.queue_report import queue_report, queue_target
from maingate.roles import Role
from maingate.services.http.kept_answers import Note
from maingate.services.targets.queue_orders import QueueMove, moment_of
from maingate.state.queue_control import QueueOrder

router = APIRouter(prefix="/api/v1", tags=["queues"])

Repo = Annotated[str, Path(max_length=200, description="A repository of this server, by its name.")]
Target = Annotated[str, Path(max_length=500, description="A branch, short or in full.", examples=["main"])]


@router.get("/queue/{repo}/{target:path}", summary="Read a target's queue", responses=described(QueueReport))
def get_queue(request: Request, desk: AtDesk, repo: Repo, target: Target) -> Response:
    """Read what is on board of the queue of a target, what is tested together, and when it is to land."""
    name, maingate = desk.one(repo, Role.VIEWER)
    return answer(request, queue_report(maingate.context, _ref(maingate, target)) | {"repo": name})


@router.post("/queue/{repo}/{target:path}/pause", summary="Pause", responses=described(QueueReport))
async def pause(actor: Acting, repo: Repo, target: Target, body: Decision) -> Response:
    """Start no new test and land nothing until the queue is resumed. Tests that run go on."""
    return await _given(actor, repo, target, body, _order(QueueOrder.PAUSE, body))


@router.post("/queue/{repo}/{target:path}/drain", summary="Drain", responses=described(QueueReport))
async def drain(actor: Acting, repo: Repo, target: Target, body: Decision) -> Response:
    """Land what is on board, and take nothing new until the queue is resumed."""
    return await _given(actor, repo, target, body, _order(QueueOrder.DRAIN, body))


@router.post("/queue/{repo}/{target:path}/resume", summary="Resume", responses=described(QueueReport))
async def resume(actor: Acting, repo: Repo, target: Target, body: Decision) -> Response:
    """End all orders about the queue: pause, drain and freezes."""

    def give(maingate: Maingate, ref: str, operator: str, note: Note) -> None:
        maingate.queue_orders.resume(ref, reason=body.reason, operator=operator, note=note)

    return await _given(actor, repo, target, body, give)


@router.post("/queue/{repo}/{target:path}/freeze", summary="Freeze", responses=described(QueueReport))
async def freeze(actor: Acting, repo: Repo, target: Target, body: Freeze) -> Response:
    """Land nothing until a time, for a while, or again and again by a schedule. Tests go on."""
    if [body.until, body.cron, body.for_seconds].count(None) != (1 if body.cron is not None else 2):
        said = "give `until`, or `for_seconds`, or `cron` with `for_seconds`"
        raise HttpProblemError(400, "bad_request", said)

    def give(maingate: Maingate, ref: str, operator: str, note: Note) -> None:
        orders, length = maingate.queue_orders, timedelta(seconds=body.for_seconds or 0)
        if body.cron is not None:
            orders.schedule(
                ref,
                cron=body.cron,
                length=length,
                zone=body.zone,
                reason=body.reason,
                operator=operator,
                note=note,
            )
            return
        now = maingate.context.clock.now()
        until = now + length if body.until is None else moment_of(body.until, zone=body.zone)
        orders.freeze(ref, until=until, reason=body.reason, operator=operator, note=note)

    return await _given(actor, repo, target, body, give)


@router.post(
    "/workstreams/{workstream_id}/promote", summary="Send to the front", responses=described(Answered)
)
async def promote(actor: Acting, workstream_id: str, body: Decision) -> Response:
    """Send a workstream to the front of the queue of its target."""
    return await _moved(actor, "promote", workstream_id, body)


@router.post("/workstreams/{workstream_id}/demote", summary="Send to the end", responses=described(Answered))
async def demote(actor: Acting, workstream_id: str, body: Decision) -> Response:
    """Send a workstream to the end of the queue of its target."""
    return await _moved(actor, "demote", workstream_id, body)


@router.post(
    "/workstreams/{workstream_id}/remove", summary="Remove from the queue", responses=described(Answered)
)
async def remove(actor: Acting, workstream_id: str, body: Decision) -> Response:
    """Take a workstream out of the queue of its target, and cancel it."""

    def do(maingate: Maingate, note: Note) -> str:
        by = actor.desk.operator
        return maingate.queue_orders.ask_to_remove(workstream_id, reason=body.reason, operator=by, note=note)

    def tell(_name: str, maingate: Maingate, request_id: str) -> Done:
        return Done(value={"id": workstream_id, "answer": maingate.operator.answer(request_id)})

    return await _about_workstream(actor, workstream_id, body, do, tell)


Give = Callable[[Maingate, str, str, Note], None]
"""Gives an order about a target, as an operator, and notes it."""


def _order(kind: QueueOrder, body: Decision) -> Give:
    def give(maingate: Maingate, ref: str, operator: str, note: Note) -> None:
        maingate.queue_orders.order(kind, ref, reason=body.reason, operator=operator, note=note)

    return give


async def _given(actor: Actor, repo: str, target: str, body: Decision, give: Give) -> Response:
    """Carry an order out, and answer with the queue."""

    def do(maingate: Maingate, note: Note) -> str:
        ref = _ref(maingate, target)
        give(maingate, ref, actor.desk.operator, note)
        return ref

    def tell(name: str, maingate: Maingate, ref: str) -> Done:
        maingate.queue_orders.await_obedience(ref)
        return Done(value=queue_report(maingate.context, ref) | {"repo": name})

    reach = partial(actor.desk.one, repo, Role.OPERATOR)
    return await actor.act(reach, do, tell, content=body.model_dump_json().encode())


async def _moved(actor: Actor, move: QueueMove, workstream_id: str, body: Decision) -> Response:
    def do(maingate: Maingate, note: Note) -> str:
        by = actor.desk.operator
        row = maingate.queue_orders.move(move, workstream_id, reason=body.reason, operator=by, note=note)
        return row.id

    def tell(_name: str, _maingate: Maingate, _id: str) -> Done:
        where = "first" if move == "promote" else "last"
        return Done(value={"id": workstream_id, "answer": f"it comes {where} in its queue"})

    return await _about_workstream(actor, workstream_id, body, do, tell)


async def _about_workstream(
    actor: Actor,
    workstream_id: str,
    body: Decision,
    do: Callable[[Maingate, Note], str],
    tell: Callable[[str, Maingate, str], Done],
) -> Response:
    reach = partial(actor.desk.of, workstream_id, Role.OPERATOR, kind="ws")
    return await actor.act(reach, do, tell, content=body.model_dump_json().encode())


def _ref(maingate: Maingate, target: str) -> str:
    """Return the full name of a branch.

    Raises:
        UnknownEntityError: There is none of that name.
    """
    try:
        return queue_target(maingate.context, target)
    except RepositoryError as error:
        raise UnknownEntityError(target, str(error)) from None
