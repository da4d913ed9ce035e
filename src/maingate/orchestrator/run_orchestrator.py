"""The loop around the core: it receives events, records the core's decisions, and starts their effects.

The core decides about an event, the decision is recorded in one transaction, and then its effects start;
speculative effects, which have no durable consequences, start at once. When something outside fails,
everything that runs is stopped and the records stay as they are: they are true, and nothing else was done.
"""

import asyncio
import signal
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from maingate.db.dao import runs
from maingate.errors import OutsideFaultError
from maingate.ids import RunId
from maingate.landing.lease import key_of
from maingate.monitoring.stuck_watch import Stuck, held, stuck_event
from maingate.orchestrator import (
    commit_check,
    decision_writer,
    operator_requests,
    snapshot_loader,
    stop_reason,
)
from maingate.orchestrator.approval_notices import ApprovalNotices
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.events import CancelRequested, CoreEvent, TargetLetGo
from maingate.orchestrator.effect_tasks import EffectTasks
from maingate.orchestrator.injected_parts import Dependencies
from maingate.orchestrator.interrupts import Interrupts
from maingate.orchestrator.progress import Listener, SilentListener
from maingate.orchestrator.queue_publisher import LOOK_INTERVAL, QueuePublisher
from maingate.orchestrator.recorder import Write
from maingate.orchestrator.run_assembly import RunHooks, assemble
from maingate.reasons import Reason, ReasonCode
from maingate.state.run import RunState
from maingate.state.steps.step import Step
from maingate.state.task import TaskState

STUCK_CHECKS: Final = 10
"""Number of stuck checks within the time that something may stay as it is."""

INBOX_INTERVAL: Final = timedelta(milliseconds=200)
"""Time between two readings of the inbox."""


