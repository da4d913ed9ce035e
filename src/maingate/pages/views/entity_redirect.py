"""The page of anything: the address ``/go/ID`` leads to the page that shows the entity of an identifier."""

from collections.abc import Callable, Mapping
from typing import Final

from fastapi import Response

from maingate.bootstrap import Maingate
from maingate.errors import UnknownEntityError
from maingate.pages.page_request import AtPage, page_router, redirected
from maingate.queries.details import listing
from maingate.queries.names import find_id

router = page_router()


@router.get("/go")
def get_search(visit: AtPage) -> Response:
    """Redirect to the page of a word: an identifier, the beginning of one, or a name in the newest run."""
    text = visit.asked("q").strip()
    for _, maingate in visit.desk.readable():
        try:
            return redirected(_address(maingate, find_id(maingate.context, text)))
        except UnknownEntityError:
            continue
    raise UnknownEntityError(
        text, f"nothing here is called {text[:80]!r}: try a run, task, patch or its identifier"
    )


@router.get("/go/{entity_id}")
def get_page_of(visit: AtPage, entity_id: str) -> Response:
    """Redirect to the page of an entity."""
    _, maingate = visit.of(entity_id)
    return redirected(_address(maingate, entity_id))


def _address(maingate: Maingate, entity_id: str) -> str:
    kind = entity_id.partition("_")[0]
    if (address := _ADDRESSES.get(kind)) is not None:
        return address.format(id=entity_id)
    if (find := _FOUND.get(kind)) is not None:
        return find(maingate, entity_id)
    return f"/events?entity={entity_id}"


def _of_workstream(maingate: Maingate, entity_id: str) -> str:
    stream = listing.workstream(maingate.context, entity_id)
    return f"/runs/{stream['run_id']}?open={entity_id}#open"


def _of_task(maingate: Maingate, entity_id: str) -> str:
    task = listing.task(maingate.context, entity_id)
    if task["patch"] is not None:
        return f"/patches/{task['patch']['id']}"
    return f"/runs/{task['run_id']}?open={task['workstream_id']}#{entity_id}"


def _of_gate(maingate: Maingate, entity_id: str) -> str:
    gate = listing.gate(maingate.context, entity_id)
    if gate["patch_id"] is not None:
        return f"/patches/{gate['patch_id']}#{entity_id}"
    return f"/runs/{gate['run_id']}?open={gate['workstream_id'] or ''}#open"


_ADDRESSES: Final[Mapping[str, str]] = {
    "run": "/runs/{id}",
    "patch": "/patches/{id}",
    "wrk": "/workers",
    "uet": "/workers",
    "brk": "/breakers",
}
_FOUND: Final[Mapping[str, Callable[[Maingate, str], str]]] = {
    "ws": _of_workstream,
    "task": _of_task,
    "gate": _of_gate,
}
