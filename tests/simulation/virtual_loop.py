"""An event loop without sockets or sleep: time jumps to the next timer, and processes in it can be ended.

Everything that runs belongs to the process in whose context it was begun. What belongs to one that is dead
never runs again, as after a SIGKILL; what belongs to one that is stopped waits until it goes on.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextvars import Context, ContextVar
from random import Random
from typing import Any, Protocol


class Killed(BaseException):
    """The process is dead: nothing of it goes on, and nobody in it may catch this."""


class DeadlockError(AssertionError):
    """Nothing is left that could ever happen, or it never ends."""


class Owner(Protocol):
    """A process, as the loop sees it."""

    is_dead: bool
    is_stopped: bool
    backlog: list[asyncio.Handle]
    tasks: "list[asyncio.Task[Any]]"


OWNER: ContextVar[Owner | None] = ContextVar("OWNER", default=None)
"""The simulated process that runs now; None for what is outside of all of them."""

MOST_STEPS = 10_000


class InlineThreads(Executor):
    """Stands for a pool of threads: calls run in the loop, one at a time, a little later."""

    def __init__(self) -> None:
        self.begun: list[Callable[[], None]] = []

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do now what was begun and is not done yet."""
        assert wait
        assert not cancel_futures
        while self.begun:
            self.begun[0]()


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop.

    Args:
        random: Decides how long what runs in threads takes.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = itertools.count()
        self._steps = 0
        self.most_steps = MOST_STEPS
        self._unowned: list[asyncio.Task[Any]] = []
        self.complaints: list[BaseException] = []

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def get_debug(self) -> bool:
        """Nothing is checked."""
        return False

    def is_running(self) -> bool:
        """Whoever asks runs in it."""
        return True

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call something in its turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call something after so many virtual seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call something at a virtual time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._count), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave it among the timers, where it does nothing."""

    def create_future(self) -> "asyncio.Future[Any]":
        """Make a future."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        """Begin a coroutine; it belongs to the process of its context."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            self._unowned.append(task)
        else:
            owner.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Call something a little later, outside of any task; cancelled, it may run none the less."""
        future = self.create_future()
        threads = executor or InlineThreads()
        is_begun = self._random.random() < 0.7

        def call() -> None:
            if call not in threads.begun:
                return
            threads.begun.remove(call)
            if future.cancelled() and not is_begun:
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - it goes to whoever waits
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        threads.begun.append(call)
        self.call_later(self._random.random() * 0.003, call)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what was raised where nobody waits for it."""
        error = context.get("exception")
        if isinstance(error, BaseException) and "handle" in context and not isinstance(error, Killed):
            self.complaints.append(error)

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """Signals are sent by other means."""

    def remove_signal_handler(self, sig: int) -> bool:
        """Signals are sent by other means."""
        return sig > 0

    def let_go_on(self, owner: Owner) -> None:
        """Let a stopped process go on where it was."""
        owner.is_stopped = False
        self._ready.extend(owner.backlog)
        owner.backlog.clear()

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Run until something is true; may be called from within something that runs, outside of tasks.

        Raises:
            DeadlockError: It will never be.
        """
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while not is_over():
                self._step()
        finally:
            asyncio._set_running_loop(before)

    def bury(self, owners: Iterable[Owner]) -> None:
        """Take apart what is left, so that nothing of it runs when memory is cleaned up.

        Args:
            owners: All the processes there have been; those that still live are killed.
        """
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for owner in owners:
                owner.is_dead = True
                context = Context()
                context.run(OWNER.set, owner)
                _close(owner.tasks, context)
            _close(self._unowned, Context())
        finally:
            asyncio._set_running_loop(before)

    def _step(self) -> None:
        if not self._ready:
            self._advance()
        handle = self._ready.popleft()
        self._steps += 1
        if self._steps > self.most_steps:
            raise DeadlockError(f"it goes on and on; it is {self._now:.1f} s after the beginning")
        owner = handle._context.get(OWNER)  # type: ignore[attr-defined]
        if handle.cancelled() or (owner is not None and owner.is_dead):
            return
        if owner is not None and owner.is_stopped:
            owner.backlog.append(handle)
            return
        handle._run()

    def _advance(self) -> None:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise DeadlockError(f"nothing will ever happen any more, {self._now:.1f} s after the beginning")
        self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._timers)[2])


def _close(tasks: "list[asyncio.Task[Any]]", context: Context) -> None:
    """Close coroutines, also those that begin others on their way to the grave."""
    while tasks:
        task = tasks.pop()
        coroutine: Any = task.get_coro()
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        for _ in range(50):
            try:
                context.run(coroutine.close)
            except (Killed, Exception):  # noqa: BLE001, S112 - what it says then is not heard
                continue
            break
