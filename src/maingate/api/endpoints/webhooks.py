"""The receivers of webhooks."""

from typing import Any

from fastapi import APIRouter, Request, Response

from maingate.api.answers.json_answer import answer
from maingate.api.description import described
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.webhooks import Webhooks
from maingate.queries.webhooks import list_webhooks

router = APIRouter(prefix="/api/v1", tags=["events"])


@router.get("/webhooks", summary="List the receivers of webhooks", responses=described(Webhooks))
def get_webhooks(request: Request, desk: AtDesk, repo: RepoName = None) -> Response:
    """List the receivers that the settings name, and how each fares; `maingate webhook` mends them."""
    items: list[dict[str, Any]] = []
    for name, maingate in desk.readable(repo):
        items += [row | {"repo": name} for row in list_webhooks(maingate.context)]
    return answer(request, {"items": items})
