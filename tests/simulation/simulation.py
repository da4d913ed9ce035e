"""One seeded run: a plan, a world in which things go wrong, and processes until the run has ended."""

import asyncio
import traceback
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from signal import SIGINT, SIGTERM
from typing import get_args
from unittest import mock

from maingate import ids
from maingate.bootstrap import Maingate
from maingate.db.dao import requests, runs, tasks, workstreams
from maingate.db.engine import open_database
from maingate.errors import InterruptedRunError, LeaseLostError, MaingateError, OutsideFaultError, UsageError
from maingate.ids import RunId
from maingate.orchestrator import operator_requests
from maingate.plan.loader import LoadedPlan
from maingate.state import operator_rules
from maingate.state.operator_rules import OF_WORKSTREAMS, Override
from maingate.state.run import RunState
from simulation.git_world import TARGET
from simulation.plans import make_plan
from simulation.simulated_maingate import SETTINGS, Scene
from simulation.virtual_world import Fault, Process, World
from simulation.worker_world import Manners

MOST_PROCESSES = 15
OVERRIDES: tuple[Override, ...] = get_args(Override)


@dataclass(kw_only=True)
class Troubles:
    """What goes wrong in one run.

    Args:
        faults: What happens to each process, at which of the places that it passes.
        manners: How workers behave.
        noise: How many events come late or twice.
        deeds: What others do, and when, in virtual seconds.
        changes_outcome: Whether what comes out may be other than without troubles.
    """

    faults: list[dict[int, Fault]] = field(default_factory=list)
    manners: Manners = field(default_factory=Manners)
    noise: float = 0.0
    deeds: list[tuple[float, str]] = field(default_factory=list)
    changes_outcome: bool = False

    def does(self, *kinds: str) -> bool:
        """Tell whether anybody does one of these."""
        return any(deed in kinds for _, deed in self.deeds)

    @property
    def has_overtaken(self) -> bool:
        """Tell whether a process is stopped and overtaken."""
        return any("stop" in faults.values() for faults in self.faults)

    @property
    def has_crash(self) -> bool:
        """Tell whether a process is killed or fails."""
        return any(self.faults)


@dataclass(kw_only=True)
class Ended:
    """A run that has ended, and its world.

    Args:
        places: How many places the first process passed.
        seconds: How long it took, in virtual time.
        only_asked: How many processes did only what was asked of the run, and left the rest.
        compared: How often a process's picture of the run was held against the record.
        wrong: What went wrong that must not.
    """

    scene: Scene
    troubles: Troubles
    run_id: RunId
    places: int
    seconds: float
    only_asked: int
    compared: int
    wrong: list[str]


