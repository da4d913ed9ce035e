"""Maingate itself, put into the simulated world: only the edges of the process are replaced."""

import asyncio
import functools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from sqlalchemy import Connection

from maingate import ids
from maingate.bootstrap import Maingate
from maingate.db import transition_log
from maingate.db.dao import runs
from maingate.db.engine import Database, open_database
from maingate.errors import TargetBusyError
from maingate.git import merge
from maingate.git.filter_drivers import NONE
from maingate.git.remote_view import RemoteView
from maingate.git.repository_identity import Home, Identity
from maingate.ids import LeaseHolder, RunId
from maingate.landing import intended_move, lease, target
from maingate.orchestrator import worker_roster
from maingate.orchestrator.core.events import (
    CancelRequested,
    OverrideRequested,
    QueueAnswered,
    QueueOrdersRead,
    QueueRead,
    TargetTaken,
)
from maingate.orchestrator.injected_parts import Dependencies, PartsFactory
from maingate.orchestrator.progress import SilentListener
from maingate.orchestrator.run_orchestrator import INBOX_INTERVAL
from maingate.orchestrator.shell import patch_effects
from maingate.orchestrator.shell.dispatcher import Dispatcher
from maingate.orchestrator.shell.effect_steps import EffectStep
from maingate.orchestrator.shell.shared_resources import SharedResources
from maingate.recovery import dead_processes
from maingate.repository_context import RepositoryContext
from maingate.services.runs.execution import _LOOKS_FOR_ANSWERS
from maingate.services.targets import killed_process_cleanup, run_hold, target_work
from maingate.services.targets.run_hold import RunHold
from maingate.settings import Settings
from maingate.state.run import RunState
from maingate.state_folder import StatePaths
from maingate.workers import liveness
from maingate.workers.artifacts import Artifacts
from maingate.workers.local import lifecycle
from simulation.git_world import TARGET, Checkout, SimulatedExecutor, SimulatedRepository, merge_by_files
from simulation.picture import ComparingOrchestrator
from simulation.plans import PlanWorld
from simulation.virtual_loop import OWNER, InlineThreads
from simulation.virtual_world import Process, World
from simulation.worker_world import Bench, SimulatedForkServer, SimulatedSlots, SimulatedWorker

SETTINGS = Settings.model_validate(
    {
        "workers": 3,
        "worker_idle_time": "1s",
        "heartbeat_interval": timedelta(milliseconds=500),
        "recovery_window": "2s",
        "retry_delay": timedelta(milliseconds=100),
        "retry_delay_max": "1s",
        "rate_limit_rest": timedelta(milliseconds=300),
        "breaker_threshold": 3,
        "breaker_cooldown": timedelta(milliseconds=500),
    }
)


class SimulatedDatabase(Database):
    """A real database; a process may be killed before, inside and after every transaction."""

    world: World

    @classmethod
    def at(cls, path: Path, world: World) -> "SimulatedDatabase":
        """Open it."""
        opened = open_database(f"sqlite:///{path}", synchronous="OFF")
        database = cls(url=opened.engine.url, engine=opened.engine)
        database.world = world
        return database

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give the writing transaction."""
        self.world.reach("db: before a transaction")
        process = OWNER.get()
        with super().write() as conn, _in_transaction(process):
            yield conn
            self.world.reach("db: inside a transaction")
        self.world.reach("db: after a transaction")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give the reading transaction."""
        self.world.reach("db: read")
        with super().read() as conn, _in_transaction(OWNER.get()):
            yield conn


@contextmanager
def _in_transaction(process: object) -> Iterator[None]:
    """Remember that a process holds the database, so that it is not stopped meanwhile."""
    if not isinstance(process, Process):
        yield
        return
    process.transactions += 1
    try:
        yield
    finally:
        process.transactions -= 1


_locked = transition_log._locked


@contextmanager
def _locked_without_a_stop(path: Path, *, create: bool = True) -> Iterator[int]:
    """Hold the file of transitions; others wait for it in real time, so its holder is not stopped."""
    with _in_transaction(OWNER.get()), _locked(path, create=create) as descriptor:
        yield descriptor