class RunOrchestrator:
    """Runs one run to its end, from any state.

    Args:
        run_id: An admitted run that has not begun, or one whose process was interrupted or killed.
        deps: The dependencies of the run.
        listener: Shown the run's progress.
        is_only_asked: Whether the process only answers requests; all else is left to the process that
            resumes the run.
    """

    def __init__(
        self, run_id: RunId, deps: Dependencies, listener: Listener, *, is_only_asked: bool = False
    ) -> None:
        self._deps, self._listener, self._is_only_asked = deps, listener, is_only_asked
        with deps.database.read() as conn:
            run, heads = snapshot_loader.load(conn, deps.repository, run_id, now=deps.clock.now())
            self._key = key_of(runs.get(conn, run_id).repository_id, run.target)
        self._run, self._heads = run, heads
        self._events: asyncio.Queue[CoreEvent | None] = asyncio.Queue()
        self._fault: BaseException | None = None
        self._is_leaving = self._is_told = False
        self._interrupts = Interrupts(
            run_id,
            drain=self._drain_soon,
            cancel=self._events.put_nowait,
            fail=self._fail,
            notice=listener.notice,
        )

    async def run(self) -> RunState:
        """Run until the run has ended.

        Raises:
            InterruptedRunError: It was asked to stop, and has.
            OutsideFaultError: Something outside failed; the records say how far it came.
        """
        self._assemble()
        patience = self._watch.patience
        services = self._services.started(
            self._deps,
            start_pool=self._start_pool,
            failed=self._fail,
            periodic=(
                (INBOX_INTERVAL, self._read_inbox),
                (INBOX_INTERVAL, self._share_queue),
                (min(patience.task, patience.workstream) / STUCK_CHECKS, self._report_stuck),
                (LOOK_INTERVAL, self._publish_queue),
            ),
            stop=self._effects.stop,
            before_close=self._answer_the_last,
            threads=self._parts.threads,
        )
        shown = self._view.shared()
        try:
            async with services:
                self._listener.started(shown)
                await self._loop()
        finally:
            shown.renew()
            self._parts.threads.shutdown(wait=True)
            self._parts.in_hand.close(is_over=self._core.is_over)
        if self._recorder.failure is not None:
            raise self._recorder.failure
        return self._core.run.state

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Stop the run after what runs has finished; when it is called again, or the run is over, at once."""
        if self._core.is_over:
            self._leave()
        else:
            self._interrupts.receive(number)

    def give_up(self, error: OutsideFaultError) -> None:
        """Stop at once, because something outside makes it wrong to go on."""
        self._fail(error)

    # -- the loop --------------------------------------------------------------------------------------------

    async def _loop(self) -> None:
        if self._is_only_asked:
            self._drain()
        asked = self._inbox.accept(await self._in_thread(self._inbox.read_requests))
        is_quiet = self._is_only_asked or any(request.entity_id == self._run.id for request in asked)
        broken = await commit_check.repair(self._run, self._parts, is_quiet=is_quiet)
        orders = await self._in_thread(self._inbox.read_orders)
        taken = await self._in_thread(self._parts.shared.held_already)
        decision = self._core.begin(broken, orders, taken=taken)
        for request in asked:
            decision += self._core.handle(operator_requests.heard(request))
        self._follow(decision)
        while not self._is_done():
            received = await self._receive()
            self._core.now = self._deps.clock.now()
            self._follow(self._core.handle(*received))
            self._tell_of_others()
            await self._recorder.keep_up()
        if self._fault is not None:
            raise self._fault
        if not self._core.is_over and not self._is_only_asked:
            raise stop_reason.reason_to_stop(self._core)

    def _is_done(self) -> bool:
        if self._fault is not None:
            return True
        if self._is_leaving and not self._core.is_landing:
            return True
        is_idle = self._effects.is_idle and self._events.empty()
        return is_idle and (self._core.is_over or self._core.drain.is_on)

    def _leave(self) -> None:
        """Leave what other runs have handed over to the process that holds the target next."""
        self._is_leaving = True
        self._events.put_nowait(None)

    def _tell_of_others(self) -> None:
        """Announce once that the run is over, and that running gates of other runs come to their end."""
        if self._is_told or not self._core.is_over or not self._core.serves_others:
            return
        self._is_told = True
        self._listener.notice(
            "this run is over; the running gates of other runs on its target come to their end here "
            "(an interrupt leaves them to the next process)"
        )

    async def _receive(self) -> Sequence[CoreEvent]:
        """Wait for an event, and return it with all others that have come."""
        received = [await self._events.get()]
        while not self._events.empty():
            received.append(self._events.get_nowait())
        return [event for event in received if event is not None]

    def _follow(self, decision: Decision) -> None:
        """Start the speculative effects, record the decision, and start its effects when it is durable."""
        decision.holds = self._core.take_holds()
        self._inbox.answered([answer.request for answer in decision.answers])
        if not self._is_only_asked:
            self._effects.speculate(decision.speculative)
        if self._core.run.state is RunState.CANCELED:
            self._services.verdicts.forget_all_but(self._core.commits_of_others)
        writes = self._writes_of(decision)
        if decision.effects:
            durable = self._recorder.enter(decision.steps, writes=writes) if decision.writes else None
            self._effects.start_when(durable, decision.effects)
        elif decision.writes:
            self._recorder.post(decision.steps, writes=writes)

    def _writes_of(self, decision: Decision) -> Sequence[Write]:
        offered = self._parts.shared.row_of
        return decision_writer.writes_of(decision, self._run.input, self._deps.clock, offered)

    def _fail(self, error: BaseException) -> None:
        """Keep the first failure of something outside; the loop ends on it."""
        if self._fault is None:
            self._fault = error
        self._events.put_nowait(None)

    def _drain(self) -> None:
        self._core.drain.start()
        self._services.verdicts.drain()

    def _drain_soon(self) -> None:
        """Drain, and let the loop see it although no event comes."""
        self._drain()
        self._events.put_nowait(None)

    # -- beginning and end -----------------------------------------------------------------------------------

    def _assemble(self) -> None:
        hooks = RunHooks(committed=self._committed, failed=self._fail, warn=self._warn)
        parts = assemble(
            self._deps, self._run, self._heads, hooks, key=self._key, is_only_asked=self._is_only_asked
        )
        self._services, self._recorder, self._core = parts.services, parts.services.recorder, parts.core
        self._inbox, self._view, self._watch = parts.inbox, parts.view, parts.watch
        self._parts, self._in_thread = parts, parts.in_thread
        self._effects = EffectTasks(
            parts.attendant,
            self._events,
            is_wanted=lambda effect: parts.core.task(effect.task).state is TaskState.RUNNING,
            failed=self._fail,
        )
        self._queue = QueuePublisher(
            self._key,
            self._run.id,
            look=parts.core.queue_view,
            kept=lambda: parts.core.kept_by_drain,
            kept_waiting=lambda: parts.shared.kept_waiting,
            post=lambda write: self._recorder.post(writes=[write]),
            clock=self._deps.clock,
        )
        self._approvals = ApprovalNotices(wanted=self._core.approvals_wanted, notice=self._listener.notice)

    async def _start_pool(self) -> None:
        """Start the pool; a run that cannot even begin is cancelled, since it has nothing to resume."""
        if self._is_only_asked:
            return
        try:
            # a run that hands its work over has it tested by the process that holds the target
            await self._services.pool.start(soon=self._run.needs_workers and self._core.holds_target)
        except OutsideFaultError as error:
            if self._core.run.state is not RunState.PENDING:
                raise
            reason = Reason(code=ReasonCode.CANCELLED, message=f"the run could not start: {error}")
            decision = self._core.handle(CancelRequested(reason=reason))
            writes = self._writes_of(decision)
            await self._recorder.enter(decision.steps, writes=writes)
            raise

    async def _answer_the_last(self) -> None:
        """Answer requests that came while the loop ended, if the run is over; else the next process does."""
        self._inbox.reopen()
        asked = self._inbox.accept(await self._in_thread(self._inbox.read_requests))
        for request in asked if self._core.is_over else ():
            self._follow(self._core.handle(operator_requests.heard(request)))

    # -- people and watches ----------------------------------------------------------------------------------

    def _committed(self, steps: Sequence[Step], before: Mapping[str, str]) -> None:
        self._watch.told(steps, self._deps.clock.now())
        if not isinstance(self._listener, SilentListener) and (news := self._view.news_of(steps, before)):
            self._listener.happened(news)

    def _warn(self, text: str) -> None:
        """Record a warning and show it to people; called from any thread."""
        with self._deps.database.write() as conn:
            decision_writer.write_warning(conn, self._run.id, text, self._deps.clock.now())
        self._listener.notice(text)

    async def _report_stuck(self) -> None:
        """Report once what has made no progress for too long."""
        now = self._deps.clock.now()
        if found := self._watch.due(now):
            excused = await self._in_thread(partial(self._held_by_orders, found, now))
            self._watch.excuse(excused, now)
            found = [stuck for stuck in found if stuck.entity_id not in excused]
        reports = [stuck_event(stuck, now) for stuck in found]
        if reports:
            self._recorder.post(writes=[partial(decision_writer.write_events, reports)])
        for report in reports:
            self._listener.notice(f"{self._view.name_of(report.entity_id or '')} is stuck: no progress")

    def _held_by_orders(self, found: Sequence[Stuck], now: datetime) -> Collection[str]:
        """Return the workstreams that an order about the queue holds; blocks."""
        with self._deps.database.read() as conn:
            return held(conn, runs.get(conn, self._run.id), found, now).keys()

    async def _publish_queue(self) -> None:
        """Publish what is on board, as the process that holds the target."""
        is_at_rest = self._core.is_over and not self._core.serves_others
        if not self._is_only_asked and not is_at_rest and self._core.holds_target:
            await self._queue.publish()

    async def _read_inbox(self) -> None:
        """Receive what people and other processes tell the run through the database."""
        waiting = self._core.unapproved
        mail = await self._in_thread(partial(self._inbox.read, waiting))
        self._approvals.update(waiting, mail.approvals)
        for event in self._inbox.events_of(mail):
            self._events.put_nowait(event)

    async def _share_queue(self) -> None:
        """Land what other runs hand over, or hear what became of what this one has handed over."""
        if self._is_only_asked:
            return
        shared = self._parts.shared
        if self._core.holds_target:
            others = await self._in_thread(shared.look_at_others)
            if others.news is not None:
                self._events.put_nowait(others.news)
            if others.are_kept_waiting and self._core.may_let_target_go:
                self._follow(self._core.handle(TargetLetGo()))
                await self._in_thread(shared.let_target_go)
            return
        for answered in await self._in_thread(shared.answers):
            self._events.put_nowait(answered)
        if self._core.wants_target and (taken := await self._in_thread(shared.take_target)) is not None:
            self._events.put_nowait(taken)