class Simulation:
    """Brings one run to its end.

    Args:
        seed: Decides everything but the plan.
        plan: Which plan.
        prepare: Changes the scene before it begins.
    """

    def __init__(
        self,
        seed: str,
        plan: int,
        folder: Path,
        template: Path,
        troubles: Troubles,
        *,
        traces: bool = False,
        prepare: Callable[[Scene], None] = lambda _: None,
    ) -> None:
        self.troubles = troubles
        self.world = World(seed, folder, traces=traces)
        self.scene = Scene(self.world, make_plan(plan), template, troubles.manners, noise=troubles.noise)
        prepare(self.scene)
        self.wrong: list[str] = []
        self.only_asked = self.compared = 0
        self.processes: list[Process] = []
        self.under_way: dict[int, asyncio.Task[None]] = {}

    def run(self) -> Ended:
        """Run it."""
        with self.scene.in_place():
            driving = Context().run(self.world.loop.create_task, self._drive())
            try:
                self.world.loop.run_until(driving.done)
            finally:
                self.world.loop.bury(self.processes)
        driving.result()
        first = self.processes[0]
        self.wrong += [f"nobody waited for {error!r}" for error in self.world.loop.complaints]
        return Ended(
            scene=self.scene,
            troubles=self.troubles,
            run_id=self.run_id,
            places=first.passed,
            seconds=self.seconds,
            only_asked=self.only_asked,
            compared=self.compared,
            wrong=self.wrong,
        )

    async def _drive(self) -> None:
        """Start processes, one after the other, until the run has ended."""
        self._admit()
        deeds = [asyncio.create_task(self._do(when, deed)) for when, deed in self.troubles.deeds]
        while self._state() in {RunState.PENDING, RunState.RUNNING}:
            if len(self.processes) == MOST_PROCESSES:
                self.wrong.append(f"after {MOST_PROCESSES} processes the run is {self._state()}")
                break
            await self._start().is_over
            await asyncio.sleep(self.world.random.random() * 0.2)
        self.seconds = self.world.loop.time()
        await asyncio.gather(*deeds)
        for number, task in self.under_way.items():
            if not self.processes[number].is_dead:
                await task
        self._clear_up()

    def _admit(self) -> None:
        path = self.world.folder / "plan.yaml"
        loaded = LoadedPlan(plan=self.scene.plan.plan, path=path, lines={}, root=None, settings=SETTINGS)
        with self.scene.open() as maingate:
            self.run_id = maingate.admission.admit(loaded)

    def _start(self) -> Process:
        number = len(self.processes)
        faults = self.troubles.faults[number] if number < len(self.troubles.faults) else {}
        host = f"host-{number}" if self.troubles.has_overtaken else "here"
        process = Process(world=self.world, number=number, host=host, faults=faults)
        self.processes.append(process)
        loop = self.world.loop
        self.under_way[number] = loop.create_task(self._live(process), context=process.context)
        return process

    async def _live(self, process: Process) -> None:
        """Be a process: go on with the run, and end somehow."""
        maingate = None
        try:
            maingate = self.scene.open()
            is_only_asked = process.number % 2 == 1 and self._is_asked(maingate)
            state = await maingate.go_on(self.run_id, self.scene, process, is_only_asked=is_only_asked)
            self.only_asked += is_only_asked
            self.world.trace("has done what was asked" if is_only_asked else f"has ended the run: {state}")
        except MaingateError as error:
            self.world.trace(f"gives up: {type(error).__name__}: {error}")
            if not self._may_end_with(process, error):
                self.wrong.append(f"process {process.number} ended with {error!r}: {_where(error)}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self.wrong.append(f"process {process.number} broke: {error!r}: {_where(error)}")
        finally:
            if maingate is not None:
                maingate.database.engine.dispose()
            if process.orchestrator is not None:
                self.wrong += process.orchestrator.differences
                self.compared += process.orchestrator.compared
            if not process.is_dead:
                process.orchestrator = None
                self.world.living.pop(process.pid, None)
                process.is_dead = True
                process.tell()

    def _is_asked(self, maingate: Maingate) -> bool:
        """Tell whether somebody wants a part of the run cancelled, so that a process might do only that."""
        with maingate.database.read() as conn:
            waiting = requests.waiting(conn, self.run_id)
        return any(request.entity_id != self.run_id for request in waiting)

    def _may_end_with(self, process: Process, error: MaingateError) -> bool:
        match error:
            case LeaseLostError():
                return process.was_stopped
            case InterruptedRunError():
                return process.was_asked_to_stop
            case UsageError():
                return self._state() not in {RunState.PENDING, RunState.RUNNING}
            case OutsideFaultError():
                return process.had_fault or self.troubles.does("obstruct")
        return False

    # -- what others do --------------------------------------------------------------------------------------

    async def _do(self, when: float, deed: str) -> None:
        await asyncio.sleep(when)
        self.world.trace(f"now: {deed}")
        await getattr(self, f"_do_{deed}")()

    async def _do_cancel(self) -> None:
        with self.scene.open() as maingate:
            with maingate.database.read() as conn:
                streams = [row.id for row in workstreams.of_run(conn, self.run_id)]
                steps = [row.id for row in tasks.of_run(conn, self.run_id)]
            kind = self.world.random.random()
            entity = self.world.random.choice(streams if kind < 0.4 else steps)
            if kind > 0.85:
                entity = self.run_id
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
        with self.scene.open() as maingate:
            override = self.world.random.choice(OVERRIDES)
            with maingate.database.read() as conn:
                rows = (workstreams if override in OF_WORKSTREAMS else tasks).of_run(conn, self.run_id)
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

    def _signal(self, number: int) -> None:
        process = self.processes[-1] if self.processes else None
        if process is not None and process.orchestrator is not None and not process.is_dead:
            process.was_asked_to_stop = True
            self.world.loop.call_soon(process.orchestrator.interrupt, number, context=process.context.copy())

    async def _do_jump(self) -> None:
        self.world.wall_offset -= timedelta(seconds=self.world.random.random() * 3600)

    async def _do_obstruct(self) -> None:
        self.scene.checkout.is_in_the_way = True
        await asyncio.sleep(0.2 + self.world.random.random())
        self.scene.checkout.is_in_the_way = False

    # -- what is seen of it ----------------------------------------------------------------------------------

    def _state(self) -> RunState:
        with self.scene.open() as maingate, maingate.database.read() as conn:
            return runs.get(conn, self.run_id).state

    def _clear_up(self) -> None:
        """Do what the next command would do, a day later."""
        self.world.wall_offset += timedelta(days=1)
        for host in sorted({process.host for process in self.processes}):
            last = Process(world=self.world, number=len(self.processes), host=host, faults={})
            last.context.run(self._end_what_is_left)

    def _end_what_is_left(self) -> None:
        with self.scene.open() as maingate:
            maingate.rescue.clear_up()
        self.world.end_orphans()
        self.world.living.pop(self.world.getpid())


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-6:]))


