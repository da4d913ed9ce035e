"""Effects that fail for ever with one workstream, whoever carries them out."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, ClassVar

from maingate.errors import GitError
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    BuildChain,
    JudgeChain,
    LandCar,
    MoveWorkstreamRef,
    SealCar,
)
from maingate.orchestrator.shell.effect_steps import EffectStep
from simulation.simulated_maingate import Scene, TracedEffects


class Stubborn(TracedEffects):
    """Fails for ever with one workstream, at one kind of effect, in the way that the seed says."""

    _victim: str
    _names: ClassVar[dict[str, str]] = {}
    _what: str
    _fault: type[Exception]
    faults: tuple[type[Exception], ...] = (MemoryError, RecursionError, RuntimeError, OSError, GitError)

    def steps_of(self, effect: Any) -> Sequence[EffectStep]:
        """Return its steps, unless it is the one that fails."""
        is_his = self._victim_of(effect) == self._victim
        if is_his and type(effect).__name__ == self._what:
            return [EffectStep(call=self._fail)]
        return super().steps_of(effect)

    async def _fail(self, _effect: Any) -> Any:
        """Fail."""
        raise self._fault("it comes back each time")

    async def take_patches(self, effects: Any) -> Any:
        """Take them, unless one of them is the one that fails."""
        if self._what == "TakePatch" and any(self._victim_of(one) == self._victim for one in effects):
            raise self._fault("one of these comes back each time")
        return await super().take_patches(effects)

    async def apply_patches(self, effects: Any) -> Any:
        """Apply them, unless one of them is the one that fails."""
        if self._what == "ApplyPatches" and any(self._victim_of(one) == self._victim for one in effects):
            raise self._fault("one of these comes back each time")
        return await super().apply_patches(effects)

    async def move_refs(self, effects: Any) -> None:
        """Move them, unless one of them is the one that fails."""
        if self._what == "MoveWorkstreamRef" and any(self._victim_of(one) == self._victim for one in effects):
            raise self._fault("one of these comes back each time")
        await super().move_refs(effects)

    def _victim_of(self, effect: Any) -> str | None:
        match effect:
            case MoveWorkstreamRef(ref=ref):
                return ref.rpartition("/")[2]
            case ApplyPatches(patches=patches):
                return patches[0].task.label.partition("/")[0]
            case BuildChain(links=links):
                self._names.update((link.input.workstream, link.input.name) for link in links)
        if isinstance(effect, BuildChain | JudgeChain | SealCar | LandCar):
            is_his = self._victim in {self._names.get(workstream) for workstream in effect.workstreams}
            return self._victim if is_his else None
        task = getattr(effect, "input", None)
        return None if task is None else str(task.label).partition("/")[0]


KINDS = (
    "TakePatch",
    "RestorePatch",
    "RunCommand",
    "RunTool",
    "ApplyPatches",
    "JudgePatch",
    "BuildChain",
    "JudgeChain",
    "SealCar",
    "LandCar",
    "MoveWorkstreamRef",
)


def fails_for_ever(seed: int) -> Callable[[Scene], None]:
    """Let one workstream of the scene fail at one kind of effect."""

    def prepare(scene: Scene) -> None:
        chance = Random(f"{seed} stubborn")
        names = {
            "_victim": chance.choice([name for each in scene.plans for name in each.plan.workstreams]),
            "_what": KINDS[seed % len(KINDS)],
            "_fault": chance.choice(Stubborn.faults),
        }
        scene.effects = type("StubbornHere", (Stubborn,), names)

    return prepare
