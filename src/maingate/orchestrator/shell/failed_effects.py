"""The fault of a failed effect, decided so that one item never stops the others.

An effect that fails is retried a few times. Before each retry everything that all items need is tried without
the item (``health``). When that fails too, something outside is at fault: the run stops and can be resumed.
When all of it works and the effect still fails, the item is at fault: its task or workstream ends with a code
that blames no patch, and the others go on. So this module need not know the ways in which an item can fail.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Final, TypeVar

from maingate.commits import Candidate
from maingate.errors import (
    InterruptedRunError,
    LeaseLostError,
    MaingateError,
    OutsideFaultError,
    PatchFolderError,
    ProcessLostError,
    TargetBusyError,
    WorkerError,
)
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    BuildChain,
    Effect,
    KeepEvidence,
    LandCar,
    MoveWorkstreamRef,
    RestorePatch,
    SealCar,
    TakePatch,
)
from maingate.orchestrator.core.events import (
    AppliedPatch,
    ChainBuilt,
    CoreEvent,
    LandingFailed,
    PatchesApplied,
    TargetLanded,
)
from maingate.orchestrator.shell.dispatcher import Dispatcher
from maingate.orchestrator.shell.effect_steps import EffectExecution
from maingate.orchestrator.shell.given_up_items import given_up, reason_in, reason_of
from maingate.orchestrator.shell.items_in_hand import InHand
from maingate.reasons import ReasonCode

TRIES: Final = 3
"""Attempts of a step of an effect before its item is given up."""

PAUSE: Final = 0.05
"""Seconds before the second time; four times as long before each further one."""

_OF_THE_RUN: Final = (InterruptedRunError, LeaseLostError, TargetBusyError, WorkerError, PatchFolderError)
"""Errors that are never an item's fault."""

OfPatches = TypeVar("OfPatches", TakePatch, ApplyPatches)

_SUSPECT: Final = frozenset({ReasonCode.WORKTREE_FAILED, ReasonCode.SPAWN_FAILED})
"""Codes of workers that may as well be the surroundings' fault, such as a full disk."""


