"""What others do while runs are played: requests, orders about the queue, pushes, signals."""

import asyncio
import functools
from collections.abc import Sequence
from datetime import timedelta
from signal import SIGINT, SIGTERM
from typing import get_args

from maingate.db.dao import tasks, workstreams
from maingate.errors import UsageError
from maingate.orchestrator import operator_requests
from maingate.services.targets.queue_orders import QueueMove
from maingate.state import operator_rules
from maingate.state.operator_rules import OF_WORKSTREAMS, Override
from maingate.state.queue_control import QueueOrder
from simulation.git_world import TARGET
from simulation.played_run import PlayedRun
from simulation.simulated_maingate import Scene
from simulation.virtual_world import Process

OVERRIDES: tuple[Override, ...] = get_args(Override)


class Deeds:
    """Does what others do.

    Args:
        scene: The world in which runs are played.
        runs: The runs.

    Attributes:
        is_clear: Whether nothing is in the way of the checkout.
        holds: From when to when the queue was under an order that lets nothing land.
    """

    def __init__(self, scene: Scene, runs: Sequence[PlayedRun]) -> None:
        self.world, self.scene, self.runs = scene.world, scene, runs
        self.is_clear = asyncio.Event()
        self.is_clear.set()
        self.holds: list[tuple[float, float]] = []

    async def do(self, when: float, deed: str) -> None:
        """Do something after a time in seconds."""
        await asyncio.sleep(when)
        self.world.trace(f"now: {deed}")
        await getattr(self, f"_do_{deed}")()

    def _any_run(self) -> PlayedRun | None:
        """Return a run that is on record, if there is one."""
        known = [played for played in self.runs if played.id]
        return self.world.random.choice(known) if len(known) > 1 else next(iter(known), None)

    async def _do_cancel(self) -> None:
        if (played := self._any_run()) is None:
            return
        with self.scene.open() as maingate:
            with maingate.database.read() as conn:
                streams = [row.id for row in workstreams.of_run(conn, played.id)]
                steps = [row.id for row in tasks.of_run(conn, played.id)]
            kind = self.world.random.random()
            entity = self.world.random.choice(streams if kind < 0.4 else steps)
            if kind > 0.85:
                entity = played.id
            try:
                operator_requests.to_cancel(
                    maingate.database,
                    maingate.context.clock,
                    entity,
                    message="no longer wanted",
                    operator="ada",
                )
                self.world.trace(f"asked to cancel {entity}")
            except UsageError:
                self.world.trace(f"{entity} has ended already")

    async def _do_override(self) -> None:
        if (played := self._any_run()) is None:
            return
        with self.scene.open() as maingate:
            override = self.world.random.choice(OVERRIDES)
            with maingate.database.read() as conn:
                rows = (workstreams if override in OF_WORKSTREAMS else tasks).of_run(conn, played.id)
            fitting = []
            for row in rows:
                with maingate.database.read() as conn:
                    _, facts = operator_requests.facts_of(conn, override, row.id)
                if operator_rules.refusal(override, facts) is None:
                    fitting.append(row.id)
            if not fitting:
                self.world.trace(f"nothing suits {override}")
                return
            entity = self.world.random.choice(fitting)
            operator_requests.to_override(
                maingate.database,
                maingate.context.clock,
                override,
                entity,
                message="it is time",
                operator="ada",
            )
            self.world.trace(f"asked to {override} {entity}")

    async def _do_hold(self) -> None:
        """Hold the queue for a while, in one of the ways that there are."""
        kind = self.world.random.choice((QueueOrder.PAUSE, QueueOrder.DRAIN, QueueOrder.FREEZE))
        seconds = self.world.random.random() * 12
        began = self.world.loop.time()
        try:
            with self.scene.open() as maingate:
                if kind is QueueOrder.FREEZE:
                    until = self.world.now() + timedelta(seconds=seconds)
                    maingate.queue_orders.freeze(TARGET, until=until, reason="release", operator="ada")
                else:
                    maingate.queue_orders.order(kind, TARGET, reason="release", operator="ada")
            self.world.trace(f"the queue: {kind} for {seconds:.1f} s")
            await asyncio.sleep(seconds)
            with self.scene.open() as maingate:
                maingate.queue_orders.resume(TARGET, reason="released", operator="ada")
        except UsageError as error:
            self.world.trace(f"no order: {error}")
            return
        self.world.trace("the queue goes on")
        if kind is not QueueOrder.DRAIN:
            self.holds.append((began, self.world.loop.time()))

    async def _do_move(self) -> None:
        """Send a workstream to another place in the queue, or remove it."""
        if (played := self._any_run()) is None:
            return
        with self.scene.open() as maingate:
            with maingate.database.read() as conn:
                entity = self.world.random.choice(workstreams.of_run(conn, played.id)).id
            order = self.world.random.choice((*get_args(QueueMove), "remove"))
            orders = maingate.queue_orders
            give = orders.ask_to_remove if order == "remove" else functools.partial(orders.move, order)
            try:
                give(entity, reason="release", operator="ada")
                self.world.trace(f"asked to {order} {entity}")
            except UsageError:
                self.world.trace(f"{entity} has ended already")

    async def _do_push(self) -> None:
        number = len(self.scene.repository.moves)
        self.scene.repository.push(
            self.scene.repository.refs[TARGET], f"others/{number}", "theirs", by="push"
        )

    async def _do_clash(self) -> None:
        self.scene.repository.push(self.scene.repository.refs[TARGET], "shared", "theirs", by="push")

    async def _do_rewrite(self) -> None:
        repository = self.scene.repository
        known = sorted({move.old for move in repository.moves} | {repository.refs[TARGET]})
        number = len(repository.moves)
        repository.push(self.world.random.choice(known), f"others/{number}", "theirs", by="rewrite")

    async def _do_stop(self) -> None:
        self._signal(SIGTERM)

    async def _do_stop_twice(self) -> None:
        self._signal(SIGINT)
        await asyncio.sleep(self.world.random.random() * 0.1)
        self._signal(SIGINT)

    def _any_process(self) -> Process | None:
        """Return the newest process of a run, if there is one."""
        newest = [played.processes[-1] for played in self.runs if played.processes]
        return self.world.random.choice(newest) if len(newest) > 1 else next(iter(newest), None)

    def _signal(self, number: int) -> None:
        process = self._any_process()
        if process is not None and process.orchestrator is not None and not process.is_dead:
            process.was_asked_to_stop = True
            self.world.loop.call_soon(process.orchestrator.interrupt, number, context=process.context.copy())

    async def _do_jump(self) -> None:
        self.world.wall_offset -= timedelta(seconds=self.world.random.random() * 3600)

    async def _do_obstruct(self) -> None:
        self.scene.checkout.is_in_the_way = True
        self.is_clear.clear()
        await asyncio.sleep(0.2 + self.world.random.random())
        self.scene.checkout.is_in_the_way = False
        self.is_clear.set()