class NoisyEvents(asyncio.Queue[Any]):
    """The core's events: they come late at times, answers also again; what people ask is heard once.

    What is read of the queue is heard once and in its order: one task reads it, and no other puts it in.
    """

    def __init__(self, world: World, random: Random, likely: float) -> None:
        super().__init__()
        self._world, self._random, self._likely = world, random, likely
        self._read_until = 0.0

    def put_nowait(self, item: Any) -> None:
        """Put an event in, now or later, once or twice."""
        self._world.trace(f"heard: {_brief(item)}")
        if isinstance(item, QueueRead | QueueAnswered | QueueOrdersRead | TargetTaken):
            late = self._random.random() * 0.3 if self._random.random() < self._likely else 0.0
            self._read_until = max(self._read_until, self._world.loop.time() + late)
            self._world.loop.call_at(self._read_until, super().put_nowait, item)
            return
        is_answer = item is not None and not isinstance(item, CancelRequested)
        if is_answer and self._random.random() < self._likely:
            later = self._random.random() * 0.3
            self._world.loop.call_later(later, super().put_nowait, item)
            if isinstance(item, OverrideRequested) or self._random.random() < 0.5:
                return
        super().put_nowait(item)


class TracedEffects(Dispatcher):
    """The real effects, which say what they do."""

    world: World

    def steps_of(self, effect: Any) -> Sequence[EffectStep]:
        """Return its steps, and say so."""
        self.world.trace(f"to do: {_brief(effect)}")
        return super().steps_of(effect)


class SimulatedHealth(SharedResources):
    """Tries what everything needs; there is no git to be tried."""

    def _try_git(self, head: str) -> None:
        assert self.repository.has_object(head)


class SimulatedParts(PartsFactory):
    """Makes the parts: the real ones, but for threads, worker processes and what reads patches.

    Args:
        effects: Which effects; tests that break something on purpose have their own.
    """

    def __init__(self, scene: "Scene", kind: type[TracedEffects]) -> None:
        self._scene, self._kind = scene, kind

    def threads(self, count: int, name: str) -> Any:
        """Make threads that are none."""
        assert count
        assert name
        return InlineThreads()

    def health(self, deps: Dependencies, *, target: str, base: str) -> SharedResources:
        """Make what tries whether everything else works."""
        return SimulatedHealth(**vars(super().health(deps, target=target, base=base)))

    def effects(self, deps: Dependencies, **rest: Any) -> Dispatcher:
        """Make the real effects, with patches that are JSON."""
        scene = self._scene
        executor: Any = SimulatedExecutor(scene.world, scene.repository, scene.patches)
        made = self._kind(
            repository=deps.repository,
            executor=executor,
            database=deps.database,
            settings=deps.settings,
            clock=deps.clock,
            quarantine_folder=deps.quarantine,
            fence=deps.fence,
            target_fence=deps.target_fence,
            **rest,
        )
        made.world = scene.world
        return made


class SimulatedMaingate(Maingate):
    """The real thing, whose run is part of the simulation's loop instead of having one of its own."""

    orchestrator: ComparingOrchestrator

    async def go_on(
        self, run_id: RunId, scene: "Scene", process: Process, *, is_only_asked: bool = False
    ) -> RunState:
        """Do what ``take_hold`` and ``execute`` do."""
        holder = LeaseHolder(run_id)
        while holder not in self._holds:
            try:
                self.execution.take_hold(run_id)
            except TargetBusyError:
                await asyncio.sleep(5)
        try:
            if is_only_asked and len(scene.plans) > 1:
                await self._await_answers(run_id)
            self.rescue.clear_up(run_id)
            deps = replace(
                self._work.dependencies(holder, None, SETTINGS),
                environment={},
                hold=RunHold(self.context, self._holds, holder, TARGET),
                parts=SimulatedParts(scene, scene.effects),
            )
            if scene.fence is not None:
                deps = replace(deps, fence=scene.fence, target_fence=scene.fence)
            self.orchestrator = ComparingOrchestrator(
                run_id, deps, SilentListener(), is_only_asked=is_only_asked
            )
            noise = Random(f"{scene.world.random.random()}")
            self.orchestrator._events = NoisyEvents(scene.world, noise, scene.noise)
            process.orchestrator = self.orchestrator
            return await self._holds.while_renewing(holder, self.orchestrator, self.orchestrator.run())
        finally:
            self._holds.release(holder)

    async def _await_answers(self, run_id: RunId) -> None:
        """Do what the service of the same name does, which sleeps in its thread."""
        for _ in range(_LOOKS_FOR_ANSWERS):
            with self.database.write() as conn:
                row = runs.get(conn, run_id)
                if not run_hold.ask_back(conn, self.context, self._holds, row):
                    return
            await asyncio.sleep(INBOX_INTERVAL.total_seconds())


