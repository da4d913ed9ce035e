"""JSON answers: ASCII, with a validator, and only the fields that were asked for."""

import hashlib
import json
from datetime import datetime
from typing import Any, Final

from fastapi import Request, Response

from maingate.events import iso_millis

JSON: Final = "application/json"
_KEPT: Final = "private, no-cache"
"""Answers may be kept by the client, which asks each time whether they are still the same."""


def rendered(value: Any) -> str:
    """Return a value as JSON text in ASCII, so that no character of others takes effect anywhere."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=_as_json)


def answer(request: Request, value: Any, *, version: int | None = None) -> Response:
    """Return the answer to a reading request; 304 without a body when the client has it already.

    Args:
        request: The request.
        value: The value.
        version: The version of the entity that it is about, which becomes part of the validator.
    """
    body = rendered(value).encode()
    digest = hashlib.sha256(body).hexdigest()[:24]
    etag = f'"{digest}"' if version is None else f'"{version}.{digest}"'
    headers = {"ETag": etag, "Cache-Control": _KEPT}
    if _is_known(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, JSON)


def _is_known(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    given = [each.strip().removeprefix("W/") for each in header.split(",")]
    return "*" in given or etag in given


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_millis(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
