"""Worker processes for the real pool: they answer, hang, die, answer late or twice, or speak nonsense."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maingate.errors import WorkerProtocolError
from maingate.uet.capture import Captured
from maingate.uet.process.command import CommandResult
from maingate.workers.artifacts import Artifacts
from maingate.workers.jobs import Job
from maingate.workers.local.protocol import Cancel, Heartbeat, Message, Ready, Result, Shutdown
from maingate.workers.local.slots import Slot
from simulation.git_world import SimulatedRepository
from simulation.plans import LIMIT, Plays
from simulation.virtual_loop import OWNER
from simulation.virtual_world import Process, World


@dataclass(kw_only=True)
class Manners:
    """How often workers misbehave, from 0 to 1, and within which bounds.

    Args:
        losses: How many jobs may be lost of each task or gate.
        flaky: How often a gate fails the first time it is asked about a commit although it would pass.
        timeouts: How often a job takes too long.
    """

    dies: float = 0.0
    hangs: float = 0.0
    twice: float = 0.0
    nonsense: float = 0.0
    flaky: float = 0.0
    timeouts: float = 0.0
    losses: int = 2


@dataclass(kw_only=True)
class Bench:
    """What workers know: how gates judge, how commands end, and how well the workers behave.

    Args:
        failures: How often each command fails before it ends well.
        plays: What each tool task's tool does.
    """

    world: World
    repository: SimulatedRepository
    artifacts: Artifacts
    manners: Manners
    failures: Mapping[str, int]
    plays: Mapping[str, Plays]
    runs: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    judged: set[tuple[str, str]] = field(default_factory=set)

    def outcome(self, job: Job) -> CommandResult:
        """Judge a tree, or run a command."""
        seconds = self.world.random.random()
        if self._is(self.manners.timeouts):
            return CommandResult(passed=False, timed_out="wall", message="it took too long", exit_code=137)
        if job.capture is not None:
            return self._of_tool(job)
        if job.job_id.startswith("task_"):
            count = self.runs[job.command.name] = self.runs.get(job.command.name, 0) + 1
            passed = count > self.failures[job.command.name]
            seconds /= 1 if seconds > 0.5 else 50
        else:
            passed = passes(job.command.name, self.repository.files(job.commit))
            asked = (job.command.name, job.commit)
            passed = passed and not (asked not in self.judged and self._is(self.manners.flaky))
            self.judged.add(asked)
        return CommandResult(
            passed=passed, exit_code=int(not passed), seconds=seconds, message="" if passed else "it is red"
        )

    def _of_tool(self, job: Job) -> CommandResult:
        """Let a tool end, and take what it left."""
        plays = self.plays[job.command.name]
        number = self.runs[job.command.name] = self.runs.get(job.command.name, -1) + 1
        play = plays.play(number)
        left = plays.left(play)
        self.artifacts.folder.mkdir(parents=True, exist_ok=True)
        self.artifacts.path_of(job.diff).write_bytes(left)
        self.artifacts.path_of(job.log).write_text(LIMIT if play == "limited" else "")
        passed = play not in {"failed", "limited"}
        self.world.trace(f"{job.command.name}: the tool has {play}")
        return CommandResult(
            passed=passed,
            exit_code=int(not passed),
            seconds=0.1,
            message="" if passed else "it failed",
            captured=Captured(bytes=len(left)),
        )

    def fate(self, job: Job) -> str:
        """Decide what becomes of a worker that is given a job."""
        subject = job.job_id.rpartition(".")[0]
        if self.losses.get(subject, 0) < self.manners.losses:
            for fate in ("dies", "hangs", "nonsense"):
                if self._is(getattr(self.manners, fate)):
                    self.losses[subject] = self.losses.get(subject, 0) + 1
                    return fate
        return "twice" if self._is(self.manners.twice) else "answers"

    def _is(self, likely: float) -> bool:
        return likely > 0 and self.world.random.random() < likely


def passes(gate: str, files: Mapping[str, str]) -> bool:
    """A tree is red when a file says so, or when two files that do not go together meet."""
    said = " ".join(files.values())
    return f"red:{gate}" not in said and not (f"left:{gate}" in said and f"right:{gate}" in said)


class SimulatedWorker:
    """Takes the place of ``WorkerProcess``."""

    def __init__(
        self,
        bench: Bench,
        *,
        slot_dir: Path,
        source_git_dir: Path,
        drivers: object,
        remotes: str,
        artifacts: Artifacts,
        heartbeat: float,
        locks: object,
        server: object,
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> None:
        del slot_dir, source_git_dir, drivers, remotes, artifacts, locks, server
        self._bench, self._world = bench, bench.world
        self._on_message, self._on_end, self._heartbeat = on_message, on_end, heartbeat
        self._world.reach("worker: start")
        process = OWNER.get()
        assert isinstance(process, Process)
        self.pid = self._world.new_pid(process.host)
        self._world.parents[self.pid] = process.pid
        self._loop = asyncio.get_running_loop()
        self._job: Job | None = None
        self._is_hanging = False
        self._is_leaving = False
        self._has_ended: asyncio.Future[None] = self._loop.create_future()
        self._after(0.02, self._say, Ready(pid=self.pid))
        self._after(self._heartbeat, self._beat)

    def send(self, message: Message) -> None:
        """Hear something."""
        self._world.reach("worker: hear")
        match message:
            case Job():
                self._take_on(message)
            case Cancel(job_id=job_id):
                self._after(0.01, self._give_up, job_id)
            case Shutdown():
                self._is_leaving = True
                self._after(0.01, self._leave)

    def end(self, complaint: str = "") -> None:
        """Be killed."""
        self._world.end_tree(self.pid)
        self._after(0.005, self._be_gone, complaint or "it was killed")

    async def ended(self) -> None:
        """Wait until it is gone."""
        await asyncio.shield(self._has_ended)

    def _after(self, about: float, do: Callable[..., None], *args: Any) -> None:
        self._loop.call_later(about * (0.5 + self._world.random.random()), do, *args)

    def _take_on(self, job: Job) -> None:
        self._job = job
        fate = self._bench.fate(job)
        self._world.trace(f"{job.command.name} ({job.job_id}): the worker {fate}")
        match fate:
            case "dies":
                self._after(0.1, self._be_gone, "it died")
            case "hangs":
                self._is_hanging = True
                self._after(3.0, self._wake, job)
            case "nonsense":
                self._after(0.1, self._say, Result(job_id="?", attempt=9, outcome=CommandResult(passed=True)))
            case "twice":
                self._after(0.15, self._answer, job)
                self._after(0.3, self._repeat, job)
            case _:
                self._after(0.15, self._answer, job)

    def _answer(self, job: Job) -> None:
        if self._job is job:
            self._job = None
            self._say(Result(job_id=job.job_id, attempt=job.attempt, outcome=self._bench.outcome(job)))
            self._leave()

    def _repeat(self, job: Job) -> None:
        if self._job is None:
            self._say(Result(job_id=job.job_id, attempt=job.attempt, outcome=self._bench.outcome(job)))

    def _wake(self, job: Job) -> None:
        self._is_hanging = False
        self._answer(job)

    def _give_up(self, job_id: str) -> None:
        job = self._job
        if job is not None and job.job_id == job_id and not self._is_hanging:
            self._job = None
            outcome = CommandResult(passed=False, cancelled=True, message="it was cancelled")
            self._say(Result(job_id=job.job_id, attempt=job.attempt, outcome=outcome))
            self._leave()

    def _beat(self) -> None:
        if not self._has_ended.done():
            if not self._is_hanging:
                self._say(Heartbeat(job_id=self._job.job_id if self._job else None))
            self._after(self._heartbeat, self._beat)

    def _leave(self) -> None:
        if self._is_leaving and self._job is None:
            self._be_gone("")

    def _say(self, message: Message) -> None:
        if self._has_ended.done():
            return
        try:
            self._on_message(message)
        except WorkerProtocolError as error:
            self.end(str(error))

    def _be_gone(self, message: str) -> None:
        if not self._has_ended.done():
            self._world.end_tree(self.pid)
            self._has_ended.set_result(None)
            self._on_end(message)


class SimulatedForkServer:
    """Takes the place of ``ForkServer``: workers are there when they are wanted."""

    is_ready = True

    def __init__(self, environment: object, slots_dir: object, **hears: object) -> None:
        del environment, slots_dir, hears

    def start(self) -> None:
        """It is ready."""

    def close(self) -> None:
        """Nothing has to be ended."""


class SimulatedSlot(Slot):
    """A slot without a folder."""

    @property
    def is_whole(self) -> bool:
        """Nobody removes what is not there."""
        return True


class SimulatedSlots:
    """Takes the place of ``Slots``: folders that nobody looks into and whose locks tell orphans."""

    def __init__(self, world: World, folder: Path, locks: Path) -> None:
        del locks
        self._world, self._folder = world, folder
        self._free: list[Slot] = []
        self._taken = 0

    def make(self) -> None:
        """Nothing has to be made."""

    def take(self) -> Slot:
        """Take a slot."""
        if self._free:
            return self._free.pop()
        self._taken += 1
        return SimulatedSlot(number=self._taken, path=self._folder / str(self._taken), locks=())

    def put_back(self, slot: Slot) -> None:
        """Give it back."""
        self._free.append(slot)

    def release(self) -> None:
        """Nothing is locked."""

    def end_orphans(self) -> int:
        """End the workers whose process is gone."""
        return self._world.end_orphans()
