"""Seeded runs on one target: a world in which things go wrong, and processes until all runs have ended."""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from unittest import mock

from maingate import ids
from maingate.bootstrap import Maingate
from maingate.db.dao import requests, runs
from maingate.db.engine import open_database
from maingate.errors import InterruptedRunError, LeaseLostError, MaingateError, OutsideFaultError, UsageError
from maingate.ids import RunId
from maingate.plan.loader import LoadedPlan
from maingate.state.run import RunState
from simulation.deeds import Deeds
from simulation.plans import PlanWorld
from simulation.played_run import PlayedRun
from simulation.simulated_maingate import SETTINGS, Scene
from simulation.troubles import Troubles
from simulation.virtual_loop import MOST_STEPS
from simulation.virtual_world import Process, World

MOST_PROCESSES = 15
MOST_TRIES_IN_VAIN = 5


@dataclass(kw_only=True)
class Ended:
    """Runs that have ended, and their world.

    Args:
        runs: The runs.
        seconds: How long it took, in virtual time.
        only_asked: How many processes did only what was asked of their run, and left the rest.
        compared: How often a process's picture of its run was held against the record.
        holds: From when to when the queue was under an order that lets nothing land.
        wrong: What went wrong that must not.
    """

    scene: Scene
    troubles: Troubles
    runs: Sequence[PlayedRun]
    seconds: float
    only_asked: int
    compared: int
    holds: Sequence[tuple[float, float]]
    wrong: list[str]


class Simulation:
    """Brings runs to their end.

    Args:
        seed: Decides everything but the plans.
        plans: One plan, or several on the same target.
        prepare: Changes the scene before it begins.
    """

    def __init__(
        self,
        seed: str,
        plans: Sequence[PlanWorld],
        folder: Path,
        template: Path,
        troubles: Troubles,
        *,
        traces: bool = False,
        prepare: Callable[[Scene], None] = lambda _: None,
    ) -> None:
        self.troubles = troubles
        self.is_several = len(plans) > 1
        self.world = World(seed, folder, traces=traces)
        self.world.loop.most_steps = MOST_STEPS * (10 * len(plans) if self.is_several else 1)
        self.scene = Scene(self.world, plans, template, troubles.manners, noise=troubles.noise)
        prepare(self.scene)
        self.wrong: list[str] = []
        self.only_asked = self.compared = 0
        faults, begins = dict(enumerate(troubles.faults)), dict(enumerate(troubles.begins))
        self.runs = [
            PlayedRun(plan=plan, faults=faults.get(at, ()), begins=begins.get(at, 0.0))
            for at, plan in enumerate(plans)
        ]
        self.deeds = Deeds(self.scene, self.runs)
        self.processes: list[Process] = []
        self.under_way: dict[int, asyncio.Task[None]] = {}

    def run(self) -> Ended:
        """Run them."""
        with self.scene.in_place():
            driving = Context().run(self.world.loop.create_task, self._drive())
            try:
                self.world.loop.run_until(driving.done)
            finally:
                self.world.loop.bury(self.processes)
        driving.result()
        self.wrong += [f"nobody waited for {error!r}" for error in self.world.loop.complaints]
        return Ended(
            scene=self.scene,
            troubles=self.troubles,
            runs=self.runs,
            seconds=self.seconds,
            only_asked=self.only_asked,
            compared=self.compared,
            holds=self.deeds.holds,
            wrong=self.wrong,
        )

    async def _drive(self) -> None:
        """Start processes of each run, one after the other, until it has ended."""
        if not self.is_several:
            self._admit()
        deeds = [asyncio.create_task(self.deeds.do(when, deed)) for when, deed in self.troubles.deeds]
        if self.is_several:
            await asyncio.gather(*(self._drive_run(played) for played in self.runs))
        else:
            await self._drive_run(self.runs[0])
        self.seconds = self.world.loop.time()
        await asyncio.gather(*deeds)
        for number, task in self.under_way.items():
            if not self.processes[number].is_dead:
                await task
        self._clear_up()

    def _admit(self) -> None:
        """Admit a run that is alone, by a command that does not go on with it."""
        [played] = self.runs
        with self.scene.open() as maingate:
            played.id = maingate.admission.admit(self._loaded(played))

    def _loaded(self, played: PlayedRun) -> LoadedPlan:
        path = self.world.folder / "plan.yaml"
        return LoadedPlan(plan=played.plan.plan, path=path, lines={}, root=None, settings=SETTINGS)

    async def _drive_run(self, played: PlayedRun) -> None:
        if played.begins:
            await asyncio.sleep(played.begins)
        while self._is_open(played):
            if len(played.processes) == MOST_PROCESSES:
                self.wrong.append(f"after {MOST_PROCESSES} processes {played.name} is {self._state(played)}")
                break
            await self._start(played).is_over
            await asyncio.sleep(self.world.random.random() * self.troubles.rest)
            if len(played.processes) >= MOST_TRIES_IN_VAIN:
                await self.deeds.is_clear.wait()  # people who have tried that often look what is in the way

    def _start(self, played: PlayedRun) -> Process:
        number, at = len(self.processes), len(played.processes)
        faults = played.faults[at] if at < len(played.faults) else {}
        is_apart = self.troubles.is_apart or self.troubles.has_overtaken
        host = f"host-{number}" if is_apart else "here"
        process = Process(world=self.world, number=number, host=host, faults=faults)
        self.processes.append(process)
        played.processes.append(process)
        if self.is_several:
            self.world.trace(f"process {number} begins, for {played.name}")
        loop = self.world.loop
        self.under_way[number] = loop.create_task(self._live(played, process), context=process.context)
        return process

    async def _live(self, played: PlayedRun, process: Process) -> None:
        """Be a process: go on with its run, and end somehow."""
        maingate = None
        try:
            maingate = self.scene.open()
            if not played.id:
                played.id = maingate.admission.admit(self._loaded(played))
            is_only_asked = len(played.processes) % 2 == 0 and self._is_asked(maingate, played)
            state = await maingate.go_on(played.id, self.scene, process, is_only_asked=is_only_asked)
            self.only_asked += is_only_asked
            self.world.trace("has done what was asked" if is_only_asked else f"has ended the run: {state}")
        except MaingateError as error:
            self.world.trace(f"gives up: {type(error).__name__}: {error}")
            if not self._may_end_with(played, process, error):
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

    def _is_asked(self, maingate: Maingate, played: PlayedRun) -> bool:
        """Tell whether somebody wants a part of a run cancelled, so that a process might do only that."""
        with maingate.database.read() as conn:
            waiting = requests.waiting(conn, played.id)
        return any(request.entity_id != played.id for request in waiting)

    def _may_end_with(self, played: PlayedRun, process: Process, error: MaingateError) -> bool:
        match error:
            case LeaseLostError():
                return process.was_stopped
            case InterruptedRunError():
                return process.was_asked_to_stop
            case UsageError():
                return not self._is_open(played) or (not played.id and process.had_fault)
            case OutsideFaultError():
                return process.had_fault or self.troubles.does("obstruct")
        return False

    # -- what is seen of it ----------------------------------------------------------------------------------

    def _state(self, played: PlayedRun) -> RunState | None:
        """Return the state of a run; None while it is not on record."""
        with self.scene.open() as maingate, maingate.database.read() as conn:
            if not played.id:
                found = [row.id for row in runs.unfinished(conn) if row.name == played.name]
                played.id = RunId(next(iter(found), ""))
            return runs.get(conn, played.id).state if played.id else None

    def _is_open(self, played: PlayedRun) -> bool:
        return self._state(played) in {None, RunState.PENDING, RunState.RUNNING}

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
