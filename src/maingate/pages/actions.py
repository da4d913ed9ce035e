"""Actions: forms that carry out what the interface's endpoints do, and lead back to their page."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, get_args

from fastapi import Request, Response
from pydantic import ValidationError

from maingate.api.actions.idempotent_requests import Acting, Actor, Decision
from maingate.api.answers.problems import HttpProblemError
from maingate.api.endpoints import (
    overrides,
    patches,
    queues,
    rollbacks,
    runs,
    workforce,
    workstreams_and_tasks,
)
from maingate.pages.page_request import page_router, redirected
from maingate.pages.session import local
from maingate.state.operator_rules import Override

router = page_router()

Fields = Mapping[str, str]
Action = Callable[[Actor, Fields], Awaitable[Response]]

_WRONG_FORM: Final = "state a reason, in at most 2000 letters; an amount of money is a number above 0"
_VERSION: Final = re.compile(r"[0-9]{1,9}")


def _reason(fields: Fields) -> Decision:
    return Decision(reason=fields.get("reason", ""))


def _seen(fields: Fields) -> str | None:
    """Return the version of the entity that the reader has seen, as the interface takes it."""
    version = fields.get("version", "")
    return f'"{version}"' if _VERSION.fullmatch(version) else None


def _cancel(actor: Actor, fields: Fields) -> Awaitable[Response]:
    entity = fields.get("entity", "")
    kinds: Mapping[str, Callable[[Actor, str, Decision], Awaitable[Response]]] = {
        "run": runs.cancel,
        "ws": workstreams_and_tasks.cancel_workstream,
        "task": workstreams_and_tasks.cancel_task,
    }
    cancel = kinds.get(entity.partition("_")[0], workstreams_and_tasks.cancel_task)
    return cancel(actor, entity, _reason(fields))


def _resume(actor: Actor, fields: Fields) -> Awaitable[Response]:
    budget = fields.get("budget_usd") or None
    wanted = runs.Resumption.model_validate({"workers": None, "budget_usd": budget})
    return runs.resume(actor, fields.get("entity", ""), wanted)


def _approve(actor: Actor, fields: Fields) -> Awaitable[Response]:
    said = patches.Approval(message=fields.get("reason", ""))
    return patches.approve(actor, fields.get("entity", ""), said)


def _recover(actor: Actor, fields: Fields) -> Awaitable[Response]:
    return patches.recover(actor, fields.get("entity", ""), patches.Recovery(diff=None, tool=None))


def _drop(actor: Actor, fields: Fields) -> Awaitable[Response]:
    return patches.drop(actor, fields.get("entity", ""), _reason(fields))


def _roll_back(actor: Actor, fields: Fields) -> Awaitable[Response]:
    entity, reason = fields.get("entity", ""), fields.get("reason", "")
    if entity.startswith("patch_"):
        return patches.rollback(actor, entity, _reason(fields))
    decision = rollbacks.RollbackDecision(entity=entity, reason=reason)
    return rollbacks.create_rollback(actor, decision, _seen(fields))


def _reset_breaker(actor: Actor, fields: Fields) -> Awaitable[Response]:
    return workforce.reset(actor, fields.get("entity", ""), _reason(fields), fields.get("repo") or None)


def _trip_breaker(actor: Actor, fields: Fields) -> Awaitable[Response]:
    return workforce.trip(actor, fields.get("entity", ""), _reason(fields), fields.get("repo") or None)


def _queue(order: Callable[[Actor, str, str, Decision], Awaitable[Response]]) -> Action:
    def give(actor: Actor, fields: Fields) -> Awaitable[Response]:
        return order(actor, fields.get("repo", ""), fields.get("entity", ""), _reason(fields))

    return give


def _overriding(action: Override) -> Action:
    def override(actor: Actor, fields: Fields) -> Awaitable[Response]:
        asked = overrides.OverrideRequest(
            entity=fields.get("entity", ""), action=action, reason=fields.get("reason", "")
        )
        return overrides.override(actor, asked, _seen(fields))

    return override


ACTIONS: Final[Mapping[str, Action]] = {
    "cancel": _cancel,
    "resume": _resume,
    "approve": _approve,
    "recover": _recover,
    "drop": _drop,
    "rollback": _roll_back,
    "reset-tool": _reset_breaker,
    "pause-tool": _trip_breaker,
    "pause-queue": _queue(queues.pause),
    "drain-queue": _queue(queues.drain),
    "resume-queue": _queue(queues.resume),
    **{each: _overriding(each) for each in get_args(Override)},
}
"""The actions by the names that forms use."""


@router.post("/actions/{name}")
async def post_action(request: Request, actor: Acting, name: str) -> Response:
    """Carry out an action of a form of this site, and lead back to the page it is on."""
    if request.headers.get("origin") is None and request.headers.get("sec-fetch-site") != "same-origin":
        raise HttpProblemError(403, "cross_site", "forms are accepted from pages of this server alone")
    if (action := ACTIONS.get(name)) is None:
        raise HttpProblemError(404, "not_found", f"there is no action {name[:40]!r}")
    form = await request.form()
    fields = {key: value for key, value in form.items() if isinstance(value, str)}
    try:
        await action(actor, fields)
    except ValidationError as error:
        raise HttpProblemError(422, "invalid_request", _WRONG_FORM) from error
    back = local(fields.get("back", "/")).partition("?")
    kept = "&".join(part for part in back[2].split("&") if part and not part.startswith("done="))
    onward = f"{back[0]}?{kept}&done={name}" if kept else f"{back[0]}?done={name}"
    return redirected(onward)