class Scene:
    """One simulated world with plans in it.

    Args:
        plans: What is to be done: one plan, or several on the same target.
        template: An empty database that is up to date.
        noise: How many of the core's events come late or twice.
    """

    def __init__(
        self, world: World, plans: Sequence[PlanWorld], template: Path, bench: Any, *, noise: float = 0.0
    ) -> None:
        self.world, self.plans, self.noise = world, plans, noise
        self.patches = {name: patch for plan in plans for name, patch in plan.patches.items()}
        self.effects: type[TracedEffects] = TracedEffects
        self.fence: Any = None
        self.repository = SimulatedRepository(world, plans[0].files)
        self.checkout = Checkout(world, self.repository, exists=world.random.random() < 0.3)
        self.paths = StatePaths(root=world.folder, slots=world.folder / "slots")
        self.bench = Bench(
            world=world,
            repository=self.repository,
            artifacts=Artifacts(self.paths.logs),
            manners=bench,
            failures={label: count for plan in plans for label, count in plan.failures.items()},
            plays={label: plays for plan in plans for label, plays in plan.plays.items()},
        )
        home = Home(git_dir=str(self.repository.git_dir), host="here", device=1, inode=1)
        self.identity = Identity(id="repo_1", home=home)
        world.folder.mkdir(parents=True)
        shutil.copyfile(template, self.paths.database)

    def open(self) -> SimulatedMaingate:
        """Open Maingate, as a process does that begins."""
        clock: Any = self.world
        return SimulatedMaingate(
            RepositoryContext(
                repository=self.repository,
                database=SimulatedDatabase.at(self.paths.database, self.world),
                paths=self.paths,
                identity=self.identity,
                clock=clock,
                settings=SETTINGS,
            )
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let Maingate's edges be this world's."""
        world, checkout = self.world, self.checkout
        nothing_in_the_way = SimpleNamespace(refusal_of=lambda *_: None, seen_now=lambda *_: ("", ()))
        system: Any = SimpleNamespace(getpid=world.getpid, gethostname=world.host)
        worker = functools.partial(SimulatedWorker, self.bench)
        slots = functools.partial(SimulatedSlots, world)
        edges: list[tuple[Any, dict[str, Any]]] = [
            (ids, {"_ulid": world.ulid, "secrets": world}),
            (worker_roster, {"os": system, "socket": system, "started": world.started}),
            (lease, {"os": system, "socket": system, "started": world.started}),
            (liveness, {"started": world.started}),
            (dead_processes, {"end_tree": world.end_tree}),
            (transition_log, {"_locked": _locked_without_a_stop}),
            (killed_process_cleanup, {"socket": system, "behind": lambda *_: []}),
            (intended_move, {"land": checkout.land}),
            (target, {"checkouts_of": lambda *_: [], "catch_up": checkout.catch_up}),
            (
                lifecycle,
                {
                    "WorkerProcess": worker,
                    "ForkServer": SimulatedForkServer,
                    "Slots": slots,
                    "started": world.started,
                },
            ),
            (merge._Merge, {"by_git": merge_by_files}),
            (patch_effects, {"overwritten_work": nothing_in_the_way}),
            (target_work, {"read_drivers": lambda *_: NONE, "read_remote_view": lambda _: RemoteView()}),
        ]
        with ExitStack() as stack:
            for module, names in edges:
                stack.enter_context(mock.patch.multiple(module, **names))
            yield


def _brief(value: Any) -> str:
    if value is None:
        return "nothing"
    names = (
        "task",
        "tasks",
        "workstream",
        "intent",
        "attempt",
        "end",
        "refusal",
        "conflict",
        "judgement",
        "commit",
    )
    said = [
        f"{name}={_short(getattr(value, name))}" for name in names if getattr(value, name, None) is not None
    ]
    return f"{type(value).__name__} {' '.join(said)}"


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_short(each) for each in value)
    text = str(getattr(value, "opinion", getattr(value, "message", value)))
    return f"…{text[-5:]}" if text.startswith(("task_", "ws_", "intent_")) else text[:60]