class Attendant:
    """Carries effects out, and decides whether the item is at fault when one fails.

    Args:
        effects: Carries effects out.
        examine: Raises when something fails that every item needs.
        warn: Records a warning and shows it to people.
        in_hand: The items that ended earlier processes.
        losses: Number of processes that an item may end before it is given up.
    """

    def __init__(
        self,
        effects: Dispatcher,
        *,
        examine: Callable[[], Awaitable[None]],
        warn: Callable[[str], None],
        in_hand: InHand,
        losses: int,
    ) -> None:
        self._effects, self._examine, self._warn = effects, examine, warn
        self._in_hand, self._losses = in_hand, losses
        self._one_suspect = asyncio.Lock()

    async def carry_out(self, effect: Effect) -> CoreEvent | None:
        """Carry an effect out; return its event, also when that gives its item up.

        Raises:
            OutsideFaultError: Something fails that every item needs.
            InterruptedRunError: The run is stopping.
        """
        keys = _keys_of(effect)
        lost = self._in_hand.losses(keys)
        if not lost:
            with self._in_hand.holding(keys) if keys else nullcontext():
                return await self._carry_out(effect)
        if _is_several(effect):
            return await self._one_by_one(effect)
        if lost >= self._losses or (lost >= self._losses - 1 and _is_car(effect)):
            how_often = f"the process died {lost} times while it worked on this"
            return await self._give_up(effect, ProcessLostError(how_often))
        async with self._one_suspect:  # so that what takes the process along again is known
            with self._in_hand.holding(keys):
                return await self._carry_out(effect)

    async def _carry_out(self, effect: Effect) -> CoreEvent | None:
        execution = EffectExecution(effect, self._effects.steps_of(effect))
        while True:
            try:
                event = await execution.go_on()
            except _OF_THE_RUN:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be one item's alone
                await self.raise_if_outside(error)
                if execution.failures >= _tries(effect, execution):
                    self._require_kept(effect)
                    return await self._give_up(effect, error)
                await asyncio.sleep(PAUSE * 4 ** (execution.failures - 1))
            else:
                await self._require_healthy_workers(effect, event)
                return event

    async def take_patches(self, effects: Sequence[TakePatch]) -> Sequence[CoreEvent]:
        """Take several ready patches in, in one go; one by one when that fails or has ended a process."""
        return await self._in_one_go(effects, self._effects.take_patches)

    async def apply_patches(self, effects: Sequence[ApplyPatches]) -> Sequence[CoreEvent]:
        """Apply the patches of several workstreams in one go; one by one as `take_patches` does."""
        return await self._in_one_go(effects, self._effects.apply_patches)

    async def _in_one_go(
        self,
        effects: Sequence[OfPatches],
        carry_out: Callable[[Sequence[OfPatches]], Awaitable[Sequence[CoreEvent]]],
    ) -> Sequence[CoreEvent]:
        keys = [key for effect in effects for key in _keys_of(effect)]
        if len(effects) > 1 and not self._in_hand.losses(keys):
            try:
                with self._in_hand.holding(keys):
                    return await carry_out(effects)
            except _OF_THE_RUN:
                raise
            except Exception as error:  # noqa: BLE001 - it is one of them
                await self.raise_if_outside(error)
        return await self._each(effects)

    async def move_refs(self, effects: Sequence[MoveWorkstreamRef]) -> None:
        """Move several workstreams' own refs, in one go; one by one when that fails."""
        try:
            await self._effects.move_refs(effects)
        except _OF_THE_RUN:
            raise
        except Exception as error:  # noqa: BLE001 - it is one of them
            await self.raise_if_outside(error)
            await self._each(effects)

    async def _each(self, effects: Sequence[Effect]) -> Sequence[CoreEvent]:
        ended = [await self.carry_out(effect) for effect in effects]
        return [event for event in ended if event is not None]

    async def raise_if_outside(self, error: Exception) -> None:
        """Raise when something outside is at fault for an error.

        Raises:
            OutsideFaultError: Something that all items need fails as well.
        """
        try:
            await self._examine()
        except _OF_THE_RUN:
            raise
        except MaingateError as around:
            said = str(error) if str(around) in str(error) else f"{error}; {around}"
            raise OutsideFaultError(said) from error

    def _require_kept(self, effect: Effect) -> None:
        """Raise unless git still has the commits that an effect builds on.

        Raises:
            OutsideFaultError: It was collected meanwhile; the process that resumes the run makes it again.
        """
        if gone := self._effects.missing_commits(effect):
            raise OutsideFaultError(
                f"git has removed commits that this run had made ({', '.join(gone)}), as `git gc "
                "--prune=now` does while a run is at work; nothing is lost: `maingate resume` makes them "
                "again"
            )

    async def _require_healthy_workers(self, effect: Effect, event: CoreEvent | None) -> None:
        """Raise when a worker's trouble with an item is that of all items."""
        reason = reason_in(event)
        if reason is not None and reason.code in _SUSPECT:
            self._require_kept(effect)
            await self.raise_if_outside(OutsideFaultError(reason.message))

    async def _give_up(self, effect: Effect, fault: Exception) -> CoreEvent | None:
        """Return the event of an effect whose item is given up."""
        match effect:
            case ApplyPatches() | BuildChain() if _is_several(effect):
                return await self._one_by_one(effect)
            case LandCar(car=car):
                if await self._effects.has_landed(effect):
                    return TargetLanded(car=car)
                return LandingFailed(car=car, reason=reason_of("it could not be landed", fault))
            case KeepEvidence(patch=patch):
                self._warn(
                    f"the files of the quarantined patch {patch} could not be written ({fault}); "
                    f"`maingate patch show {patch} --diff` has their contents"
                )
                return None
            case _:
                if (event := given_up(effect, fault)) is None:
                    raise fault
                return event

    async def _one_by_one(self, effect: Effect) -> CoreEvent | None:
        """Carry out an effect about several items as one for each, up to the one that fails."""
        match effect:
            case ApplyPatches():
                return await self._apply_one_by_one(effect)
            case BuildChain():
                return await self._build_one_by_one(effect)
            case _:
                raise TypeError(f"not an effect about several items: {effect!r}")

    async def _build_one_by_one(self, effect: BuildChain) -> CoreEvent | None:
        """Merge several workstreams one by one, up to the one that cannot be merged."""
        made = list[Candidate]()
        before, onto = list(effect.before), effect.onto
        for link in effect.links:
            one = await self.carry_out(replace(effect, onto=onto, links=(link,), before=tuple(before)))
            if not isinstance(one, ChainBuilt):
                return None
            made += one.candidates
            if one.refused is not None:
                return replace(one, candidates=tuple(made))
            onto = made[-1].tip
            before.append((link.input.workstream, onto))
        return ChainBuilt(build=effect.build, candidates=tuple(made))

    async def _apply_one_by_one(self, effect: ApplyPatches) -> CoreEvent | None:
        """Apply several patches one by one, up to the one that cannot be applied."""
        applied: list[AppliedPatch] = []
        onto = effect.onto
        for patch in effect.patches:
            one = await self.carry_out(ApplyPatches(patches=(patch,), onto=onto))
            if not isinstance(one, PatchesApplied):
                return None
            applied += one.applied
            if one.refusal is not None:
                return PatchesApplied(
                    tasks=effect.tasks, onto=effect.onto, applied=tuple(applied), refusal=one.refusal
                )
            onto = one.applied[-1].tip
        return PatchesApplied(tasks=effect.tasks, onto=effect.onto, applied=tuple(applied))


def _keys_of(effect: Effect) -> Sequence[str]:
    """Name the items whose effect works on them within this process; tasks that run are counted on record."""
    match effect:
        case ApplyPatches(tasks=tasks):
            return [f"apply {task}" for task in tasks]
        case TakePatch(input=task):
            return [f"take {task.id}"]
        case RestorePatch(task=task):
            return [f"restore {task}"]
        case BuildChain(workstreams=workstreams):
            return [f"merge {workstream}" for workstream in workstreams]
        case LandCar(workstreams=workstreams) | SealCar(workstreams=workstreams):
            return [f"land {workstream}" for workstream in workstreams]
        case _:
            return ()


def _tries(effect: Effect, execution: EffectExecution) -> int:
    """Return how often a step is tried.

    That which costs money or changes things is done once; the core has rules for another attempt. Several
    items are tried once, since then each is tried by itself.
    """
    return 1 if _is_several(effect) or execution.is_at_once_step else TRIES


def _is_car(effect: Effect) -> bool:
    """Return whether an effect lands several workstreams, each of which the core can land alone."""
    return isinstance(effect, LandCar | SealCar) and len(effect.workstreams) > 1


def _is_several(effect: Effect) -> bool:
    """Return whether an effect is about several items that can be tried one by one."""
    match effect:
        case ApplyPatches(tasks=items) | BuildChain(workstreams=items):
            return len(items) > 1
        case _:
            return False
