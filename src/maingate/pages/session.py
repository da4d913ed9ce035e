"""The session of a browser: a token, typed once, in a cookie that scripts and other sites cannot use."""

from typing import Final

from fastapi import Request, Response

from maingate.api.actions.idempotent_requests import slowly
from maingate.api.guard.access import SESSION, Access
from maingate.pages.page_request import html, page_router, redirected
from maingate.pages.template_engine import rendered

router = page_router()

_DAYS: Final = 30
_SECONDS: Final = _DAYS * 24 * 3600


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
    """Begin a session with a token."""
    form = await request.form()
    token, onward = str(form.get("token", "")).strip(), local(str(form.get("next", "/")))
    access: Access = request.app.state.access
    address = request.client.host if request.client else ""
    if not await slowly(request, lambda: access.is_valid(token, address)):
        return _form(
            onward, "This token is not valid. `maingate token list` lists those that are valid.", 401
        )
    answer = redirected(onward)
    is_secure = request.url.scheme == "https"
    answer.set_cookie(
        SESSION, token, max_age=_SECONDS, path="/", secure=is_secure, httponly=True, samesite="strict"
    )
    return answer


@router.post("/logout")
def post_logout() -> Response:
    """End the session."""
    answer = redirected("/login")
    answer.delete_cookie(SESSION, path="/", httponly=True, samesite="strict")
    return answer


def _form(onward: str, fault: str, status: int) -> Response:
    return html(rendered("login.html", {"onward": onward, "fault": fault}), status)
