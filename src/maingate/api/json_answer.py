"""JSON answers: ASCII, with a validator, and only the fields that were asked for."""

import hashlib
import json
from collections.abc import Mapping
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


def answer(
    request: Request, value: Any, *, version: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer to a reading request; 304 without a body when the client has it already.

    Args:
        request: The request.
        value: The value.
        version: The version of the entity that it is about, which becomes part of the validator.
        headers: More headers of the answer.
    """
    prefix = "" if version is None else f"{version}."
    return _validated(request, rendered(value).encode(), JSON, prefix, headers or {})


def text_answer(
    request: Request, text: str, media_type: str, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer to a reading request as text; 304 without it when the client has it already."""
    return _validated(request, text.encode(errors="replace"), media_type, "", headers or {})


def _validated(
    request: Request, body: bytes, media_type: str, prefix: str, more: Mapping[str, str]
) -> Response:
    etag = f'"{prefix}{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {"ETag": etag, "Cache-Control": _KEPT, **more}
    if _is_known(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type)


def _is_known(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    given = [each.strip().removeprefix("W/") for each in header.split(",")]
    return "*" in given or etag in given


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_millis(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
