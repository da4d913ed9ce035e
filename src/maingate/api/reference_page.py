"""The page docs/API.md, from the description of the interface: ``python -m maingate.api.reference_page``."""

from collections.abc import Iterator
from typing import Any, Final

from maingate.api.app import create_app
from maingate.api.guard.access import Access
from maingate.server.served_repositories import Site

Json = dict[str, Any]

_HEAD: Final = """\
# HTTP interface

Made by `python -m maingate.api.reference_page` from the endpoints themselves; do not edit. The
machine-readable description is at `/api/v1/openapi.json` of a server (`maingate serve`, see
[COMMANDS.md](COMMANDS.md)).

* **Callers.** On the loopback interface the local user has all rights, until a token is created. Otherwise
  send `Authorization: Bearer mgt_…` (`maingate token create`). Roles are `viewer`, `submitter`, `operator`
  and `admin`; each has the rights of those before it. Decisions are recorded under the token's name.
* **Lists** are newest first unless stated otherwise, and paged: `next` of a page is the `cursor` of the
  next one, and null on the last. No item is missed or repeated while others are created. `fields` chooses
  fields.
* **Errors** are problem documents (RFC 9457) with a stable `code`; a plan's mistakes are in `problems`, all
  of them at once.
* **Validators.** Answers to reading requests have an `ETag`; with `If-None-Match` an unchanged one is a
  304.
* **Once.** An acting request with an `Idempotency-Key` is carried out once; sent again within a day it gets
  the same answer, with `Idempotency-Replayed: true`, also when the server was killed before it answered. The
  key with another request is refused (422), and so is a second one while the first is under way (409).
* **Versions.** An override needs the `ETag` of its task or workstream as `If-Match`. Of several callers who
  decide about one version the first counts; the others get 412.
* **Limits.** 1 MiB a request, 64 MiB for a plan with its patches; 200 reading and 20 acting requests a
  second for each caller (429).
* **Python.** `maingate.client` has the same operations: `Client` for programs without an event loop,
  `AsyncClient` for those with one.
"""


def markdown() -> str:
    """Return the page, ending with a newline."""
    site = Site({})
    app = create_app(site, access=Access(site, operator="", is_loopback=True))
    paths: Json = app.openapi()["paths"]
    sections: dict[str, list[str]] = {}
    for path, operations in paths.items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            sections.setdefault(tag, []).extend(_operation(method, path, operation))
    body = "\n".join(f"## {tag.capitalize()}\n\n" + "\n".join(lines) for tag, lines in sections.items())
    return f"{_HEAD}\n{body}"


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    """Yield the lines about an operation."""
    yield f"### `{method.upper()} {path}`\n"
    yield f"{operation.get('description') or operation.get('summary', '')}\n"
    rows = [_row(each) for each in operation.get("parameters", ()) if each["in"] != "path"]
    if rows:
        yield "\n".join(["| parameter | in | meaning |", "|---|---|---|", *rows, ""])
    answers = [
        f"{status}: {_content(found)}"
        for status, found in operation["responses"].items()
        if "X" not in status
    ]
    sent = operation.get("requestBody")
    if sent is not None:
        yield f"Body: {_content(sent)}.\n"
    yield f"Answers: {'; '.join(answers)}.\n"


def _row(parameter: Json) -> str:
    said = " ".join(parameter.get("description", "").split()).replace("|", "\\|")
    name = f"`{parameter['name']}`{' (needed)' if parameter.get('required') else ''}"
    return f"| {name} | {parameter['in']} | {said} |"


def _content(found: Json) -> str:
    """Return the names of the objects, or the media types, of a body."""
    said = []
    for media, content in found.get("content", {}).items():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        said.append(f"`{name}`" if name else media)
    return " or ".join(said) or found.get("description", "nothing").rstrip(".")


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201 - printing is its purpose
