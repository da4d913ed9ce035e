"""The shell around the core: one asyncio loop that hears, lets the core decide, records, and carries out.

An event is heard, the core decides, the decision is recorded in one transaction, and then its effects begin;
guesses, which leave no trace, begin at once. When something outside fails, everything that runs is ended and
the records stay as they are: what is on record is true, and nothing else has been done.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from headgate.clock import Clock
from headgate.db.dao import artifacts, events, intents, patches, runs, tasks
from headgate.db.dao.intents import Intent
from headgate.db.engine import Database
from headgate.db.transition_log import TransitionLog
from headgate.db.transitions import Head, Step
from headgate.errors import HeadgateError, InterruptedRunError, OutsideFaultError
from headgate.events import Event, Severity
from headgate.ids import EventId, RunId, UetWorkerId, new_id
from headgate.orchestrator import loading
from headgate.orchestrator import messages as msg
from headgate.orchestrator.core import Core
from headgate.orchestrator.effects import Effects
from headgate.orchestrator.gatekeeper import DrainedError, Gatekeeper
from headgate.orchestrator.jobs import JobMaker
from headgate.orchestrator.picture import RunNode, TaskNode
from headgate.orchestrator.progress import Listener
from headgate.orchestrator.recorder import Recorder, Write
from headgate.orchestrator.roster import Roster
from headgate.orchestrator.view import RunView
from headgate.reasons import Reason, ReasonCode
from headgate.settings import Settings
from headgate.state.run import RunState
from headgate.uet.executor import Executor
from headgate.uet.repository import Repository
from headgate.workers.pool_manager import PoolManager

LOOKAHEAD = 16
"""How many ready patches may be read at once, and applied ahead of their gates; that takes no worker."""

LOG_INTERVAL = timedelta(seconds=1)
"""How often ``transitions.jsonl`` is brought up to date while a run goes on."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run works with, handed in by ``bootstrap``.

    Args:
        slots: Where worktrees are kept.
        logs: Where gates' output is kept.
        quarantine: Where refused patches are kept for people.
        environment: What gates see of the environment.
        workers: How many gates run at once.
    """

    repository: Repository
    database: Database
    settings: Settings
    clock: Clock
    log: TransitionLog
    slots: Path
    logs: Path
    quarantine: Path
    environment: Mapping[str, str]
    workers: int


class RunOrchestrator:
    """Runs one run to its end.

    Args:
        run_id: An admitted run that has not begun.
        around: What it works with.
        listener: Who watches.
    """

    def __init__(self, run_id: RunId, around: Surroundings, listener: Listener) -> None:
        self._around, self._listener = around, listener
        with around.database.read() as conn:
            run, heads = loading.load(conn, around.repository, run_id)
            self._patch_files = {
                row.id: Path(row.spec["patch"]) for row in tasks.of_run(conn, run_id) if row.spec
            }
        self._heads = heads
        self._run = run
        self._events: asyncio.Queue[msg.Event | None] = asyncio.Queue()
        self._under_way: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._interrupts = 0

    async def run(self) -> RunState:
        """Run until the run has ended.

        Raises:
            InterruptedRunError: It was asked to stop, and has.
            OutsideFaultError: Something outside failed; the records say how far it came.
        """
        self._assemble(self._run)
        with self._signals():
            keeping = asyncio.create_task(self._keep_log())
            try:
                self._roster.sign_on()
                await self._start_pool()
                self._listener.started(self._view)
                await self._loop()
            finally:
                keeping.cancel()
                await self._dismantle()
        if self._recorder.failure is not None:
            raise self._recorder.failure
        return self._core.run.state

    def interrupt(self) -> None:
        """Ask the run to stop: once, what runs is finished first; twice, at once."""
        self._interrupts += 1
        if self._interrupts == 1:
            self._core.is_draining = True
            self._gatekeeper.drain()
            self._listener.notice(
                "stopping: gates that run are finished first; interrupt again to stop at once"
            )
        else:
            self._listener.notice("stopping at once")
            self._cancel_all()
        self._events.put_nowait(None)

    def give_up(self, error: OutsideFaultError) -> None:
        """Stop at once, because something outside makes it wrong to go on."""
        self._fail(error)

    # -- the loop --------------------------------------------------------------------------------------------

    async def _loop(self) -> None:
        self._follow(self._core.begin())
        while not self._is_done():
            decision = msg.Decision()
            for event in await self._heard():
                decision += self._core.handle(event)
            self._follow(decision)
        if self._fault is not None:
            raise self._fault
        if not self._core.is_over:
            await self._stop_short()

    def _is_done(self) -> bool:
        if self._fault is not None:
            return True
        return not self._under_way and self._events.empty() and (self._core.is_over or self._core.is_draining)

    async def _heard(self) -> Sequence[msg.Event]:
        """Wait for an event, and take with it whatever else has come."""
        heard = [await self._events.get()]
        while not self._events.empty():
            heard.append(self._events.get_nowait())
        return [event for event in heard if event is not None]

    def _follow(self, decision: msg.Decision) -> None:
        """Begin the guesses, record the decision, and begin its effects when it is durable."""
        for effect in decision.guesses:
            self._begin(self._carry_out(effect))
        if decision.effects:
            self._begin(self._record_then_carry_out(decision))
        elif decision.writes:
            self._recorder.post(decision.steps, writes=[self._rows_of(decision)])

    async def _record_then_carry_out(self, decision: msg.Decision) -> None:
        if decision.writes:
            await self._record(decision)
        taking = [effect for effect in decision.effects if isinstance(effect, msg.TakePatch)]
        if taking:
            self._begin(self._take(taking))
        for effect in decision.effects:
            if not isinstance(effect, msg.TakePatch):
                self._begin(self._carry_out(effect))

    async def _take(self, effects: Sequence[msg.TakePatch]) -> None:
        for event in await self._effects.take_patches(effects):
            self._events.put_nowait(event)

    async def _record(self, decision: msg.Decision) -> None:
        await self._recorder.record(decision.steps, writes=[self._rows_of(decision)])

    def _rows_of(self, decision: msg.Decision) -> Write:
        return partial(_write, decision, self._run, self._around.clock)

    async def _carry_out(self, effect: msg.Effect) -> None:
        with suppress(DrainedError):  # the run is stopping: what was asked for is not done any more
            event = await self._effects.carry_out(effect)
            if event is not None:
                self._events.put_nowait(event)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        if not self._under_way:
            self._events.put_nowait(None)

    def _fail(self, error: BaseException) -> None:
        """Remember the first thing that went wrong outside; the loop ends on it."""
        if self._fault is None:
            self._fault = error
        self._events.put_nowait(None)

    async def _start_pool(self) -> None:
        """Make ready for gates; a run that cannot even begin is cancelled, since it has nothing to resume."""
        try:
            await self._pool.start()
        except OutsideFaultError as error:
            await self._cancel(Reason(code=ReasonCode.CANCELLED, message=f"it could not begin: {error}"))
            raise

    async def _cancel(self, reason: Reason) -> None:
        decision = self._core.handle(msg.CancelAsked(reason=reason))
        await self._record(decision)

    async def _stop_short(self) -> None:
        """End a run that was asked to stop, or that cannot go on without a person."""
        if self._core.obstacle is not None:
            reason = Reason(code=ReasonCode.CANCELLED, message=self._core.obstacle)
        else:
            reason = Reason(code=ReasonCode.CANCELLED, message="it was interrupted")
        await self._cancel(reason)
        if self._core.obstacle is not None:
            raise OutsideFaultError(self._core.obstacle)
        raise InterruptedRunError(
            f"run {self._run.id} was interrupted and is cancelled; "
            "what had landed stays, nothing has landed in part"
        )

    # -- putting together, taking apart ----------------------------------------------------------------------

    def _assemble(self, run: RunNode) -> None:
        around, clock = self._around, self._around.clock
        self._recorder = Recorder(
            database=around.database, clock=clock, heads=self._heads, told=self._told, failed=self._fail
        )
        self._roster = Roster(
            recorder=self._recorder,
            clock=clock,
            capacity=around.workers,
            job_started=self._job_started,
        )
        self._pool = PoolManager(
            size=around.workers,
            slots_dir=around.slots,
            source_git_dir=around.repository.git_dir,
            observer=self._roster,
            environment=around.environment,
        )
        jobs = JobMaker(run.plan, around.settings, around.repository, around.environment)
        self._gatekeeper = Gatekeeper(
            run_id=run.id,
            definitions=run.plan.gates,
            keys=jobs.keys,
            make_job=jobs.make,
            pool=self._pool,
            recorder=self._recorder,
            database=around.database,
            clock=clock,
            logs=around.logs,
            confirm=around.settings.confirm_failures,
        )
        self._core = Core(
            run,
            worker_id=self._roster.worker_id,
            capacity=LOOKAHEAD,
            window=max(LOOKAHEAD, 4 * around.workers),
        )
        self._threads = ThreadPoolExecutor(max_workers=around.workers + 1, thread_name_prefix="patches")
        self._effects = Effects(
            core=self._core,
            repository=around.repository,
            executor=Executor(around.repository, max_bytes=around.settings.max_patch_bytes, now=clock.now),
            gatekeeper=self._gatekeeper,
            database=around.database,
            settings=around.settings,
            clock=clock,
            quarantine_folder=around.quarantine,
            patch_path=self._patch_file,
            warn=self._warn,
            threads=self._threads,
        )
        self._view = RunView(self._core, self._gatekeeper, clock)

    async def _dismantle(self) -> None:
        """End everything that runs; write down what is still to be written."""
        self._cancel_all()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._gatekeeper.close()
        await self._pool.stop(cancel_running=True)
        if self._recorder.failure is None:
            self._roster.sign_off()
        await self._recorder.close()
        self._threads.shutdown(wait=True)
        await asyncio.to_thread(self._around.log.catch_up)

    def _cancel_all(self) -> None:
        for task in tuple(self._under_way):
            task.cancel()

    def _patch_file(self, task: TaskNode) -> Path:
        return self._patch_files[task.id]

    def _job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        self._gatekeeper.job_started(job_id, uet_id)

    # -- telling ---------------------------------------------------------------------------------------------

    def _told(self, steps: Sequence[Step], before: Mapping[str, str]) -> None:
        news = self._view.news_of(steps, before)
        if news:
            self._listener.happened(news)

    def _warn(self, text: str) -> None:
        """Put a warning on record and before people; called from threads."""
        event = Event(
            event_id=EventId(new_id("evt")),
            timestamp=self._around.clock.now(),
            event_type="warning",
            severity=Severity.WARNING,
            entity_type="run",
            entity_id=self._run.id,
            reason={"message": text},
            run_id=self._run.id,
        )
        with self._around.database.write() as conn:
            events.record(conn, event)
        self._listener.notice(text)

    async def _keep_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_INTERVAL.total_seconds())
            try:
                await asyncio.to_thread(self._around.log.catch_up)
            except HeadgateError as error:
                self._fail(error)
                return

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the person's interrupt, and a service manager's request, stop the run in an orderly way."""
        loop = asyncio.get_running_loop()
        numbers = (
            (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if threading.current_thread() is threading.main_thread()
            else ()
        )
        for number in numbers:
            loop.add_signal_handler(number, self.interrupt)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def _write(decision: msg.Decision, run: RunNode, clock: Clock, conn: Connection) -> Sequence[Head]:
    """Write what a decision records besides transitions; return the heads of what it created."""
    at = clock.now()
    rows = patches.insert_many(conn, [row for row, _ in decision.patches], at=at)
    artifacts.store_many(conn, {row.id: diff for row, diff in decision.patches})
    for intent in decision.intents:
        row = Intent(
            id=intent.id,
            run_id=run.id,
            workstream_id=intent.workstream,
            ref=run.target,
            old=intent.old,
            new=intent.new,
            items=list(intent.patches),
            created_at=at,
        )
        intents.record(conn, row)
    if decision.target is not None:
        runs.record_head(conn, run.id, decision.target)
    for intent_id in decision.intents_landed:
        intents.landed(conn, intent_id, at)
    for intent_id in decision.intents_abandoned:
        intents.abandon(conn, intent_id, at)
    return [row.head for row in rows]
