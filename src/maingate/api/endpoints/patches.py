"""Patches: the ledger, each patch with its gates and history, and its diff."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from maingate.api.actions.idempotent_requests import Acting, Actor, Decision, Done
from maingate.api.actions.rollback import rolled_back
from maingate.api.actions.started_run import hosted, run_done
from maingate.api.answers.json_answer import answer
from maingate.api.answers.problems import HttpProblemError
from maingate.api.description import described, described_text
from maingate.api.lists.filters import Fields, OfRun, OfTask, OfWorkstream, States, one
from maingate.api.lists.merged_pages import PageWanted, fields_of, list_answer, picked
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.patches import PatchApproved, PatchDetail, Patches, PatchState, RolledBack
from maingate.api.schemas.runs import RunItem
from maingate.bootstrap import Maingate
from maingate.queries.changes import parts_of_list
from maingate.queries.details import patch
from maingate.queries.details.listing import patches_page
from maingate.queries.names import find_patch
from maingate.roles import Role
from maingate.services.http.kept_answers import Note
from maingate.services.patch_recovery import write_recovery_plan
from maingate.services.runs.plan_loading import load_plan

router = APIRouter(prefix="/api/v1", tags=["patches"])

MOST_DIFF: Final = 1024 * 1024
"""Bytes of a diff that are returned at once at most."""


@router.get("/patches", summary="List patches, newest first", responses=described(Patches))
def list_patches(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    state: States,
    run: OfRun = None,
    workstream: OfWorkstream = None,
    task: OfTask = None,
    repo: RepoName = None,
) -> Response:
    """List patches, newest first."""
    among = {"run_id": one(run), "workstream_id": one(workstream), "task_id": one(task), "state": state}
    shows = parts_of_list("patches", run)
    return list_answer(
        request, desk, patches_page, shows=shows, among=among, name=None, repo=repo, wanted=wanted
    )


@router.get("/patches/{patch_id}", summary="Read a patch", responses=described(PatchDetail))
def get_patch(request: Request, desk: AtDesk, patch_id: str, fields: Fields = None) -> Response:
    """Read a patch with the gates that judged it and its history."""
    repo, maingate = desk.of(patch_id, kind="patch")
    found = patch.patch_with_history(maingate.context, patch_id)
    found |= {"repo": repo, "gates": [_linked(gate) for gate in found["gates"]]}
    found.pop("quarantine_file")
    return answer(request, picked(found, fields_of(fields)), version=found["version"])


@router.get(
    "/patches/{patch_id}/diff",
    summary="Read a patch's diff",
    responses=described_text("text/plain", "The diff, byte for byte, from `start` on."),
)
def get_diff(
    desk: AtDesk,
    patch_id: str,
    start: Annotated[int, Query(ge=0, le=2**40, description="The place of the first byte.")] = 0,
    length: Annotated[int, Query(ge=1, le=MOST_DIFF, description="Most bytes.")] = MOST_DIFF,
) -> Response:
    """Read the diff of a patch as text. `X-Total-Bytes` has its whole size."""
    _, maingate = desk.of(patch_id, kind="patch")
    _, raw, _ = patch.patch_diff(maingate.context, patch_id)
    headers = {"X-Total-Bytes": str(len(raw)), "Content-Disposition": "inline"}
    return Response(raw[start : start + length], 200, headers, "text/plain; charset=utf-8")


def _linked(gate: dict[str, Any]) -> dict[str, Any]:
    """Return a gate with the address of its log instead of a path of the server."""
    has_log = gate["log"] is not None
    return gate | {"log": f"/api/v1/gates/{gate['id']}/log" if has_log else None}


class Approval(BaseModel):
    """An approval, with a comment."""

    message: str = Field("", max_length=2000, description="A comment; recorded.")


@router.post("/patches/{patch_id}/approve", summary="Approve a patch", responses=described(PatchApproved))
async def approve(actor: Acting, patch_id: str, body: Approval) -> Response:
    """Approve a patch of a plan with reviewers. A second approval by the same caller does not count."""

    def do(maingate: Maingate, note: Note) -> str:
        is_new = maingate.operator.approve_patch(
            patch_id, message=body.message, operator=actor.desk.operator, note=note
        )
        return patch_id if is_new else ""

    def tell(_name: str, maingate: Maingate, approved: str) -> Done:
        state = patch.patch_state(maingate.context, patch_id)
        given = patch.patch_approvals(maingate.context, patch_id)
        return Done(value=state | {"is_new": bool(approved), "approvals": given})

    return await actor.act(_reached(actor, patch_id), do, tell, content=body.model_dump_json().encode())


@router.post("/patches/{patch_id}/drop", summary="Drop a patch", responses=described(PatchState))
async def drop(actor: Acting, patch_id: str, body: Decision) -> Response:
    """Drop a quarantined patch. The patch and its diff stay on record."""

    def do(maingate: Maingate, note: Note) -> str:
        maingate.operator.drop_patch(patch_id, reason=body.reason, operator=actor.desk.operator, note=note)
        return patch_id

    def tell(_name: str, maingate: Maingate, dropped: str) -> Done:
        return Done(value=patch.patch_state(maingate.context, dropped))

    return await actor.act(_reached(actor, patch_id), do, tell, content=body.model_dump_json().encode())


@router.post("/patches/{patch_id}/rollback", summary="Roll a patch back", responses=described(RolledBack))
async def rollback(actor: Acting, patch_id: str, body: Decision) -> Response:
    """Revert a landed patch; the revert lands only when the gates pass. Answers when that is decided."""
    content = body.model_dump_json().encode()
    return await rolled_back(actor, _reached(actor, patch_id), patch_id, body.reason, content=content)


class Recovery(BaseModel):
    """Another attempt to land a refused patch: with the same diff, another one, or one that a tool makes."""

    diff: str | None = Field(None, max_length=MOST_DIFF, description="A diff to land instead.")
    tool: str | None = Field(None, max_length=200, description="A tool of its plan that makes another patch.")


@router.post(
    "/patches/{patch_id}/recover",
    summary="Try to land a refused patch again",
    status_code=201,
    responses=described(RunItem, 201),
)
async def recover(actor: Acting, patch_id: str, body: Recovery) -> Response:
    """Try to land a refused, dropped or rolled back patch again, in a new run with the same gates."""
    if body.diff is not None and body.tool is not None:
        raise HttpProblemError(400, "bad_request", "give either `diff` or `tool`")

    def do(maingate: Maingate, note: Note) -> str:
        diff = None if body.diff is None else body.diff.encode(errors="surrogatepass")
        path = write_recovery_plan(
            maingate.context, find_patch(maingate.context, patch_id), diff=diff, tool=body.tool
        )
        loaded, operator = load_plan(path), actor.desk.operator
        run_id = hosted(
            maingate.admission.admit_for_server(loaded, replaces=patch_id, operator=operator, note=note)
        )
        actor.wake()
        return run_id

    tell, content = partial(run_done, status=201), body.model_dump_json().encode()
    return await actor.act(_reached(actor, patch_id), do, tell, content=content)


def _reached(actor: Actor, patch_id: str) -> Callable[[], tuple[str, Maingate]]:
    return lambda: actor.desk.of(patch_id, Role.OPERATOR, kind="patch")
