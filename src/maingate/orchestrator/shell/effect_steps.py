"""The steps of an effect: one that failed is gone on with where it failed, and not begun anew.

Most effects are one step, which may be repeated. Others cost money or change things: they are prepared, done
once, and concluded, and only what is done once is never repeated.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from maingate.orchestrator.core.effects import Effect
from maingate.orchestrator.core.events import CoreEvent


@dataclass(frozen=True, kw_only=True)
class EffectStep:
    """A step of an effect.

    Args:
        call: Does it, given the result of the step before; the first one is given the effect.
        is_once: Whether it is never repeated.
    """

    call: Callable[[Any], Awaitable[Any]]
    is_once: bool = False


class EffectExecution:
    """The execution of an effect.

    Args:
        effect: The effect.
        steps: Its steps, of which the last one gives its event.

    Attributes:
        failures: How often the step that it stands at has failed.
    """

    def __init__(self, effect: Effect, steps: Sequence[EffectStep]) -> None:
        self._steps, self._result, self._place = steps, effect, 0
        self.failures = 0

    @property
    def is_at_once_step(self) -> bool:
        """True when the step that it stands at is never repeated."""
        return self._steps[self._place].is_once

    async def go_on(self) -> CoreEvent | None:
        """Do the steps that are left; return the event of the effect."""
        result: Any = self._result
        for step in self._steps[self._place :]:
            try:
                result = self._result = await step.call(result)
            except Exception:
                self.failures += 1
                raise
            self._place += 1
            self.failures = 0
        event: CoreEvent | None = result
        return event
