"""The session of a browser: begun with a token, kept in a cookie that scripts and other sites cannot use.

The cookie is a secret of its own: a thief of it has no token, and it is worth nothing once the session has
ended.
"""

from typing import Final

from fastapi import Request, Response

from maingate.api.actions.idempotent_requests import slowly
from maingate.api.guard.access import SESSION, Access
from maingate.pages.page_request import html, page_router, redirected
from maingate.pages.template_engine import rendered
from maingate.services.http.sessions import LASTS

router = page_router()

_SECONDS: Final = int(LASTS.total_seconds())


def local(path: str) -> str:
    """Return a path of this server; the front page where it is none."""
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_local else "/"


@router.get("/login")
def get_login(request: Request) -> Response:
    """Return the page that asks for a token."""
    return _form(local(request.query_params.get("next", "/")), "", 200)


@router.post("/login")
async def post_login(request: Request) -> Response:
    """Begin a session with a token; one that the browser had before ends."""
    form = await request.form()
    token, onward = str(form.get("token", "")).strip(), local(str(form.get("next", "/")))
    access: Access = request.app.state.access
    address = request.client.host if request.client else ""
    cookie = await slowly(request, lambda: access.begin_session(token, address))
    if cookie is None:
        return _form(
            onward, "This token is not valid. `maingate token list` lists those that are valid.", 401
        )
    await _end(request)
    answer = redirected(onward)
    is_secure = request.url.scheme == "https"
    answer.set_cookie(
        SESSION, cookie, max_age=_SECONDS, path="/", secure=is_secure, httponly=True, samesite="strict"
    )
    return answer


@router.post("/logout")
async def post_logout(request: Request) -> Response:
    """End the session."""
    await _end(request)
    answer = redirected("/login")
    answer.delete_cookie(SESSION, path="/", httponly=True, samesite="strict")
    return answer


async def _end(request: Request) -> None:
    """End the session of the browser, if it has one."""
    access: Access = request.app.state.access
    if cookie := request.cookies.get(SESSION):
        await slowly(request, lambda: access.end_session(cookie))


def _form(onward: str, fault: str, status: int) -> Response:
    return html(rendered("login.html", {"onward": onward, "fault": fault}), status)
