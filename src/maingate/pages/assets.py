"""Files that pages need: each has an address with its digest, and may be kept for ever under that."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response

from maingate.errors import UnknownEntityError

router = APIRouter(include_in_schema=False)

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_DIGITS: Final = 12


@cache
def assets() -> Mapping[str, tuple[str, bytes]]:
    """Return each file by its name: its digest and its content."""
    folder = files("maingate.pages") / "static"
    contents = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    return {
        name: (hashlib.sha256(content).hexdigest()[:_DIGITS], content) for name, content in contents.items()
    }


def address(name: str) -> str:
    """Return the address of a file."""
    return f"/static/{assets()[name][0]}/{name}"


@router.get("/static/{digest}/{name}")
def get_asset(request: Request, digest: str, name: str) -> Response:
    """Return a file; one that was asked for by an older digest is not kept."""
    known = assets().get(name)
    if known is None:
        raise UnknownEntityError(name, "no such file")
    present, content = known
    headers = {"ETag": f'"{present}"', "Cache-Control": _FOR_EVER if digest == present else "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, _TYPES[name.rpartition(".")[2]])
