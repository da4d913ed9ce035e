"""The host of runs: takes up the runs of all repositories of a site, several on each target at once.

One thread looks at the records: when a bell is rung, when the process of a run has ended, and every second.
All that it knows is on record or can be read there again, so a server that was killed is continued by the
next one. A repository that cannot be read, or a run that fails, holds up nothing else.
"""

import os
import selectors
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from enum import IntEnum
from typing import Final

from maingate.errors import MaingateError, OutsideFaultError, ServerBusyError
from maingate.ids import RunId
from maingate.server.hosted_run import HostedRun
from maingate.server.log import LOG
from maingate.server.run_starts import Post
from maingate.server.served_repositories import Phase, Site, none_served

LOOK_INTERVAL: Final = timedelta(seconds=1)
"""Time between two looks at the records when nothing calls for one."""

DRAIN_TIME: Final = timedelta(seconds=60)
"""Time that running gates have to end when the server ends."""

KILL_TIME: Final = timedelta(seconds=30)
"""Time that a run has to stop at once, before its process is killed."""


class _Wish(IntEnum):
    """The end that was asked for."""

    NONE = 0
    DRAIN = 1
    AT_ONCE = 2


class RunHost:
    """Hosts the runs of a site.

    Args:
        site: The repositories.
        workers: How many gates of a run run at once. Defaults to the setting.
        drain_time: Time that running gates have to end when the server ends.
        ended: Called in the host's thread when it has ended.
        looked: Called in the host's thread after each look.
    """

    def __init__(
        self,
        site: Site,
        *,
        workers: int | None = None,
        drain_time: timedelta = DRAIN_TIME,
        ended: Callable[[], None] = lambda: None,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._site, self._drain_time = site, drain_time
        self._ended, self._looked = ended, looked
        self._workers, self._tried_at = workers, time.monotonic()
        self._posts: Sequence[Post] = ()
        self._add_posts()
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wish = _Wish.NONE
        self._thread = threading.Thread(target=self._host, name="host")
        site.call_when_woken(self.wake)
        site.hosted, site.not_held = self.hosted, self._not_held

    def start(self, *, is_standby: bool = False) -> None:
        """Take hold of the repositories, and begin to host their runs.

        One that cannot be taken is told, and tried again at each look.

        Args:
            is_standby: Whether to wait for the end of another server, instead of refusing.

        Raises:
            MaingateError: None can be taken: another server has it, or it has a fault.
        """
        for post in self._posts:
            try:
                post.take()
            except ServerBusyError as error:
                tell = LOG.info if is_standby else LOG.error
                tell("standing_by", repository=post.name, reason=str(error))
            except MaingateError as error:
                LOG.error("repository_trouble", repository=post.name, reason=str(error))
        is_waiting = is_standby and any(isinstance(e, ServerBusyError) for e in self._not_held().values())
        if not (is_waiting or any(post.is_taken for post in self._posts)):
            self._leave()
            self._end_hooks()
            raise none_served(self._site.unserved())
        self._thread.start()

    def wake(self) -> None:
        """Wake the host, to look at the records now; safe in any thread and in a signal handler."""
        with suppress(BlockingIOError):
            os.write(self._writing, b"!")

    def drain(self) -> None:
        """Begin to end: at the first call after the running gates, at the second at once.

        Safe in any thread and in a signal handler. The runs can be resumed.
        """
        self._wish = _Wish(min(self._wish + 1, _Wish.AT_ONCE))
        self.wake()

    @property
    def is_asked_to_end(self) -> bool:
        """True when it was asked to end."""
        return self._wish is not _Wish.NONE

    def interrupt(self, run_id: RunId) -> bool:
        """Stop a hosted run after its running gates; it stays stopped until it is resumed.

        Returns:
            Whether the run is hosted.
        """
        return any(post.interrupt(run_id) for post in self._posts)

    def hosted(self) -> Sequence[HostedRun]:
        """Return the runs that have a process now."""
        return [run for post in self._posts for run in post.hosted()]

    def _not_held(self) -> Mapping[str, MaingateError]:
        """Return why repositories are not held here, by name."""
        return {post.name: post.obstacle for post in self._posts if post.obstacle is not None}

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of the host; return whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- the thread ------------------------------------------------------------------------------------------

    def _host(self) -> None:
        with ExitStack() as ending:  # each of these is done whatever becomes of the others
            ending.callback(self._ended)
            ending.callback(self._end_hooks)
            ending.callback(self._leave)
            while self._wish is _Wish.NONE:
                self._open_absent()
                for post in self._posts:
                    post.look()
                is_ready = any(post.is_taken for post in self._posts)
                self._site.phase = Phase.READY if is_ready else Phase.STARTING
                self._looked()
                self._wait(LOOK_INTERVAL)
            self._drain()

    def _open_absent(self) -> None:
        """Try to open the absent repositories, once in a while; those that could be opened are hosted."""
        if not self._site.absent or time.monotonic() - self._tried_at < LOOK_INTERVAL.total_seconds():
            return
        try:
            self._site.open_absent()
        except Exception:  # noqa: BLE001 - a fault of one repository must not end the host of all
            LOG.exception("open_failed", repositories=list(self._site.absent))
        self._tried_at = time.monotonic()
        self._add_posts()

    def _add_posts(self) -> None:
        """Add a post at each repository without one; other threads read the posts meanwhile."""
        manned = {post.name for post in self._posts}
        added = [
            Post(name, maingate, workers=self._workers) for name, maingate in self._site if name not in manned
        ]
        self._posts = [*self._posts, *added]

    def _drain(self) -> None:
        """Stop all runs, and wait until their processes have ended."""
        self._site.phase = Phase.DRAINING
        LOG.info("draining", runs=len(self.hosted()), seconds=self._drain_time.total_seconds())
        self._leave()
        self._stop_all()
        until = time.monotonic() + self._drain_time.total_seconds()
        while self.hosted() and self._wish is _Wish.DRAIN and time.monotonic() < until:
            self._wait_for_ends()
        if self.hosted():
            LOG.info("stopping_at_once", runs=len(self.hosted()))
            self._stop_all()
        until = time.monotonic() + KILL_TIME.total_seconds()
        while self.hosted() and time.monotonic() < until:
            self._wait_for_ends()
        for post in self._posts:
            post.kill()

    def _stop_all(self) -> None:
        for run in self.hosted():
            self.interrupt(run.id)

    def _wait_for_ends(self) -> None:
        self._wait(LOOK_INTERVAL)
        self._looked()
        for post in self._posts:
            post.collect()

    def _wait(self, longest: timedelta) -> None:
        """Wait until something calls for a look, but not for long."""
        with selectors.PollSelector() as waiting:  # needs no descriptor: there may be none left
            waiting.register(self._reading, selectors.EVENT_READ)
            for fd in (fd for post in self._posts for fd in post.fds()):
                waiting.register(fd, selectors.EVENT_READ)
            waiting.select(longest.total_seconds())
        with suppress(BlockingIOError):
            os.read(self._reading, 4096)
        for post in self._posts:
            post.silence()

    def _leave(self) -> None:
        """Release all repositories, so that other servers and people may go on with them."""
        for post in self._posts:
            with suppress(OutsideFaultError):  # its lease is seen to be dead anyway
                post.leave()

    def _end_hooks(self) -> None:
        """End the followers of the ledger: after the runs were told to stop, because it may take seconds."""
        for post in self._posts:
            post.end_hooks()
