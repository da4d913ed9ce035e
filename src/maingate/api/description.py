"""The description of the interface (OpenAPI), completed with what is the same for all endpoints."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from maingate.api.answers.problems import MEDIA_TYPE
from maingate.api.landing_request import LandRequest
from maingate.api.plan_submission import PlanSubmission
from maingate.api.schemas.base import ProblemDocument

Json = dict[str, Any]

_READING: Final = "get"
_NEEDED: Final = {"If-Match": r'^(\*|"[0-9]{1,9}(\.[0-9a-f]+)?")$'}
"""Headers whose absence has an answer of its own, and their form."""
_TEXT: Final = """\
Reads and steers what `maingate serve` hosts. Lists are paged by an opaque cursor, errors are problem
documents (RFC 9457) with a stable `code`, and answers to reading requests have an `ETag`. Send a token as
`Authorization: Bearer …`; on the loopback interface none is needed until one was created."""


def described(model: type[BaseModel], status: int = 200) -> dict[int | str, Json]:
    """Return the description of an endpoint whose answer is an object of a model."""
    return {status: {"model": model}}


def described_text(media_type: str, what: str) -> dict[int | str, Json]:
    """Return the description of an endpoint whose answer is text."""
    return {200: {"description": what, "content": {media_type: {"schema": {"type": "string"}}}}}


def add_description(app: FastAPI) -> None:
    """Make an application describe itself completely."""

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(
                    title="Maingate", version=version("maingate"), description=_TEXT, routes=app.routes
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents


def _complete(schema: Json) -> Json:
    """Add to every operation the errors that it may answer, the token, and the reading ones' 304."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for model in (ProblemDocument, PlanSubmission, LandRequest):
        described = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**described.pop("$defs", {}), model.__name__: described}
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path in schema["paths"].values():
        for method, operation in path.items():
            _complete_operation(method, operation)
    return schema


def _complete_operation(method: str, operation: Json) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in _NEEDED:
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "pattern": _NEEDED[parameter["name"]]}
    responses = operation["responses"]
    responses.pop("422", None)
    if method == _READING and "application/json" in responses.get("200", {}).get("content", {}):
        responses["304"] = {"description": "The client has it already (`If-None-Match`)."}
    for status, said in (("4XX", "The request is refused."), ("5XX", "Something failed.")):
        reference = {"$ref": "#/components/schemas/ProblemDocument"}
        responses[status] = {"description": said, "content": {MEDIA_TYPE: {"schema": reference}}}
    operation["security"] = [{"token": []}, {}]
