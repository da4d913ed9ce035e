"""Problem documents: every error of the interface in the form of RFC 9457."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from maingate.api.answers.json_answer import rendered
from maingate.errors import (
    AmbiguousNameError,
    ChangedMeanwhileError,
    DatabaseError,
    InterruptedRunError,
    MaingateError,
    NoStateError,
    OutsideFaultError,
    PlanError,
    ProblemsError,
    StaleTransitionError,
    TargetBusyError,
    UnknownEntityError,
    UsageError,
)
from maingate.services.http.kept_answers import KeyBusyError, KeyReusedError
from maingate.wording import short

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = "2"
"""Seconds after which a request that met a busy or failing resource may be sent again."""

INTERNAL: Final = "this is a bug in Maingate; the server's log has the particulars"
"""The text about an unexpected error."""

_OF_ERROR: Final[Sequence[tuple[type[MaingateError], int, str]]] = (
    (UnknownEntityError, 404, "not_found"),
    (NoStateError, 404, "not_found"),
    (AmbiguousNameError, 400, "ambiguous_name"),
    (ChangedMeanwhileError, 412, "version_mismatch"),
    (KeyReusedError, 422, "idempotency_key_reused"),
    (KeyBusyError, 409, "idempotency_key_busy"),
    (PlanError, 422, "plan_invalid"),
    (ProblemsError, 422, "settings_invalid"),
    (UsageError, 409, "refused"),
    (StaleTransitionError, 409, "changed_meanwhile"),
    (TargetBusyError, 409, "target_busy"),
    (InterruptedRunError, 503, "interrupted"),
    (DatabaseError, 503, "database_unavailable"),
    (OutsideFaultError, 503, "outside_fault"),
)
"""The status and code of each error; the first that fits counts, and other errors are internal."""

_OF_STATUS: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_media_type",
}


class HttpProblemError(Exception):
    """A request is refused by the interface itself.

    Args:
        status: The HTTP status.
        code: The stable code.
        detail: The fault, and the next step.
        headers: Headers that belong to the answer.
        **more: Values for programs.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.more = headers or {}, more


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return a problem document as an answer."""
    document = {
        "type": f"urn:maingate:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    return Response(rendered(document), status, dict(headers or {}), MEDIA_TYPE)


def refusal(error: HttpProblemError) -> Response:
    """Return the problem document of a refusal."""
    return problem(error.status, error.code, error.detail, headers=error.headers, **error.more)


def problem_of(error: MaingateError) -> Response:
    """Return the problem document of an error of the program."""
    status, code = next(
        ((status, code) for kind, status, code in _OF_ERROR if isinstance(error, kind)), (500, "internal")
    )
    if code == "internal":
        return internal()
    more = {} if not isinstance(error, ProblemsError) else {"problems": problems_json(error)}
    is_passing = status == HTTPStatus.SERVICE_UNAVAILABLE or code in {"target_busy", "idempotency_key_busy"}
    return problem(
        status, code, str(error), headers={"Retry-After": RETRY_SECONDS} if is_passing else {}, **more
    )


def problems_json(error: ProblemsError) -> list[dict[str, Any]]:
    """Return all problems of an input in the public JSON form."""
    return [
        {"file": each.file, "line": each.line, "message": each.message, "hint": each.hint}
        for each in error.problems
    ]


def internal() -> Response:
    """Return the problem document of an unexpected error; its particulars are in the log alone."""
    return problem(500, "internal", INTERNAL)


def add_problems(app: FastAPI) -> None:
    """Add the handlers that answer expected errors of an application with problem documents."""

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this kind alone
        code = _OF_STATUS.get(error.status_code, "bad_request")
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _allowed(request)
        return problem(error.status_code, code, str(error.detail), headers=headers)

    async def of_refusal(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HttpProblemError)  # noqa: S101 - as above
        return refusal(error)

    async def of_program(_request: Request, error: Exception) -> Response:
        assert isinstance(error, MaingateError)  # noqa: S101 - as above
        return problem_of(error)

    async def of_request(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        return _invalid(error)

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(HttpProblemError, of_refusal)
    app.add_exception_handler(MaingateError, of_program)
    app.add_exception_handler(RequestValidationError, of_request)


def _allowed(request: Request) -> str:
    """Return the methods of all endpoints at the path of a request; the router knows those of the first."""
    found: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(found))


def _invalid(error: RequestValidationError) -> Response:
    """Return the problem document of a request that is not as the interface describes it."""
    found = [
        {"in": ".".join(short(str(part)) for part in each["loc"]), "message": each["msg"]}
        for each in error.errors()
    ]
    said = "; ".join(f"{each['in']}: {each['message']}" for each in found[:3])
    return problem(422, "invalid_request", said, errors=found)
