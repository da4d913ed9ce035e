"""The end of a server: requests that are under way are answered or cut off, without tracebacks in its log."""

import asyncio
import logging
import threading
from http.client import HTTPConnection, IncompleteRead

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from maingate.api.guard.protection import CatchErrors
from maingate.server import lifecycle
from maingate.server.listen_socket import listen

PATIENCE = 30.0


class Endless:
    """An application that answers nothing, or half; it says when a request has come so far."""

    def __init__(self) -> None:
        self.is_reached = threading.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for ever."""
        del receive
        if scope["path"] == "/half":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        self.is_reached.release()
        await asyncio.Event().wait()


def test_requests_under_way_at_the_end_leave_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """One without an answer gets one that says to send it again; one that was half answered is cut off."""
    endless = Endless()
    config = uvicorn.Config(
        CatchErrors(endless), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=0
    )
    server = lifecycle.HttpServer(config)
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        host, port = listening.getsockname()
        waiting, half = (HTTPConnection(host, port, timeout=PATIENCE) for _ in range(2))
        for each, path in ((waiting, "/"), (half, "/half")):
            each.request("GET", path)
            assert endless.is_reached.acquire(timeout=PATIENCE)
        server.end()
        answer = waiting.getresponse()
        assert (answer.status, answer.getheader("retry-after")) == (503, "2")
        assert b"server_ending" in answer.read()
        with pytest.raises(IncompleteRead) as cut:
            half.getresponse().read()
        assert cut.value.partial == b"half"
        thread.join(PATIENCE)
        waiting.close()
        half.close()
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in said] == [
        "Cancel 2 running task(s), timeout graceful shutdown exceeded"
    ]
    assert said[0].exc_info is None
