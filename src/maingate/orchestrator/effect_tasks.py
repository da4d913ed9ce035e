"""Effects under way: each runs as a task of the loop and puts its event into the queue of the core."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from maingate.orchestrator.core.effects import (
    ApplyPatches,
    Effect,
    MoveWorkstreamRef,
    RunNoop,
    TakePatch,
    WaitForRetry,
    WaitForTool,
)
from maingate.orchestrator.core.events import AttemptEnd, AttemptEnded, CoreEvent, RetryDue, ToolDue
from maingate.orchestrator.shell.failed_effects import Attendant
from maingate.verdicts.repeated_executions import DrainedError

LOT: Final = 64
"""Workstreams whose patches are applied in one go: the core decides once about all of them."""


class EffectTasks:
    """Starts effects and timers, and stops them.

    Args:
        attendant: Carries effects out.
        events: The queue of the core; None in it means that something has ended.
        is_wanted: Returns whether a ready patch is still to be taken in.
        failed: Called when an effect fails for a reason that is not its item's.
    """

    def __init__(
        self,
        attendant: Attendant,
        events: "asyncio.Queue[CoreEvent | None]",
        *,
        is_wanted: Callable[[TakePatch], bool],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._attendant, self._events = attendant, events
        self._is_wanted, self._failed = is_wanted, failed
        self._under_way: dict[asyncio.Task[None], None] = {}  # in their order, so that they end in it
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def is_idle(self) -> bool:
        """Return whether no effect is under way; timers do not count."""
        return not self._under_way

    def speculate(self, effects: Sequence[Effect]) -> None:
        """Start effects without durable consequences."""
        applying: list[ApplyPatches] = []
        moving: list[MoveWorkstreamRef] = []
        for effect in effects:
            match effect:
                case RunNoop(task=task_id, attempt=attempt):
                    done = AttemptEnded(task=task_id, attempt=attempt, end=AttemptEnd.DONE)
                    self._events.put_nowait(done)
                case ApplyPatches():
                    applying.append(effect)
                case MoveWorkstreamRef():
                    moving.append(effect)
                case _:
                    self._start(self._carry_out(effect))
        for at in range(0, len(applying), LOT):
            self._start(self._apply(applying[at : at + LOT]))
        if moving:
            self._start(self._attendant.move_refs(moving))

    def start_when(self, durable: "asyncio.Future[None] | None", effects: Sequence[Effect]) -> None:
        """Start effects when the decision that they belong to is durable.

        Args:
            durable: Done when the decision is durable; None when it records nothing.
            effects: The effects.
        """
        self._start(self._wait_and_start(durable, effects))

    async def stop(self) -> None:
        """Stop all effects and timers."""
        for timer in self._timers:
            timer.cancel()
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _wait_and_start(
        self, durable: "asyncio.Future[None] | None", effects: Sequence[Effect]
    ) -> None:
        if durable is not None:
            await durable
        taking: list[TakePatch] = []
        moving: list[MoveWorkstreamRef] = []
        for effect in effects:
            match effect:
                case TakePatch():
                    taking += [effect] if self._is_wanted(effect) else []
                case WaitForRetry(task=task_id, attempt=attempt, seconds=seconds):
                    self._set_timer(seconds, RetryDue(task=task_id, attempt=attempt))
                case WaitForTool(tool=tool, seconds=seconds, of_breaker=of_breaker):
                    self._set_timer(seconds, ToolDue(tool=tool, of_breaker=of_breaker))
                case MoveWorkstreamRef():
                    moving.append(effect)
                case _:
                    self._start(self._carry_out(effect))
        if moving:
            self._start(self._attendant.move_refs(moving))
        if taking:
            self._start(self._take(taking))

    def _set_timer(self, seconds: float, event: CoreEvent) -> None:
        def ring() -> None:
            self._timers.discard(timer)
            self._events.put_nowait(event)

        timer = asyncio.get_running_loop().call_later(seconds, ring)
        self._timers.add(timer)

    async def _take(self, effects: Sequence[TakePatch]) -> None:
        for event in await self._attendant.take_patches(effects):
            self._events.put_nowait(event)

    async def _apply(self, effects: Sequence[ApplyPatches]) -> None:
        for event in await self._attendant.apply_patches(effects):
            self._events.put_nowait(event)

    async def _carry_out(self, effect: Effect) -> None:
        with suppress(DrainedError):  # the run is stopping: its gates are not run any more
            event = await self._attendant.carry_out(effect)
            if event is not None:
                self._events.put_nowait(event)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
        if not self._under_way:
            self._events.put_nowait(None)
