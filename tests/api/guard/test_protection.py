"""Every request is protected alike, whatever answers it, and every error is a problem document."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.live_server import PATIENCE, Live, problem


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/api/v1/runs", {}, None),
        ("GET", "/nowhere", {}, (404, "not_found")),
        ("DELETE", "/api/v1/runs", {}, (405, "method_not_allowed")),
        ("GET", "/api/v1/runs?limit=0", {}, (422, "invalid_request")),
        ("GET", "/api/v1/runs?cursor=x", {}, (400, "invalid_cursor")),
        ("GET", "/api/v1/runs", {"Authorization": "Bearer nonsense"}, (401, "unauthenticated")),
        ("GET", "/api/v1/runs", {"Host": "evil.example"}, (421, "host_not_allowed")),
        ("POST", "/api/v1/breakers/x/trip", {"Origin": "http://evil.example"}, (403, "cross_site")),
        ("POST", "/api/v1/breakers/x/trip", {"Sec-Fetch-Site": "cross-site"}, (403, "cross_site")),
        ("POST", "/api/v1/breakers/x/trip", {"Origin": "null"}, (403, "cross_site")),
        ("POST", "/api/v1/breakers/x/trip", {"Origin": "http://["}, (403, "cross_site")),
    ],
)
def test_every_answer_has_the_security_headers(
    client: httpx.Client, method: str, path: str, headers: dict[str, str], expected: tuple[int, str] | None
) -> None:
    """Whatever refuses a request, the answer forbids scripts of others, sniffing, framing and referrers."""
    from maingate.api.guard.protection import SECURITY_HEADERS

    answer = client.request(method, path, headers=headers)
    assert (None if expected is None else problem(answer)) == expected
    assert answer.headers.items() >= {
        (name.lower(), value) for name, value in SECURITY_HEADERS.items() if name != "Cache-Control"
    }
    assert "no-" in answer.headers["cache-control"]


def test_the_own_page_may_act(client: httpx.Client) -> None:
    """A request of a page of this server passes the check of its origin."""
    headers = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = client.post("/api/v1/breakers/no-such-tool/trip", headers=headers, json={"reason": "x"})
    assert problem(answer) == (404, "not_found")


@pytest.fixture
def failing(live: Live) -> Iterator[httpx.Client]:
    """Give a client of a server with an endpoint that fails."""
    from starlette.responses import Response

    async def fail() -> Response:
        raise KeyError("/etc/secret")

    live.app.add_api_route("/fail", fail)
    with live.client() as client:
        yield client
    live.app.router.routes.pop()


def test_an_unexpected_error_shows_nothing_of_the_program(
    failing: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer has no particulars; the log has them."""
    answer = failing.get("/fail")
    assert problem(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "/etc/secret" in caplog.text


def test_a_request_that_states_that_it_is_too_large_is_refused_unread(live: Live) -> None:
    """The limit holds before a byte was read."""
    from maingate.api.app import MOST_BODY

    head = f"POST /api/v1/overrides HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MOST_BODY + 1}\r\n\r\n"
    host, _, port = live.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_request_that_grows_too_large_is_refused(client: httpx.Client) -> None:
    """The limit holds for a body of unknown length, too."""
    from maingate.api.app import MOST_BODY

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * (MOST_BODY // 16)

    answer = client.post("/api/v1/overrides", headers={"Content-Type": "application/json"}, content=chunks())
    assert problem(answer) == (413, "too_large")


@pytest.mark.parametrize(
    ("beginning", "more"),
    [(b"GET /", b"a"), (b"GET / HTTP/1.1\r\nX: ", b"a"), (b"GET / HTTP/1.1\r\n", b"X: a\r\n")],
)
def test_a_head_that_does_not_end_is_refused(live: Live, beginning: bytes, more: bytes) -> None:
    """Nothing else bounds the memory that it takes: the limit of a body comes behind it."""
    from maingate.server.connections import MOST_HEAD

    head = (beginning + MOST_HEAD * more)[: MOST_HEAD + 1]
    host, _, port = live.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_request_whose_rest_does_not_come_is_refused() -> None:
    """The limit holds for each part of a body, and not for the wait behind it."""
    from starlette.exceptions import HTTPException

    from maingate.api.guard.protection import LimitBody

    async def application(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass

    async def nothing(_message: Any) -> None:
        """Send nothing."""

    async def play(*sent: bool, within: float) -> None:
        parts = asyncio.Queue[dict[str, Any]]()
        for more_body in sent:
            parts.put_nowait({"type": "http.request", "body": b"x", "more_body": more_body})
        limit = LimitBody(application, 100, {}, seconds=0.01)
        async with asyncio.timeout(within):
            await limit({"type": "http", "path": "/", "headers": []}, parts.get, nothing)

    with pytest.raises(HTTPException) as refused:
        asyncio.run(play(True, within=PATIENCE))
    assert refused.value.status_code == 408
    with pytest.raises(TimeoutError):
        asyncio.run(play(True, False, within=0.1))


def test_a_request_that_is_no_http_is_refused(live: Live) -> None:
    """Garbage ends its connection and nothing else."""
    host, _, port = live.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(b"\x00\x01nonsense\r\n\r\n")
        assert b"400" in connection.recv(1000)
    with live.client() as client:
        assert client.get("/api/v1/me").status_code == 200
