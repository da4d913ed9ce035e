"""A visit of a page: the request, its caller, and the answer as HTML or as JSON."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from maingate.api.answers.json_answer import answer
from maingate.api.answers.problems import INTERNAL, HttpProblemError, problem_of
from maingate.api.guard.access import SESSION
from maingate.api.permitted_repositories import AtDesk, Desk
from maingate.bootstrap import Maingate
from maingate.errors import MaingateError
from maingate.events import TRANSITION_SUFFIX, EventType
from maingate.pages.template_engine import rendered, segment
from maingate.roles import Role
from maingate.state.machines import MACHINES

Json = dict[str, Any]

PAGE_HEADERS: Final[Mapping[str, str]] = {"Referrer-Policy": "same-origin"}
"""Without a referrer browsers state the origin of forms as ``null``, which is refused."""
_EVENT_TYPES: Final = " ".join(
    sorted({*map(str, EventType), *(f"{name}{TRANSITION_SUFFIX}" for name in MACHINES)})
)
_MOST_LISTENED: Final = 3
"""Repositories whose events a page follows; browsers keep few connections open."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A visit of a page.

    Args:
        request: The request.
        desk: Its caller, and the repositories that the caller may read.
    """

    request: Request
    desk: Desk

    def part(self, name: str) -> str:
        """Return a part of the address."""
        return str(self.request.path_params[name])

    def asked(self, name: str, default: str = "") -> str:
        """Return a value of the query."""
        return self.request.query_params.get(name, default)[:500]

    def number(self, name: str, default: int = 0) -> int:
        """Return a number of the query."""
        text = self.asked(name)
        return int(text) if text.isdecimal() and len(text) < 10 else default  # noqa: PLR2004

    def of(self, entity_id: str, kind: str | None = None) -> tuple[str, Maingate]:
        """Return the repository of an entity."""
        return self.desk.of(entity_id, kind=kind)

    def repository(self) -> tuple[str, Maingate]:
        """Return the repository that the query names, else the first that the caller may read."""
        first = next((name for name, _ in self.desk.readable()), None)
        return self.desk.one(self.asked("repo") or first, Role.VIEWER)

    def may(self, repo: str, role: Role) -> bool:
        """Return whether the caller has a role in a repository."""
        has = self.desk.caller.roles.get(repo)
        return has is not None and has.includes(role)


async def visit_of(request: Request, desk: AtDesk) -> Visit:
    """Return the visit of a request, for FastAPI."""
    return Visit(request=request, desk=desk)


AtPage = Annotated[Visit, Depends(visit_of)]
"""The visit, as a parameter of a page."""

View = Callable[[Visit], Json]


class PageRoute(APIRoute):
    """A route whose errors are pages, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler."""
        inside = super().get_route_handler()

        async def handling(request: Request) -> Response:
            try:
                return await inside(request)
            except (HttpProblemError, MaingateError, HTTPException, RequestValidationError) as error:
                if request.url.path.endswith(".json"):
                    raise
                return error_page(request, error)

        return handling


def page_router() -> APIRouter:
    """Return a router for pages."""
    return APIRouter(include_in_schema=False, route_class=PageRoute)


def add_page(
    router: APIRouter,
    path: str,
    template: str,
    view: View,
    *,
    json_path: str | None = None,
    json_view: View | None = None,
    parts: Mapping[str, tuple[str, View]] = MappingProxyType({}),
) -> None:
    """Add a page, which answers as JSON under its address with ``.json`` behind it.

    A reader who is on the page already may ask for a part of it alone, by the header ``Maingate-Part``.

    Args:
        router: The router.
        path: Its address.
        template: The name of its template.
        view: Makes its values.
        json_path: Its address as JSON, where that is another.
        json_view: Makes its values as JSON, where they are others.
        parts: The template and the values of each part, by the identifier of its element.
    """
    whole = (template, view)

    def as_json(visit: AtPage) -> Response:
        return answer(visit.request, (json_view or view)(visit))

    def as_html(visit: AtPage) -> Response:
        name, make = parts.get(visit.request.headers.get("maingate-part", ""), whole)
        return shown(visit, name, make(visit))

    router.add_api_route(json_path or f"{path}.json", as_json)
    router.add_api_route(path, as_html)


def shown(visit: Visit, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
    """Return values as a page."""
    return html(rendered(template, {**_frame(visit), "page": values}), status)


def html(page: str, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Return HTML as an answer."""
    return Response(page, status, {**headers, **PAGE_HEADERS}, "text/html; charset=utf-8")


def redirected(address: str) -> Response:
    """Return the answer that leads a browser to a page of this server."""
    return Response(status_code=303, headers={"Location": address, **PAGE_HEADERS})


def _here(request: Request) -> str:
    """Return the path and the query of a request."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _frame(visit: Visit) -> Json:
    """Return the values of the frame of each page."""
    caller, request = visit.desk.caller, visit.request
    repos = [name for name, _ in visit.desk.readable()]
    return {
        "path": request.url.path,
        "here": _here(request),
        "operator": caller.name,
        "repos": repos,
        "listened": repos[:_MOST_LISTENED],
        "event_types": _EVENT_TYPES,
        "has_session": SESSION in request.cookies,
        "may": lambda repo, role: visit.may(repo, Role(role)),
        "done": visit.asked("done"),
    }


def error_page(request: Request, error: Exception) -> Response:
    """Return the page of an error with the next step; without a token that is the login."""
    status, code, detail, headers = _described(error)
    if status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        return redirected(f"/login?next={segment(_here(request))}")
    values = {"status": status, "title": HTTPStatus(status).phrase, "code": code, "detail": detail}
    back = request.headers.get("referer", "")
    local = back if back.startswith(f"{request.url.scheme}://{request.headers.get('host')}/") else "/"
    return html(rendered("error.html", {"page": values, "back": local}), status, headers)


def _described(error: Exception) -> tuple[int, str, str, Mapping[str, str]]:
    match error:
        case HttpProblemError():
            return error.status, error.code, error.detail, error.headers
        case MaingateError():
            answered = problem_of(error)
            if answered.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
                return 500, "internal", INTERNAL, {}
            return answered.status_code, type(error).__name__, str(error), {}
        case HTTPException(status_code=HTTPStatus.NOT_FOUND):
            return 404, "not_found", "there is no page at this address", {}
        case HTTPException():
            return error.status_code, "http", str(error.detail), {}
    return 422, "invalid_request", "the address or the form is not as it should be", {}
