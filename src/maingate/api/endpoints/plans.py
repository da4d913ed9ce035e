"""Plans that are submitted with their patches: read from a request, checked, and simulated."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from maingate.api.actions.idempotent_requests import slowly
from maingate.api.answers.json_answer import JSON, rendered
from maingate.api.answers.problems import HttpProblemError
from maingate.api.description import described
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.plan_submission import PlanSubmission
from maingate.api.schemas.runs import PlanChecked, PlanSimulated
from maingate.api.simulation_process import simulated
from maingate.queries.runs.plan_summary import plan_summary
from maingate.roles import Role
from maingate.services.http.uploads import MOST_FILES
from maingate.services.runs.conflict_trial import tried_plan
from maingate.services.runs.plan_notes import notes_on_run

if TYPE_CHECKING:
    from anyio import CapacityLimiter

router = APIRouter(prefix="/api/v1", tags=["plans"])

MOST_NUMBERS: Final = 8
MOST_SEED: Final = 2**31 - 1
Workers = Annotated[int, Field(ge=1, le=1024)]

_FORM: Final = "multipart/form-data"
_PLAN: Final = "plan"


class Submission:
    """A request that brings a plan, read from the network and not yet parsed.

    Args:
        content: Its body, where it is JSON.
        form: Its parts, where it is a form.
    """

    def __init__(self, content: bytes, form: Mapping[str, bytes] | None = None) -> None:
        self.content, self._form = content, form

    def parsed(self) -> PlanSubmission:
        """Return the plan with its files. It takes a while, and belongs into a thread.

        Raises:
            RequestValidationError: It is not as described.
        """
        try:
            if self._form is None:
                return PlanSubmission.model_validate_json(self.content)
            return _of_form(self._form)
        except ValidationError as error:
            found = [each | {"loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
            raise RequestValidationError(found) from error


async def submission_of(request: Request) -> Submission:
    """Read a plan from a request: one JSON object, or a form with the plan and its files as parts.

    Raises:
        HttpProblemError: It is neither.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        return Submission(await request.body())
    if kind != _FORM:
        raise HttpProblemError(415, "unsupported_media_type", f"send {JSON} or {_FORM}")
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FILES) as form:
        parts = {name: await _part(value) for name, value in _single(form)}
    joined = b"".join(b"%d %s %d %s" % (len(n), n.encode(), len(v), v) for n, v in sorted(parts.items()))
    return Submission(joined, parts)


Submitted = Annotated[Submission, Depends(submission_of)]

DESCRIBED_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/PlanSubmission"}},
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": [_PLAN],
                    "properties": {_PLAN: {"type": "string"}},
                    "additionalProperties": {"type": "string"},
                }
            },
        },
    }
}
"""The description of a request that brings a plan, which FastAPI cannot derive."""


@router.post(
    "/plan/check", summary="Check a plan", responses=described(PlanChecked), openapi_extra=DESCRIBED_BODY
)
async def check(request: Request, desk: AtDesk, sent: Submitted, repo: RepoName = None) -> Response:
    """Check a plan as `maingate plan check` does; all its problems are listed at once. Nothing is kept."""

    def work() -> str:
        _, maingate = desk.one(repo, Role.SUBMITTER)
        with maingate.uploads.loaded(sent.parsed().upload(), is_kept=False) as loaded:
            trial = tried_plan(loaded)
            is_ok = trial is None or trial.is_ok
            tried = None if trial is None else trial.as_json()
            summary = plan_summary(loaded, notes_on_run(maingate.repository, loaded.plan))
            return rendered({"ok": is_ok, "plan": summary, "trial": tried})

    return Response(await slowly(request, work), 200, media_type=JSON)


@router.post(
    "/plan/simulate",
    summary="Simulate a plan",
    responses=described(PlanSimulated),
    openapi_extra=DESCRIBED_BODY,
)
async def simulate(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    sent: Submitted,
    workers: Annotated[
        list[Workers],
        Query(
            default_factory=list,
            max_length=MOST_NUMBERS,
            description="How many tasks and gates run at once; may be given several times. Default: "
            "`workers` of the body, else 1, 2, 4, 8 and the setting.",
        ),
    ],
    failure_rate: Annotated[
        float | None,
        Query(ge=0, le=1, description="The share of workstreams that fail. Default: as on record."),
    ] = None,
    seed: Annotated[int, Query(ge=0, le=MOST_SEED, description="The seed of failures and times.")] = 0,
    repo: RepoName = None,
) -> Response:
    """Estimate the time and the runs of gates of a plan, as `maingate plan simulate` does; nothing runs.

    One simulation is made at a time, in a process of its own that is ended after half a minute.
    """

    def work() -> str:
        _, maingate = desk.one(repo, Role.SUBMITTER)
        wanted = sent.parsed()
        numbers = workers or ([] if wanted.workers is None else [wanted.workers])
        with maingate.uploads.loaded(wanted.upload(), is_kept=False) as loaded:
            root = maingate.repository.root
            return rendered(
                simulated(loaded, root=root, workers=numbers, failure_rate=failure_rate, seed=seed)
            )

    limiter: CapacityLimiter = request.app.state.simulations
    async with limiter:
        return Response(await slowly(request, work), 200, media_type=JSON)


def _single(form: FormData) -> list[tuple[str, UploadFile | str]]:
    """Return the parts of a form.

    Raises:
        HttpProblemError: Two have the same name.
    """
    parts = form.multi_items()
    if len({name for name, _ in parts}) != len(parts):
        raise HttpProblemError(400, "bad_request", "two parts of the form have the same name")
    return parts


async def _part(value: UploadFile | str) -> bytes:
    return value.encode() if isinstance(value, str) else await value.read()


def _of_form(parts: Mapping[str, bytes]) -> PlanSubmission:
    options = {name: parts[name].decode() for name in ("workers", "budget_usd") if name in parts}
    files = {
        name: {"base64": base64.b64encode(content).decode()}
        for name, content in parts.items()
        if name not in {_PLAN, *options}
    }
    plan = parts.get(_PLAN)
    stated = {} if plan is None else {_PLAN: plan.decode(errors="surrogateescape")}
    return PlanSubmission.model_validate({**stated, "files": files, **options})
