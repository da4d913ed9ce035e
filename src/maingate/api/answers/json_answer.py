"""JSON answers: ASCII, with a validator, and only the fields that were asked for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, Self

from fastapi import Request, Response

from maingate.events import iso_millis

JSON: Final = "application/json"
_KEPT: Final = "private, no-cache"
"""Answers may be kept by the client, which asks each time whether they are still the same."""


def rendered(value: Any) -> str:
    """Return a value as JSON text in ASCII, so that no character of others takes effect anywhere."""
    return _ENCODE(value)


@dataclass(frozen=True, kw_only=True)
class MadeAnswer:
    """The body of an answer to a reading request, with its headers.

    Args:
        body: The body.
        media_type: Its type.
        headers: The headers, with the validator.
    """

    body: bytes
    media_type: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, body: bytes, media_type: str, headers: Mapping[str, str], *, prefix: str = "") -> Self:
        """Return an answer with the validator of its body."""
        etag = f'"{prefix}{hashlib.sha256(body).hexdigest()[:24]}"'
        return cls(
            body=body, media_type=media_type, headers={"ETag": etag, "Cache-Control": _KEPT, **headers}
        )

    def to(self, request: Request) -> Response:
        """Return the answer to a request; 304 without the body when the client has it already."""
        if _is_known(request.headers.get("if-none-match"), self.headers["ETag"]):
            return Response(status_code=304, headers=dict(self.headers))
        return Response(self.body, 200, dict(self.headers), self.media_type)


class AnswerKeeper(Protocol):
    """A keeper of answers for later requests."""

    def keep(self, made: MadeAnswer) -> None:
        """Keep an answer."""
        ...


def answer(
    request: Request,
    value: Any,
    *,
    version: int | None = None,
    headers: Mapping[str, str] | None = None,
    keeper: AnswerKeeper | None = None,
) -> Response:
    """Return the answer to a reading request; 304 without a body when the client has it already.

    Args:
        request: The request.
        value: The value.
        version: The version of the entity that it is about, which becomes part of the validator.
        headers: More headers of the answer.
        keeper: Keeps the answer; None for one that is made anew each time.
    """
    prefix = "" if version is None else f"{version}."
    made = MadeAnswer.of(rendered(value).encode(), JSON, headers or {}, prefix=prefix)
    if keeper is not None:
        keeper.keep(made)
    return made.to(request)


def text_answer(
    request: Request, text: str, media_type: str, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer to a reading request as text; 304 without it when the client has it already."""
    return MadeAnswer.of(text.encode(errors="replace"), media_type, headers or {}).to(request)


def _is_known(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    given = [each.strip().removeprefix("W/") for each in header.split(",")]
    return "*" in given or etag in given


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_millis(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_ENCODE: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=_as_json).encode