def make_template(path: Path) -> Path:
    """Make an empty database that is up to date, and the same each time: landings name its record."""
    with mock.patch.object(ids, "_ulid", return_value="0" * 26):
        database = open_database(f"sqlite:///{path}", synchronous="OFF")
        database.upgrade()
    database.close()
    return path


def make_troubles(random: Random, *, places: int, seconds: float) -> Troubles:  # noqa: C901 - a list of dice
    """Decide what goes wrong, knowing how long the run takes when nothing does."""

    def chance(likely: float) -> bool:
        return random.random() < likely

    def times(deed: str, count: int) -> list[tuple[float, str]]:
        return [(random.random() * max(seconds, 0.2) * 1.2, deed) for _ in range(count)]

    troubles = Troubles(noise=random.choice((0.0, 0.0, 0.1, 0.3)))
    count = random.choice((0, 1, 1, 1, 2, 2, 3))
    overtaken = chance(0.1)
    for number in range(count):
        at = random.randint(1, max(2, int(places * (1.1 if number == 0 else 0.8))))
        kind: Fault = "error" if chance(0.2) else "crash"
        troubles.faults.append({at: "stop" if overtaken and number == 0 else kind})
    if chance(0.4):
        _misbehave(troubles.manners, random, losses=min(2, 3 - count))
    if chance(0.25):
        troubles.deeds += times("push", random.randint(1, 3))
    if count < 3 and chance(0.15):
        troubles.deeds += times("stop", 1)
    if chance(0.1) and not troubles.has_overtaken:
        troubles.deeds += times("jump", random.randint(1, 2))
    if chance(0.4):
        troubles.changes_outcome = True
        for deed in random.sample(
            ("cancel", "override", "clash", "rewrite", "stop_twice", "obstruct", "timeouts"), 2
        ):
            if deed == "timeouts":
                troubles.manners.timeouts = 0.1
            elif deed == "override":
                troubles.deeds += times(deed, random.randint(2, 5))
            elif not (troubles.has_overtaken and deed in {"cancel", "rewrite", "stop_twice"}):
                troubles.deeds += times(deed, random.randint(1, 2))
    return troubles


def _misbehave(manners: Manners, random: Random, *, losses: int) -> None:
    """Let workers be lost, so seldom that no work is given up for it."""
    manners.dies, manners.hangs = random.choice(((0.2, 0.0), (0.0, 0.1), (0.1, 0.05)))
    manners.twice, manners.nonsense = random.choice(((0.2, 0.0), (0.1, 0.1)))
    manners.flaky, manners.losses = random.choice((0.0, 0.2)), losses
