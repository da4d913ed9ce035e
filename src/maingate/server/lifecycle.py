"""A server from its start to its end: the host of runs in a thread, the HTTP interface in the main thread."""

import asyncio
import logging
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import uvicorn

from maingate.errors import OutsideFaultError
from maingate.server.connections import ACCEPTED_AT_ONCE, limited_connection
from maingate.server.host import RunHost
from maingate.server.listen_socket import address_of, without_delay
from maingate.server.log import LOG
from maingate.server.served_repositories import Site
from maingate.server.systemd import notify
from maingate.system.freed_memory import return_freed_memory
from maingate.system.process_tree import expect_processes_of_other_threads

GOODBYE_SECONDS: Final = 5
"""Seconds that open connections have when the server ends."""

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LIVELY_SECONDS: Final = 10.0
"""Seconds within which the main thread must have gone round, for a sign of life to be given."""


def serve(
    app: Any,
    site: Site,
    listening: socket.socket,
    *,
    workers: int | None = None,
    drain_time: timedelta,
    is_standby: bool = False,
) -> None:
    """Serve until the process is asked to stop; the second signal stops runs at once.

    Args:
        app: The HTTP interface, an ASGI application.
        site: The repositories.
        listening: The socket that it listens at.
        workers: How many gates of a run run at once. Defaults to the setting.
        drain_time: Time that running gates have to end.
        is_standby: Whether to wait for the end of another server of the same repositories.

    Raises:
        ServerBusyError: Another server has one of the repositories.
        OutsideFaultError: The host of runs has ended by itself.
    """
    return_freed_memory()
    expect_processes_of_other_threads()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        http=limited_connection(),
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    http = HttpServer(config)
    host = RunHost(site, workers=workers, drain_time=drain_time, ended=http.end, looked=http.give_sign)
    with _called_on_signals(host.drain):
        host.start(is_standby=is_standby)
        try:
            LOG.info("listening", url=address_of(listening), repositories=[name for name, _ in site])
            http.run(sockets=[without_delay(listening)])
        finally:
            is_asked = host.is_asked_to_end
            host.drain()
            host.join()
            LOG.info("ended")
    if not is_asked:
        raise OutsideFaultError(
            "the server has ended by itself; its log says why. Start it again: runs go on"
        )


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return whether the library's log is to have a record: not each request that is cut off at the end.

    It says in one line how many those are.
    """
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


class HttpServer(uvicorn.Server):
    """The HTTP server; the signals of the process are for the host of runs, which ends it."""

    _ticked_at = -math.inf

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def end(self) -> None:
        """End it; safe in any thread."""
        self.should_exit = True

    def give_sign(self) -> None:
        """Send systemd a sign of life, if the main thread goes round."""
        if time.monotonic() - self._ticked_at < _LIVELY_SECONDS:
            notify("WATCHDOG=1", os.environ)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and notify systemd."""
        await super().startup(sockets)
        notify("READY=1", os.environ)

    async def on_tick(self, counter: int) -> bool:
        """Note that the main thread goes round."""
        self._ticked_at = time.monotonic()
        return await super().on_tick(counter)


@contextmanager
def _called_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Make a call for each signal that asks the process to stop."""

    def stopping(number: int, _frame: object) -> None:
        LOG.info("signal", name=signal.Signals(number).name)
        notify("STOPPING=1", os.environ)
        stop()

    before = {number: signal.getsignal(number) for number in _STOPPING}
    for number, present in before.items():
        if present is not signal.SIG_IGN:  # as `nohup` does, and a shell for what it starts in the background
            signal.signal(number, stopping)
    try:
        yield
    finally:
        for number, present in before.items():
            signal.signal(number, present)
