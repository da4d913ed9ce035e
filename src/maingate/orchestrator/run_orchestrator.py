"""The shell around the core: one asyncio loop that hears, lets the core decide, records, and carries out.

An event is heard, the core decides, the decision is recorded in one transaction, and then its effects begin;
speculative effects, which leave no trace, begin at once. When something outside fails, everything that runs
is ended and the records stay as they are: what is on record is true, and nothing else has been done.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from maingate.clock import Clock
from maingate.db.connection import Connection
from maingate.db.dao import approvals, artifacts, events, intents, patches, requests, runs, tool_runs
from maingate.db.dao.intents import Intent
from maingate.db.dao.requests import Request
from maingate.db.new_event import new_event, the_run
from maingate.errors import InterruptedRunError, MaingateError, OutsideFaultError
from maingate.events import Event, EventType, Severity
from maingate.ids import PatchId, RunId
from maingate.monitoring.stuck import Patience, StuckWatch, event_of
from maingate.orchestrator import operator_requests, snapshot_loader
from maingate.orchestrator.breaker_watch import BreakerWatch
from maingate.orchestrator.core import recorded
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import Effect, RunNoop, TakePatch, WaitForRetry, WaitForTool
from maingate.orchestrator.core.events import (
    ApprovalsRead,
    AttemptEnd,
    AttemptEnded,
    CancelRequested,
    CoreEvent,
    RetryDue,
    ToolDue,
    WorkstreamBroken,
)
from maingate.orchestrator.core.parts import Limits
from maingate.orchestrator.core.snapshot import RunNode
from maingate.orchestrator.dependencies import Dependencies
from maingate.orchestrator.progress import Listener, SilentListener
from maingate.orchestrator.recorder import Write
from maingate.orchestrator.run_services import RunServices
from maingate.orchestrator.shell.attendant import Attendant, reason_of
from maingate.orchestrator.shell.command_runner import CommandRunner
from maingate.orchestrator.shell.in_hand import InHand
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.orchestrator.shell.tool_runner import ToolRunner
from maingate.orchestrator.view import RunView
from maingate.orchestrator.waiting import lacks_approval
from maingate.plan.choices import TaskKind
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.retry_handler import RetryPolicy
from maingate.state.run import RunState
from maingate.state.steps.step import Head, Step
from maingate.state.task import TaskState
from maingate.verdicts.execution import DrainedError
from maingate.workers.artifacts import Artifacts

Result = TypeVar("Result")

LOOKAHEAD = 16
"""How many ready patches may be read at once, and applied ahead of their gates; that takes no worker."""

POINTS = 256
"""How many tasks that do nothing may be under way at once."""

LOG_INTERVAL = timedelta(seconds=1)
"""How often ``transitions.jsonl`` is brought up to date while a run goes on."""

LOOKS = 10
"""How often it is looked, within the time that something may stay as it is, whether it is stuck."""

ASK_INTERVAL = timedelta(milliseconds=200)
"""How often it is looked whether somebody asks something of the run."""


class RunOrchestrator:
    """Runs one run to its end, from wherever it stands.

    Args:
        run_id: An admitted run that has not begun, or one whose process was interrupted or killed.
        deps: What it works with.
        listener: Who watches.
        is_only_asked: Whether it is only to do what is asked of it, and to go no further: whatever else is
            owed stays for the process that resumes the run.
    """

    def __init__(
        self, run_id: RunId, deps: Dependencies, listener: Listener, *, is_only_asked: bool = False
    ) -> None:
        self._deps, self._listener, self._is_only_asked = deps, listener, is_only_asked
        with deps.database.read() as conn:
            run, heads = snapshot_loader.load(conn, deps.repository, run_id, now=deps.clock.now())
        self._heads = heads
        self._run = run
        self._events: asyncio.Queue[CoreEvent | None] = asyncio.Queue()
        self._under_way: set[asyncio.Task[None]] = set()
        self._alarms: set[asyncio.TimerHandle] = set()
        self._asked: set[str] = set()
        self._answered: set[str] = set()
        self._waiting_said: set[PatchId] = set()
        self._fault: BaseException | None = None
        self._interrupts = 0

    async def run(self) -> RunState:
        """Run until the run has ended.

        Raises:
            InterruptedRunError: It was asked to stop, and has.
            OutsideFaultError: Something outside failed; the records say how far it came.
        """
        self._loop_running = asyncio.get_running_loop()
        self._assemble(self._run)
        patience, settings = self._watch.patience, self._deps.settings
        keeping = [
            asyncio.create_task(self._every(interval, do))
            for interval, do in (
                (LOG_INTERVAL, partial(self._in_thread, self._deps.log.catch_up)),
                (ASK_INTERVAL, partial(self._in_thread, self._look_for_requests)),
                (settings.heartbeat_interval, self._beat),
                (min(patience.task, patience.workstream) / LOOKS, self._look_for_stuck),
            )
        ]
        try:
            self._roster.sign_on()
            if not self._is_only_asked:
                await self._start_pool()
            self._listener.started(self._view)
            await self._loop()
        finally:
            for task in keeping:
                task.cancel()
            await self._dismantle()
        if self._recorder.failure is not None:
            raise self._recorder.failure
        return self._core.run.state

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Ask the run to stop: once, what runs is finished first; twice, at once.

        A person who asks twice (Ctrl-C) wants the run cancelled; anybody else has only no time to wait.
        """
        self._interrupts += 1
        if self._interrupts == 1:
            self._core.is_draining = True
            self._verdicts.drain()
            self._listener.notice(
                "stopping: what runs is finished first, `maingate resume` goes on from there; "
                "interrupt again to cancel the run"
            )
            self._events.put_nowait(None)
        elif number == signal.SIGINT:
            self._listener.notice("cancelling")
            reason = Reason(code=ReasonCode.CANCELLED, message="it was interrupted twice")
            self._events.put_nowait(CancelRequested(reason=reason))
        else:
            self._listener.notice("stopping at once")
            self._fail(InterruptedRunError(self._how_to_go_on()))

    def give_up(self, error: OutsideFaultError) -> None:
        """Stop at once, because something outside makes it wrong to go on."""
        self._fail(error)

    # -- the loop --------------------------------------------------------------------------------------------

    async def _loop(self) -> None:
        if self._is_only_asked:
            self._core.is_draining = True
            self._verdicts.drain()
        asked = await self._in_thread(self._requests)
        is_ending = any(request.entity_id == self._run.id for request in asked)
        decision = self._core.begin(await self._heal(is_ending=is_ending))
        for request in asked:
            decision += self._core.handle(operator_requests.heard(request))
        self._follow(decision)
        while not self._is_done():
            decision = Decision()
            heard = await self._heard()
            self._core.now = self._deps.clock.now()
            for event in heard:
                decision += self._core.handle(event)
            self._follow(decision)
            await self._recorder.keep_up()
        if self._fault is not None:
            raise self._fault
        if not self._core.is_over and not self._is_only_asked:
            self._stop_short()

    async def _heal(self, *, is_ending: bool) -> Sequence[WorkstreamBroken]:
        """Make good what git has collected; return the workstreams of which something is gone for good.

        Whoever only does what is asked leaves these to the process that goes on with the run.
        """
        repaired = await self._in_thread(partial(self._effects.repair, recorded.chains_of(self._run)))
        for workstream, tips in repaired.tips.items():
            recorded.correct(self._core.workstream(workstream), tips)
        for workstream in repaired.broken:
            recorded.forget(self._core.workstream(workstream))
        if is_ending or self._is_only_asked:
            return ()
        for error in repaired.broken.values():
            await self._attendant.blame(error)
        return [
            WorkstreamBroken(workstream=workstream, reason=reason_of("what it stands on is gone", error))
            for workstream, error in repaired.broken.items()
        ]

    def _is_done(self) -> bool:
        if self._fault is not None:
            return True
        return not self._under_way and self._events.empty() and (self._core.is_over or self._core.is_draining)

    async def _heard(self) -> Sequence[CoreEvent]:
        """Wait for an event, and take with it whatever else has come."""
        heard = [await self._events.get()]
        while not self._events.empty():
            heard.append(self._events.get_nowait())
        return [event for event in heard if event is not None]

    def _follow(self, decision: Decision) -> None:
        """Start the speculative effects, record the decision, and begin its effects when it is durable."""
        self._answered.update(answer.request for answer in decision.answers)
        for effect in () if self._is_only_asked else decision.speculative:
            match effect:
                case RunNoop(task=task_id, attempt=attempt):
                    done = AttemptEnded(task=task_id, attempt=attempt, end=AttemptEnd.DONE)
                    self._events.put_nowait(done)
                case _:
                    self._begin(self._carry_out(effect))
        if self._core.run.state is RunState.CANCELED:
            self._verdicts.forget_all()
        if decision.effects:
            durable = self._enter(decision) if decision.writes else None
            self._begin(self._carry_out_when(durable, decision.effects))
        elif decision.writes:
            self._recorder.post(decision.steps, writes=self._rows_of(decision))

    async def _carry_out_when(
        self, durable: "asyncio.Future[None] | None", effects: Sequence[Effect]
    ) -> None:
        if durable is not None:
            await durable
        self._begin_all(effects)

    def _begin_all(self, effects: Sequence[Effect]) -> None:
        taking = []
        for effect in effects:
            match effect:
                case TakePatch(task=task_id):
                    if self._core.task(task_id).state is TaskState.RUNNING:
                        taking.append(effect)
                case WaitForRetry(task=task_id, attempt=attempt, seconds=seconds):
                    self._set_alarm(seconds, RetryDue(task=task_id, attempt=attempt))
                case WaitForTool(tool=tool, seconds=seconds, of_breaker=of_breaker):
                    self._set_alarm(seconds, ToolDue(tool=tool, of_breaker=of_breaker))
                case _:
                    self._begin(self._carry_out(effect))
        if taking:
            self._begin(self._take(taking))

    def _set_alarm(self, seconds: float, event: CoreEvent) -> None:
        def ring() -> None:
            self._alarms.discard(alarm)
            self._events.put_nowait(event)

        alarm = asyncio.get_running_loop().call_later(seconds, ring)
        self._alarms.add(alarm)

    async def _take(self, effects: Sequence[TakePatch]) -> None:
        for event in await self._attendant.take_patches(effects):
            self._events.put_nowait(event)

    def _enter(self, decision: Decision) -> "asyncio.Future[None]":
        return self._recorder.enter(decision.steps, writes=self._rows_of(decision))

    def _rows_of(self, decision: Decision) -> Sequence[Write]:
        return [partial(_write, decision, self._run, self._deps.clock)] if decision.has_rows else []

    async def _carry_out(self, effect: Effect) -> None:
        with suppress(DrainedError):  # the run is stopping: what was asked for is not done any more
            event = await self._attendant.carry_out(effect)
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
            await self._pool.start(soon=self._has_jobs())
        except OutsideFaultError as error:
            if self._core.run.state is not RunState.PENDING:
                raise
            await self._cancel(Reason(code=ReasonCode.CANCELLED, message=f"it could not begin: {error}"))
            raise

    def _has_jobs(self) -> bool:
        """Tell whether there is anything to do for workers."""
        kinds = {task.kind for task in self._core.tasks if not task.has_ended}
        return not kinds.isdisjoint({TaskKind.COMMAND, TaskKind.TOOL}) or any(
            ws.gates or any(task.gates for task in ws.tasks) for ws in self._run.order if not ws.has_ended
        )

    async def _cancel(self, reason: Reason) -> None:
        decision = self._core.handle(CancelRequested(reason=reason))
        await self._enter(decision)

    def _stop_short(self) -> None:
        """Leave a run that was asked to stop, or that cannot go on without a person, to be resumed.

        Raises:
            InterruptedRunError: It was asked to.
            OutsideFaultError: The target's checkout cannot follow.
        """
        if self._core.obstacle is not None:
            raise OutsideFaultError(
                f"{self._core.obstacle}. When that is mended, {self._how_to_go_on()}; "
                f"`maingate cancel {self._core.obstructed}` lets it go without this workstream"
            )
        if self._core.exhausted is not None:
            raise InterruptedRunError(
                f"{self._core.exhausted}: it was stopped; what has landed stays, nothing has landed in part; "
                f"`maingate resume {self._run.id} --budget-usd N` goes on from here"
            )
        raise InterruptedRunError(
            f"run {self._run.id} was interrupted; what has landed stays, nothing has landed in part; "
            + self._how_to_go_on()
        )

    def _how_to_go_on(self) -> str:
        return f"`maingate resume {self._run.id}` goes on from here"

    # -- putting together, taking apart ----------------------------------------------------------------------

    def _assemble(self, run: RunNode) -> None:
        deps, clock, settings = self._deps, self._deps.clock, self._deps.settings
        self._threads = deps.parts.threads(deps.workers + 1, "patches")
        services = RunServices.of(
            deps, run.id, run.plan, heads=self._heads, told=self._told, failed=self._fail
        )
        self._recorder, self._roster = services.recorder, services.roster
        self._pool, self._verdicts, jobs = services.pool, services.verdicts, services.jobs
        self._services = services
        running = TaskJobs(self._pool)
        tools = ToolRunner(
            run.id,
            running,
            jobs,
            artifacts=Artifacts(deps.logs),
            database=deps.database,
            clock=clock,
            template=deps.template,
            rest=settings.rate_limit_rest.total_seconds(),
        )
        self._core = Core(
            run,
            Limits(
                worker_id=self._roster.worker_id,
                capacity={
                    TaskKind.PATCH: LOOKAHEAD,
                    TaskKind.COMMAND: deps.workers,
                    TaskKind.TOOL: deps.workers,
                    TaskKind.NOOP: POINTS,
                },
                window=max(LOOKAHEAD, 4 * deps.workers),
                retries=RetryPolicy(
                    delay=settings.retry_delay,
                    ceiling=settings.retry_delay_max,
                    losses=sys.maxsize if self._is_only_asked else settings.lost_attempts,
                ),
                breaker_threshold=settings.breaker_threshold,
                breaker_cooldown=settings.breaker_cooldown,
                budget_usd=deps.budget_usd,
                reviewers=settings.policy.reviewers or 0,
            ),
            now=clock.now(),
        )
        self._effects = deps.parts.effects(
            deps,
            run=run.input,
            verdicts=self._verdicts,
            commands=CommandRunner(running, jobs),
            tools=tools,
            running=running,
            warn=self._warn,
            threads=self._threads,
        )
        health = deps.parts.health(deps, target=run.target, base=run.base.commit)
        self._in_hand = InHand(deps.logs / f"{run.id}.in-hand")
        self._attendant = Attendant(
            self._effects,
            examine=partial(self._in_thread, health.examine),
            warn=self._warn,
            in_hand=self._in_hand,
            losses=settings.lost_attempts,
        )
        self._view = RunView(self._core, self._verdicts, clock)
        self._breaker_watch = BreakerWatch(deps.database, clock, own=frozenset(self._heads))
        self._watch = StuckWatch(
            patience=Patience.of(settings), context_of=lambda entity_id: self._heads[entity_id].context
        )
        self._watch.found(self._heads.values(), clock.now())

    async def _dismantle(self) -> None:
        """End everything that runs; write down what is still to be written."""
        for alarm in self._alarms:
            alarm.cancel()
        self._cancel_all()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._services.close(before=self._answer_the_last)
        await self._in_thread(self._deps.log.catch_up)
        self._threads.shutdown(wait=True)
        self._in_hand.close(is_over=self._core.is_over)

    async def _answer_the_last(self) -> None:
        """Answer what was on its way to the loop as that ended, and so was not heard."""
        self._asked = set(self._answered)
        self._answer_the_rest(await self._in_thread(self._requests))

    def _cancel_all(self) -> None:
        for task in tuple(self._under_way):
            task.cancel()

    # -- telling ---------------------------------------------------------------------------------------------

    def _told(self, steps: Sequence[Step], before: Mapping[str, str]) -> None:
        self._watch.told(steps, self._deps.clock.now())
        if isinstance(self._listener, SilentListener):
            return
        if news := self._view.news_of(steps, before):
            self._listener.happened(news)

    def _warn(self, text: str) -> None:
        """Put a warning on record and before people; called from threads."""
        at, subject = self._deps.clock.now(), the_run(self._run.id)
        event = new_event(EventType.WARNING, subject, at, severity=Severity.WARNING, reason=text)
        with self._deps.database.write() as conn:
            events.record(conn, event)
        self._listener.notice(text)

    # -- looking around --------------------------------------------------------------------------------------

    async def _every(self, interval: timedelta, do: Callable[[], Awaitable[object]]) -> None:
        """Do something again and again; what goes wrong with it ends the run."""
        while True:
            await asyncio.sleep(interval.total_seconds())
            try:
                await do()
            except MaingateError as error:
                self._fail(error)
                return

    async def _beat(self) -> None:
        self._roster.beat()

    async def _look_for_stuck(self) -> None:
        """Report what has not moved for too long, once."""
        now = self._deps.clock.now()
        reports = [event_of(stuck, now) for stuck in self._watch.due(now)]
        if reports:
            self._recorder.post(writes=[partial(_report, reports)])
        for report in reports:
            self._listener.notice(f"{self._view.name_of(report.entity_id or '')} has not moved for too long")

    def _look_for_requests(self) -> None:
        """Hear what people ask through the database, and what became of breakers; called from threads."""
        heard: list[CoreEvent] = [operator_requests.heard(request) for request in self._requests()]
        if self._run.plan.tools and (news := self._breaker_watch.news()) is not None:
            heard.append(news)
        if waiting := self._core.unapproved:
            counts = self._approvals(waiting)
            heard += [ApprovalsRead(counts=counts)] if counts else []
            self._loop_running.call_soon_threadsafe(self._say_who_waits, waiting, counts)
        elif self._waiting_said:
            self._loop_running.call_soon_threadsafe(self._say_who_waits, (), {})
        for event in heard:
            self._loop_running.call_soon_threadsafe(self._events.put_nowait, event)

    def _say_who_waits(self, patch_ids: Sequence[PatchId], counts: Mapping[PatchId, int]) -> None:
        """Tell people, once, which patches wait for them, and when the last of those does no more."""
        lacking = []
        for patch_id in patch_ids:
            label, wanted = self._core.approvals_wanted(patch_id)
            if patch_id not in self._waiting_said and (missing := wanted - counts.get(patch_id, 0)) > 0:
                self._waiting_said.add(patch_id)
                lacking.append((label, missing))
        if lacking:
            label, missing = lacking[0]
            others = f" (and {len(lacking) - 1} more like it: `maingate status --all`)" * (len(lacking) > 1)
            self._listener.notice(f"{label} waits for {lacks_approval(label, missing)}{others}")
        elif self._waiting_said and not patch_ids:
            self._waiting_said.clear()
            self._listener.notice("nothing waits for approval any more")

    def _approvals(self, patch_ids: Sequence[PatchId]) -> Mapping[PatchId, int]:
        """Count who has approved patches, of those that anybody has."""
        with self._deps.database.read() as conn:
            counts = approvals.counts(conn, patch_ids)
        return {patch_id: counts[patch_id] for patch_id in patch_ids if counts[patch_id]}

    def _requests(self) -> Sequence[Request]:
        """Read what is asked of the run and was not heard yet."""
        with self._deps.database.read() as conn:
            asked = requests.waiting(conn, self._run.id)
        if self._is_only_asked:  # git is asked by the process that goes on with the run
            asked = [request for request in asked if not self._core.may_have_landed(request.entity_id)]
        fresh = [request for request in asked if request.id not in self._asked]
        self._asked.update(request.id for request in fresh)
        return fresh

    def _answer_the_rest(self, asked: Sequence[Request]) -> None:
        """Answer what came too late, if the run is over; else it is heard by the process that resumes it."""
        for request in asked if self._core.is_over else ():
            self._follow(self._core.handle(operator_requests.heard(request)))

    async def _in_thread(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _write(decision: Decision, run: RunNode, clock: Clock, conn: Connection) -> Sequence[Head]:
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
            commits={str(patch): commit for patch, commit in intent.commits.items()},
            created_at=at,
        )
        intents.record(conn, row)
    if decision.target is not None:
        runs.record_head(conn, run.id, decision.target)
    for intent_id in decision.intents_landed:
        intents.landed(conn, intent_id, at)
    for intent_id in decision.intents_abandoned:
        intents.abandon(conn, intent_id, at)
    for answer in decision.answers:
        requests.answer(conn, answer, at)
    for override in decision.overrides:
        events.record(conn, replace(override, timestamp=at))
    tool_runs.record(conn, decision.tool_runs)
    for change in decision.breakers:
        change.write(conn, at)
    return [row.head for row in rows]


def _report(reports: Sequence[Event], conn: Connection) -> Sequence[Head]:
    for report in reports:
        events.record(conn, report)
    return ()
