"""The pure core of a run: ``(picture, event) -> transitions + effects``.

It knows no clock, no SQL, no process. It hears one event, changes its picture, and answers with what must be
recorded and what must then be done. Whatever it does not recognise as an answer to its newest question is
ignored, so events may come twice or late. The cost of an event is what it changes, never the size of the run.

Three rules make the result independent of timing: the patches of a workstream are applied in the plan's
order, workstreams land in the plan's order, and a workstream begins on what the target held when the last of
those it needs completed, whether that landed something or not; without needs, on the run's base. A workstream
completes only when all before it in landing order have ended: the plan settles that, not the clock.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial, singledispatchmethod
from typing import Literal

from maingate.db.columns import EPOCH
from maingate.db.dao import patches, runs, tasks, workstreams
from maingate.db.dao.requests import Answer
from maingate.db.dao.tool_runs import ToolRun
from maingate.db.transitions import Step
from maingate.ids import PatchId, TaskId, WorkstreamId, new_id
from maingate.orchestrator.core import operator_decisions
from maingate.orchestrator.core.commits import Candidate, LandingIntent, Tip
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    JudgeCandidate,
    JudgePatch,
    KeepEvidence,
    LandCandidate,
    MergeWorkstream,
    MoveWorkstreamRef,
    RestorePatch,
    RunCommand,
    RunNoop,
    RunTool,
    StopCommand,
    StopJudging,
    TakePatch,
    WaitForRetry,
    WaitForTool,
)
from maingate.orchestrator.core.events import (
    ApprovalsRead,
    AttemptEnd,
    AttemptEnded,
    BreakersRead,
    CancelRequested,
    CandidateJudged,
    CoreEvent,
    LandingFailed,
    LandingFound,
    LandingObstructed,
    LandingOwed,
    NoPatchTaken,
    OverrideRequested,
    PatchesApplied,
    PatchJudged,
    PatchRestored,
    PatchTaken,
    RetryDue,
    TargetLanded,
    TargetMoved,
    ToolDue,
    ToolEnd,
    ToolEnded,
    WorkstreamBroken,
    WorkstreamMerged,
)
from maingate.orchestrator.core.lanes import Car, Judgement, Lane, Opinion
from maingate.orchestrator.core.snapshot import PatchNode, RunNode, TaskNode, WorkstreamNode
from maingate.orchestrator.core.tools import ToolDesk, key_of
from maingate.orchestrator.task_scheduler import TaskScheduler
from maingate.plan.choices import TaskKind
from maingate.reasons import FAULTS, Reason, ReasonCode
from maingate.recovery.circuit_breaker import COOLDOWN, THRESHOLD, Breakers, Change, Probe
from maingate.recovery.retry_handler import RetryPolicy
from maingate.state.patch_ledger import PATCH_LEDGER, PatchState
from maingate.state.propagation import WorkstreamFact, derive_run
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

LANDING_ATTEMPTS = 20
"""How often a workstream is rebuilt because someone else moved the target, before the run gives up on it."""

QUICK = 0.05
"""Seconds within which a command is so quick that workers would wait for the record of the one before it."""

COMMANDS_AHEAD = 6
"""How many quick commands are handed out for each worker; the others wait for it, so a drain is no longer."""


class Core:
    """Decides what happens next in one run.

    Args:
        run: The picture, as the database has it: a new run, or one that was interrupted anywhere.
        worker_id: The orchestration worker on whose behalf tasks run.
        capacity: How many tasks of each kind may be running at once.
        window: How many patches of a lane may be applied and wait for their gates.
        lookahead: How far ahead of its lane a workstream's patches may be produced.
        retries: When a task is tried again.
        breaker_threshold: How many failures of a tool in a row open its breaker.
        breaker_cooldown: How long a breaker stays open.
        budget_usd: What the tools may cost, all together, instead of what the plan says.
        reviewers: How many people the settings want to approve each patch; the plan may want more.
        now: The time; set anew by the shell before whatever it calls.
    """

    def __init__(
        self,
        run: RunNode,
        *,
        worker_id: str,
        capacity: Mapping[TaskKind, int],
        window: int,
        lookahead: int = 16,
        retries: RetryPolicy | None = None,
        breaker_threshold: int = THRESHOLD,
        breaker_cooldown: timedelta = COOLDOWN,
        budget_usd: float | None = None,
        reviewers: int = 0,
        now: datetime = EPOCH,
    ) -> None:
        self.now = now
        self.run = run
        self._worker_id = worker_id
        self._window = window
        self._retries = retries or RetryPolicy()
        self._tasks = {task.id: task for ws in run.order for task in ws.tasks}
        self._reviewers = reviewers
        self._unapproved: dict[PatchId, TaskNode] = {}
        self._given_up: frozenset[Probe] = frozenset()
        breakers = Breakers(
            run.breakers,
            is_running=self._is_probing,
            threshold=breaker_threshold,
            cooldown=breaker_cooldown,
        )
        self._desk = ToolDesk(run.plan, run.spent, breakers, budget_usd=budget_usd or run.plan.budget_usd)
        self._commands = capacity.get(TaskKind.COMMAND, 0)
        self._scheduler = TaskScheduler(capacity=capacity, lookahead=lookahead, hold=self._held_by)
        self._workstreams = {ws.id: ws for ws in run.order}
        self._next_to_land = 0
        self._landing: WorkstreamNode | None = None
        self._landing_attempts = 0
        self._is_merging = False
        self._out = Decision()
        self._agenda: deque[Callable[[], None]] = deque()
        self._stirred: dict[WorkstreamId, WorkstreamNode] = {}
        self._hearer_of = vars(Core)[
            "_hear"
        ].dispatcher.dispatch  # a method that dispatches is made anew each time
        self._cancelled: Reason | None = None
        self._postponed: dict[WorkstreamId, list[CancelRequested | OverrideRequested | WorkstreamBroken]] = {}
        self.obstacle: str | None = None
        self.obstructed: WorkstreamId | None = None
        self.exhausted = self._desk.run_exhausted()
        self.is_draining = self.exhausted is not None
        self.tasks_total = len(self._tasks)
        self.tasks_ended = sum(task.has_left for task in self._tasks.values())

    # -- what the shell calls --------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Tell whether the run has ended."""
        return self.run.state is not RunState.PENDING and self.run.state is not RunState.RUNNING

    def begin(self, broken: Sequence[WorkstreamBroken] = ()) -> Decision:
        """Bring about all that is owed, wherever the run stands: it is new, or its process was killed.

        Args:
            broken: The workstreams of which something is gone.

        What is on record is always the whole of a decision. So nothing but the effects of the last ones can
        be missing, and these are asked for again here: in one place, from the states alone.
        """
        if self.run.state is RunState.PENDING:
            self._move_run(runs.start(self.run.head), RunState.RUNNING)
        for workstream in self.run.workstreams.values():
            self._take_up(workstream)
        for event in broken:
            self._hear(event)
        if self.run.open_workstreams:
            self._land_next()
        elif not self.is_over:
            self._end_run()
        return self._decide()

    def handle(self, event: CoreEvent) -> Decision:
        """Decide what an event brings about."""
        if not self.is_over:
            self._hearer_of(type(event))(self, event)
        elif isinstance(event, OverrideRequested):
            self._override(event)
        elif isinstance(event, CancelRequested) and event.request is not None:
            said = f"run {self.run.name} is {self.run.state} already"
            self._out.answers.append(Answer(request=event.request, said=said))
        return self._decide()

    def task(self, task_id: TaskId) -> TaskNode:
        """Look a task up."""
        return self._tasks[task_id]

    def workstream(self, workstream_id: WorkstreamId) -> WorkstreamNode:
        """Look a workstream up."""
        return self._workstreams[workstream_id]

    @property
    def tasks(self) -> Iterable[TaskNode]:
        """Every task of the run."""
        return self._tasks.values()

    def may_have_landed(self, entity: str) -> bool:
        """Tell whether the target may have moved to a workstream, or to one of the run, without a record."""
        concerned = self.run.order if entity == self.run.id else [self._workstreams.get(WorkstreamId(entity))]
        return any(ws is not None and ws.open_intent is not None for ws in concerned)

    def waits_to_land_behind(self, workstream: WorkstreamNode) -> WorkstreamNode | None:
        """Say which workstream must end before this one can land; None when it is its turn."""
        ahead = next((ws for ws in self.run.order[self._next_to_land :] if not ws.has_ended), None)
        return None if ahead is workstream else ahead

    def _decide(self) -> Decision:
        """Follow up what was brought about, one by one: a long chain must not become a deep stack."""
        while self._agenda:
            self._agenda.popleft()()
        stirred, self._stirred = self._stirred, {}
        for workstream in stirred.values():
            self._pump(workstream)
        if not self.is_over and not self.is_draining:
            for task in self._scheduler.start():
                self._start(task)
        decision, self._out = self._out, Decision()
        return decision

    # -- events ----------------------------------------------------------------------------------------------

    @singledispatchmethod
    def _hear(self, event: object) -> None:
        raise TypeError(f"not an event: {event!r}")

    @_hear.register
    def _(self, event: PatchTaken) -> None:
        task = self._tasks[event.task]
        if task.state is not TaskState.RUNNING or _is_of_another_attempt(event.tool_run, task):
            return
        self._finished(task)
        self._paid(event.tool_run)
        if task.kind is TaskKind.TOOL:
            self._note(self._desk.breakers.succeeded(str(task.plan.tool), task.id, task.attempt))
        row = event.patch
        task.patch = PatchNode(id=PatchId(row.id), head=row.head, state=PatchState.CREATED)
        self._out.patches.append((row, event.diff))
        self._move_task(task, tasks.produced(task.head))
        if event.refusal is None:
            task.material = event.material
            self._move_patch(task, patches.validate(task.patch.head))
            self._accept(task)
            return
        if event.is_policy:
            self._move_patch(task, patches.validate(task.patch.head))
        trigger: patches.Refusal = "policy_violation" if event.is_policy else "validation_failed"
        self._quarantine(task, event.refusal, trigger)
        self._fail_task(task, event.refusal, is_final=event.is_final)

    @_hear.register
    def _(self, event: NoPatchTaken) -> None:
        task = self._tasks[event.task]
        if task.state is not TaskState.RUNNING:
            return
        self._finished(task)
        self._give_task_up(task, event.reason)

    @_hear.register
    def _(self, event: PatchRestored) -> None:
        task = self._tasks[event.task]
        if task.has_left or task.material is not None or task.state is not TaskState.VALIDATING:
            return
        if event.refusal is None:
            task.material = event.material
            self._accept(task)
            return
        self._refuse(task, event.refusal)

    @_hear.register
    def _(self, event: AttemptEnded) -> None:
        task = self._tasks[event.task]
        if task.state is not TaskState.RUNNING or task.attempt != event.attempt:
            return
        self._finished(task)
        self._look_ahead(event.seconds)
        if event.end is AttemptEnd.DONE:
            self._move_task(task, tasks.produced(task.head))
            self._move_task(task, tasks.complete(task.head))
            self._agenda.append(partial(self._task_ended, task))
            return
        reason = event.reason or _missing_reason(task.label)
        if event.end is AttemptEnd.LOST:
            self._lose(task, reason)
        elif task.retries < task.plan.max_retries:
            self._try_again(task, reason)
        else:
            self._give_task_up(task, reason)

    @_hear.register
    def _(self, event: ToolEnded) -> None:
        task = self._tasks[event.task]
        if task.state is not TaskState.RUNNING or task.attempt != event.attempt:
            return
        self._finished(task)
        self._paid(event.tool_run)
        breakers, tool = self._desk.breakers, str(task.plan.tool)
        match event.end:
            case ToolEnd.LOST:
                self._note(breakers.released(tool, task.id, task.attempt))
                self._lose(task, event.reason)
            case ToolEnd.LIMITED:
                self._note(breakers.released(tool, task.id, task.attempt))
                self._rest(str(task.plan.tool), event.seconds)
                self._put_off(task, event.reason, event.seconds)
            case ToolEnd.FAILED:
                self._note(breakers.failed(tool, task.id, task.attempt, event.reason, self.now))
                self._try_tool_again(task, event.reason, trigger="execution_failed")

    @_hear.register
    def _(self, event: ToolDue) -> None:
        self._scheduler.release(self._desk.rest_over(event.tool, of_breaker=event.of_breaker))

    @_hear.register
    def _(self, event: BreakersRead) -> None:
        self._given_up = event.given_up
        self._desk.breakers.refresh(event.rows)
        for tool in self.run.plan.tools:
            self._scheduler.release(key_of(tool))

    @_hear.register
    def _(self, event: ApprovalsRead) -> None:
        for patch_id, count in event.counts.items():
            task = self._unapproved.get(patch_id)
            if task is not None:
                _patch(task).approvals = count
                self._accept(task)

    @_hear.register
    def _(self, event: RetryDue) -> None:
        task = self._tasks[event.task]
        if task.state is TaskState.RETRYING and task.attempt == event.attempt:
            self._requeue(task)

    @_hear.register
    def _(self, event: PatchesApplied) -> None:
        asked = [self._tasks[task_id] for task_id in event.tasks]
        workstream = asked[0].workstream
        lane = workstream.lane
        if workstream.has_ended or lane is None or not lane.arrived(asked, event.onto):
            return
        for task, fit in zip(asked, event.applied, strict=False):
            car = lane.couple(task, fit.tip, fit.method, fit.repairs)
            if task.gates:
                self._out.speculative.append(JudgePatch(task=task.id, tip=car.tip, onto=car.onto))
            if car is lane.front:
                self._arrive_at_front(car)
        if event.refusal is not None and lane.refuse(refused := asked[len(event.applied)]):
            self._refuse(refused, event.refusal)
        self._stir(workstream)

    @_hear.register
    def _(self, event: PatchJudged) -> None:
        task = self._tasks[event.task]
        lane = task.workstream.lane
        car = lane.car_of(event.commit) if lane else None
        if lane is None or car is None or task.has_left:
            return
        car.judgement = event.judgement
        self._settle_what_is_decided(task.workstream, lane)
        self._stir(task.workstream)

    @_hear.register
    def _(self, event: WorkstreamMerged) -> None:
        workstream = self._workstreams[event.workstream]
        if not self._take_answer_to_merge(workstream) or self._obey_late(workstream):
            return
        self._give_intent_up(workstream)
        if event.candidate is None:
            reason = event.conflict or _missing_reason(workstream.name)
            self._fail_landing(workstream, reason, blames=reason.code not in FAULTS)
            return
        if not workstream.gates:
            self._intend_to_land(workstream, event.candidate)
            return
        workstream.candidate = event.candidate
        self._out.speculative.append(JudgeCandidate(workstream=workstream.id, candidate=event.candidate))

    @_hear.register
    def _(self, event: CandidateJudged) -> None:
        workstream = self._workstreams[event.workstream]
        if workstream is not self._landing or workstream.candidate is not event.candidate:
            return
        workstream.candidate = None
        judgement = event.judgement
        if judgement.opinion is Opinion.PASSED:
            self._intend_to_land(workstream, event.sealed or event.candidate)
            return
        reason = judgement.reason or _missing_reason(workstream.name)
        self._fail_landing(workstream, reason, blames=judgement.opinion is Opinion.FAILED)

    @_hear.register
    def _(self, event: TargetLanded) -> None:
        workstream = self._workstreams[event.workstream]
        if workstream is self._landing and workstream.open_intent == event.intent:
            self._landed(workstream, event.intent, event.candidate.tip, event.candidate.commits)

    @_hear.register
    def _(self, event: LandingFound) -> None:
        workstream = self._workstreams[event.workstream]
        meant = next((intent for intent in workstream.intents if intent.id == event.intent), None)
        if meant is not None and self._take_answer_to_merge(workstream):
            self._landed(workstream, meant.id, event.tip, meant.commits)

    @_hear.register
    def _(self, event: LandingOwed) -> None:
        workstream = self._workstreams[event.workstream]
        if not self._take_answer_to_merge(workstream) or self._obey_late(workstream):
            return
        self._out.effects.append(
            LandCandidate(workstream=workstream.id, candidate=event.candidate, intent=event.intent)
        )

    @_hear.register
    def _(self, event: TargetMoved) -> None:
        workstream = self._workstreams[event.workstream]
        if workstream is not self._landing or workstream.open_intent != event.intent or self._is_merging:
            return
        self._landing_attempts += 1
        if self._landing_attempts < LANDING_ATTEMPTS:
            self._is_merging = True
            self._out.speculative.append(MergeWorkstream(workstream=workstream.id))
            return
        reason = Reason(
            code=ReasonCode.CONFLICT,
            message=f"someone else moved {self.run.target} {LANDING_ATTEMPTS} times while {workstream.name} "
            "was being landed; run it again when the branch is quieter",
        )
        self._fail_landing(workstream, reason, blames=False)

    @_hear.register
    def _(self, event: LandingObstructed) -> None:
        workstream = self._workstreams[event.workstream]
        if workstream is self._landing and not self._obey_late(workstream):
            self.obstacle = f"{workstream.name} cannot land: {event.obstacle}"
            self.obstructed = workstream.id
            self.is_draining = True

    @_hear.register
    def _(self, event: LandingFailed) -> None:
        workstream = self._workstreams[event.workstream]
        is_awaited = workstream is self._landing and workstream.open_intent == event.intent
        if is_awaited and not self._obey_late(workstream):
            self._fail_landing(workstream, event.reason, blames=False)

    @_hear.register
    def _(self, event: WorkstreamBroken) -> None:
        workstream = self._workstreams[event.workstream]
        if workstream.has_ended:
            return
        is_under_way = workstream.state in {WorkstreamState.EXECUTING, WorkstreamState.VALIDATING}
        step = operator_decisions.failing_workstream(workstream, event.reason) if is_under_way else None
        if not self._stop_workstream(workstream, event.reason, step):
            self._postponed.setdefault(workstream.id, []).append(event)

    @_hear.register
    def _(self, event: CancelRequested) -> None:
        said = self._cancel(event.entity, event.reason)
        if isinstance(said, WorkstreamNode):
            self._postponed.setdefault(said.id, []).append(event)
        elif event.request is not None:
            self._out.answers.append(Answer(request=event.request, said=said))

    @_hear.register
    def _(self, event: OverrideRequested) -> None:
        self._override(event)

    # -- cancelling ------------------------------------------------------------------------------------------

    def _cancel(self, entity: str | None, reason: Reason) -> str | WorkstreamNode:
        """End what is asked to end, and say what became of it; else return what may just be landing."""
        if entity is None or entity == self.run.id:
            return self._cancel_run(reason)
        if (workstream := self._workstreams.get(WorkstreamId(entity))) is not None:
            return self._cancel_workstream(workstream, reason)
        if (task := self._tasks.get(TaskId(entity))) is not None:
            return self._cancel_task(task, reason)
        return f"{entity} is not part of run {self.run.id}"

    def _cancel_run(self, reason: Reason) -> str | WorkstreamNode:
        self._cancelled = reason
        late = [ws for ws in self.run.order if not ws.has_ended and not self._stop_workstream(ws, reason)]
        return late[0] if late else f"run {self.run.name} is cancelled"

    def _cancel_workstream(self, workstream: WorkstreamNode, reason: Reason) -> str | WorkstreamNode:
        if workstream.has_ended:
            return f"workstream {workstream.name} is {workstream.state} already"
        if self._stop_workstream(workstream, reason):
            return f"workstream {workstream.name} is cancelled"
        return workstream

    def _stop_workstream(self, workstream: WorkstreamNode, reason: Reason, step: Step | None = None) -> bool:
        """End a workstream, by default cancelled; False when that must wait: the target may have moved."""
        if workstream.open_intent is not None:
            return False
        self._close(workstream, reason)
        if workstream is self._landing:
            self._landing = None
        self._move_workstream(workstream, step or workstreams.cancel(workstream.head, reason), reason)
        self._agenda.append(partial(self._workstream_ended, workstream))
        return True

    def _obey_late(self, workstream: WorkstreamNode) -> bool:
        """Do what was asked while a workstream may have been landing, and has not; tell if that ended it."""
        postponed = self._postponed.pop(workstream.id, [])
        if postponed:
            self._give_intent_up(workstream)
        for asked in postponed:
            self._hear(asked)
        return workstream.has_ended

    def _cancel_task(self, task: TaskNode, reason: Reason) -> str:
        if task.has_left:
            return f"task {task.label} is {task.state} already"
        self._end_task(task, reason)
        return f"task {task.label} is cancelled"

    def _end_task(self, task: TaskNode, reason: Reason, steps: Sequence[Step] = ()) -> None:
        """Take an open task out of its lane and end it, by default cancelled."""
        lane = task.workstream.lane
        if lane is not None:
            for car in lane.remove(task):
                self._out.effects.append(StopJudging(commit=car.tip.commit))
        self._end_open_task(task, reason, steps)
        self._agenda.append(partial(self._task_ended, task))

    # -- deciding by hand ------------------------------------------------------------------------------------

    def _override(self, asked: OverrideRequested) -> None:
        """Do what a person decides, if it suits; wait with it while it is not known what has landed."""
        node = self._tasks.get(TaskId(asked.entity)) or self._workstreams[WorkstreamId(asked.entity)]
        if (refused := operator_decisions.refusal(asked, node)) is not None:
            self._out.answers.append(Answer(request=asked.request, said=refused, is_refused=True))
            return
        if isinstance(node, WorkstreamNode) and node.open_intent is not None:
            self._postponed.setdefault(node.id, []).append(asked)
            return
        self._out.overrides.append(operator_decisions.on_record(asked, node, self.now))
        mine = len(self._out.steps)
        self._obey(asked, node)
        self._out.steps[mine:] = operator_decisions.signed(self._out.steps[mine:], asked.operator)
        self._agenda.append(lambda: self._out.answers.append(operator_decisions.answer(asked, node)))

    def _obey(self, asked: OverrideRequested, node: TaskNode | WorkstreamNode) -> None:
        reason = operator_decisions.reason_of(asked)
        match asked.override, node:
            case "force-complete", TaskNode():
                steps = operator_decisions.completing(node, reason, worker_id=self._worker_id)
                self._end_task(node, reason, steps)
            case "force-fail", TaskNode():
                self._end_task(
                    node, reason, operator_decisions.failing(node, reason, worker_id=self._worker_id)
                )
            case "reset", TaskNode():
                node.retries = node.losses = 0
                self._move_task(node, operator_decisions.starting_over(node, reason))
                self._scheduler.queue(node)
            case "unblock", TaskNode():
                self._move_task(node, tasks.unblock(node.head, reason=reason))
                self._queue(node)
            case "fail", WorkstreamNode():
                self._stop_workstream(node, reason, operator_decisions.failing_workstream(node, reason))
            case "validate", WorkstreamNode():
                for task in node.tasks:
                    self._cancel_task(task, reason)

    # -- producing -------------------------------------------------------------------------------------------

    def _take_up(self, workstream: WorkstreamNode) -> None:
        """Ask for all that is owed to a workstream in its state."""
        match workstream.state:
            case WorkstreamState.PLANNED if workstream.unmet:
                step = workstreams.block(workstream.head, metadata={"needs": list(workstream.needs)})
                self._move_workstream(workstream, step)
            case WorkstreamState.PLANNED:
                self._make_ready(workstream)
            case WorkstreamState.READY | WorkstreamState.EXECUTING | WorkstreamState.VALIDATING:
                self._lay_lane(workstream)
                self._keep_settled(workstream)
                for task in workstream.tasks:
                    self._take_up_task(task)

    def _take_up_task(self, task: TaskNode) -> None:
        match task.state:
            case TaskState.QUEUED:
                self._scheduler.queue(task)
            case TaskState.RUNNING:
                if task.kind is TaskKind.TOOL:
                    self._note(self._desk.breakers.released(str(task.plan.tool), task.id, task.attempt))
                self._lose(task, _lost_with_its_process(task))
            case TaskState.RETRYING:
                self._out.effects.append(WaitForRetry(task=task.id, attempt=task.attempt, seconds=task.delay))
            case TaskState.VALIDATING:
                self._take_up_patch(task, _patch(task))

    def _take_up_patch(self, task: TaskNode, patch: PatchNode) -> None:
        lane = task.workstream.lane
        if patch.state is not PatchState.APPLIED or lane is None:
            self._out.speculative.append(RestorePatch(task=task.id))
        elif patch.commit and patch.tree:
            car = lane.couple(task, Tip(commit=patch.commit, tree=patch.tree), patch.method)
            self._out.speculative.append(JudgePatch(task=task.id, tip=car.tip, onto=car.onto))

    def _make_ready(self, workstream: WorkstreamNode) -> None:
        self._move_workstream(workstream, workstreams.ready(workstream.head))
        self._lay_lane(workstream)
        for task in workstream.tasks:
            if task.has_left:
                continue
            if task.unmet:
                self._move_task(task, tasks.block(task.head, metadata={"needs": list(task.needs)}))
            else:
                self._queue(task)

    def _lay_lane(self, workstream: WorkstreamNode) -> None:
        """Begin the lane on what the target held once all that it needs had ended, or where it was.

        Those needed by the ones it needs land before them, so the last of the latter stands for all.
        """
        if workstream.base is None:
            needed = [self.run.workstreams[name] for name in workstream.needs]
            last = max(needed, key=lambda ws: ws.landing, default=None)
            workstream.base = last.leaves if last and last.leaves else self.run.base
        settled = workstream.settled or workstream.base
        workstream.lane = Lane(order=workstream.patch_tasks(), settled=settled)

    def _queue(self, task: TaskNode) -> None:
        self._move_task(task, tasks.queue(task.head))
        self._scheduler.queue(task)

    def _start(self, task: TaskNode) -> None:
        workstream = task.workstream
        if workstream.state is WorkstreamState.READY and workstream.base is not None:
            self._move_workstream(
                workstream, workstreams.start(workstream.head, base_commit=workstream.base.commit)
            )
        task.attempt += 1
        self._move_task(task, tasks.start(task.head, worker_id=self._worker_id, attempt=task.attempt))
        match task.kind:
            case TaskKind.NOOP:
                self._out.speculative.append(RunNoop(task=task.id, attempt=task.attempt))
            case TaskKind.TOOL if workstream.lane is not None:
                self._desk.began(task)
                self._note(self._desk.breakers.started(str(task.plan.tool), task.id, task.attempt, self.now))
                self._out.effects.append(
                    RunTool(
                        task=task.id,
                        attempt=task.attempt,
                        tip=workstream.lane.settled,
                        budget_usd=self._desk.left_for(task),
                    )
                )
            case TaskKind.COMMAND if workstream.base is not None:
                work = RunCommand(task=task.id, attempt=task.attempt, tip=workstream.base)
                self._out.effects.append(work)
            case _:
                self._out.effects.append(TakePatch(task=task.id))

    def _held_by(self, task: TaskNode) -> str | None:
        """Say what a queued task has to wait for besides a worker."""
        hold = self._desk.hold(task, self.now) if task.kind is TaskKind.TOOL else None
        if hold is not None and hold.seconds is not None:
            tool = str(task.plan.tool)
            self._out.effects.append(WaitForTool(tool=tool, seconds=hold.seconds, of_breaker=True))
        return hold.until_released if hold is not None else None

    def _is_probing(self, probe: Probe) -> bool:
        """Tell whether the attempt that tries a tool out is still worked on."""
        task = self._tasks.get(TaskId(probe.task))
        if task is None:
            return probe not in self._given_up
        return task.state is TaskState.RUNNING and task.attempt == probe.attempt

    def _note(self, change: Change | None) -> None:
        """Record what something says about a tool's breaker."""
        if change is not None:
            self._out.breakers.append(change)

    def _look_ahead(self, seconds: float | None) -> None:
        """While commands take less time than putting them on record, let more of them wait for a worker."""
        if seconds is not None:
            more = COMMANDS_AHEAD if seconds < QUICK else 1
            self._scheduler.resize(TaskKind.COMMAND, more * self._commands)

    def _finished(self, task: TaskNode) -> None:
        """Let others have the room, and the tool, of a task that is not being produced any more."""
        self._scheduler.finished(task)
        if task.kind is TaskKind.TOOL:
            for held_by in self._desk.ended(task):
                self._scheduler.release(held_by)

    def _paid(self, tool_run: ToolRun | None) -> None:
        """Note what an attempt has cost; a run that has cost what it may cost stops, to be resumed."""
        if tool_run is None:
            return
        self._out.tool_runs.append(tool_run)
        self._desk.paid(tool_run)
        self.exhausted = self._desk.run_exhausted()
        self.is_draining = self.is_draining or self.exhausted is not None

    def _rest(self, tool: str, seconds: float) -> None:
        """Leave a tool alone for a while."""
        if self._desk.rest(tool):
            self._out.effects.append(WaitForTool(tool=tool, seconds=seconds))

    @property
    def unapproved(self) -> Sequence[PatchId]:
        """The patches that wait to be approved; may be asked for from any thread."""
        return tuple(self._unapproved)

    def approvals_wanted(self, patch_id: PatchId) -> tuple[str, int]:
        """Name the task of a patch that was not approved, and say how many people have to approve it.

        May be asked from any thread; none have to, when it does not wait for that any more.
        """
        task = self._unapproved.get(patch_id)
        return ("", 0) if task is None else (task.label, self._reviewers_of(task))

    def _reviewers_of(self, task: TaskNode) -> int:
        return max(task.reviewers, self._reviewers)

    def _accept(self, task: TaskNode) -> None:
        """Let a patch that is in order into its lane, once as many people want it as have to."""
        patch = _patch(task)
        if patch.state is PatchState.VALIDATED and not task.has_left:
            if patch.approvals < self._reviewers_of(task):
                self._unapproved[patch.id] = task
                return
            self._move_patch(task, patches.enqueue(patch.head))
        self._unapproved.pop(patch.id, None)
        self._stir(task.workstream)

    # -- another attempt -------------------------------------------------------------------------------------

    def _try_again(
        self,
        task: TaskNode,
        reason: Reason,
        *,
        trigger: Literal["execution_failed", "validation_failed"] = "execution_failed",
    ) -> None:
        """Let a failed attempt be followed by another, after a while."""
        task.retries += 1
        wait = self._retries.wait(task.id, task.retries)
        step = tasks.retry(task.head, reason, trigger=trigger, after=wait, retry_count=task.retries)
        self._move_task(task, step, reason)
        effect = WaitForRetry(task=task.id, attempt=task.attempt, seconds=wait.total_seconds())
        self._out.effects.append(effect)

    def _lose(self, task: TaskNode, reason: Reason) -> None:
        """Begin a lost attempt again; losses are not the task's fault, but they are not endless either."""
        task.losses += 1
        if task.losses > self._retries.losses:
            self._give_task_up(task, reason)
            return
        step = tasks.retry(task.head, reason, trigger="worker_lost", lost_count=task.losses)
        self._move_task(task, step, reason)
        self._requeue(task)

    def _try_tool_again(
        self, task: TaskNode, reason: Reason, *, trigger: Literal["execution_failed", "validation_failed"]
    ) -> None:
        """Let a tool make another patch, told what was wrong, or give the task up."""
        is_of_the_patch = trigger == "validation_failed"
        too_much = self._desk.exhausted(task)
        if too_much is None and task.retries < task.plan.max_retries:
            self._try_again(task, reason, trigger=trigger)
            return
        step = tasks.fail(
            task.head,
            too_much or reason,
            trigger="validation_failed" if is_of_the_patch else "retries_exhausted",
        )
        self._move_task(task, step, too_much or reason)
        self._agenda.append(partial(self._task_ended, task))

    def _put_off(self, task: TaskNode, reason: Reason, seconds: float) -> None:
        """Try again when the tool's provider lets it; that is no failure of the task."""
        step = tasks.retry(task.head, reason, trigger="execution_failed", after=timedelta(seconds=seconds))
        self._move_task(task, step, reason)
        self._out.effects.append(WaitForRetry(task=task.id, attempt=task.attempt, seconds=seconds))

    def _requeue(self, task: TaskNode) -> None:
        self._move_task(task, tasks.requeue(task.head))
        self._scheduler.queue(task)

    def _give_task_up(self, task: TaskNode, reason: Reason) -> None:
        self._move_task(task, tasks.fail(task.head, reason, trigger="retries_exhausted"), reason)
        self._agenda.append(partial(self._task_ended, task))

    # -- the workstream's lane -------------------------------------------------------------------------------

    def _stir(self, workstream: WorkstreamNode) -> None:
        """Look at this lane again when everything that follows from the event is settled."""
        self._stirred[workstream.id] = workstream

    def _pump(self, workstream: WorkstreamNode) -> None:
        """Apply the next patches of the lane, if some are there and there is room."""
        self._scheduler.advance(workstream)
        if workstream.has_ended or workstream.lane is None or self.is_draining:
            return
        boarding = workstream.lane.board(window=self._window)
        if boarding is not None:
            asked, onto = boarding
            self._out.speculative.append(ApplyPatches(tasks=tuple(task.id for task in asked), onto=onto))

    def _arrive_at_front(self, car: Car[TaskNode]) -> None:
        """Record what is now true: the patch is applied on what is settled."""
        task = car.passenger
        patch = _patch(task)
        patch.commit = car.tip.commit
        step = patches.applied(
            patch.head,
            method=car.method,
            repairs=car.repairs,
            commit=car.tip.commit,
            tree=car.tip.tree,
        )
        self._move_patch(task, step)
        if not task.gates:
            car.judgement = Judgement(opinion=Opinion.PASSED)
        lane = task.workstream.lane
        if lane is not None:
            self._settle_what_is_decided(task.workstream, lane)

    def _settle_what_is_decided(self, workstream: WorkstreamNode, lane: Lane[TaskNode]) -> None:
        """Move the front on while its verdict is known."""
        front = lane.front
        if front is None or front.judgement is None:
            return
        if front.judgement.opinion is Opinion.PASSED:
            self._settle(workstream, lane)
        else:
            self._derail(lane, front.judgement)

    def _settle(self, workstream: WorkstreamNode, lane: Lane[TaskNode]) -> None:
        car = lane.settle()
        task = car.passenger
        task.material = None
        gates = list(car.judgement.gates) if car.judgement else []
        self._out.speculative.append(MoveWorkstreamRef(workstream=workstream.id, commit=car.tip.commit))
        self._move_patch(task, patches.verify(_patch(task).head, metadata={"gates": gates}))
        self._move_task(task, tasks.complete(task.head))
        self._agenda.append(partial(self._task_ended, task))
        if lane.front is not None and not workstream.has_ended:
            self._arrive_at_front(lane.front)

    def _derail(self, lane: Lane[TaskNode], judgement: Judgement) -> None:
        front, behind = lane.derail()
        for car in behind:
            self._out.effects.append(StopJudging(commit=car.tip.commit))
        task = front.passenger
        reason = judgement.reason or _missing_reason(task.label)
        if judgement.opinion is Opinion.FAILED:
            self._quarantine(task, reason, "gates_failed")
        else:
            self._move_patch(task, patches.drop(_patch(task).head, reason))
        self._fail_task(task, reason)

    def _refuse(self, task: TaskNode, reason: Reason) -> None:
        """Refuse a patch that does not apply; one that could not be dealt with is dropped, not blamed."""
        if reason.code in FAULTS:
            self._move_patch(task, patches.drop(_patch(task).head, reason))
        else:
            self._move_patch(task, patches.apply_failed(_patch(task).head, reason))
            self._quarantine(task, reason, "apply_attempts_exhausted")
        self._fail_task(task, reason)

    # -- the end of a task -----------------------------------------------------------------------------------

    def _fail_task(self, task: TaskNode, reason: Reason, *, is_final: bool = False) -> None:
        """End a task whose patch was refused, or let its tool make another one.

        Not where the gate is red without it too: nothing that the tool makes would be judged any better.
        """
        task.material = None
        is_final = is_final or reason.code is ReasonCode.BASE_RED
        if task.kind is TaskKind.TOOL and not is_final:
            self._try_tool_again(task, reason, trigger="validation_failed")
            return
        self._move_task(task, tasks.fail(task.head, reason, trigger="validation_failed"), reason)
        self._agenda.append(partial(self._task_ended, task))

    def _task_ended(self, task: TaskNode) -> None:
        """Tell those who need it, then the workstream."""
        workstream = task.workstream
        if workstream.has_ended:
            return
        workstream.open_tasks -= 1
        self._scheduler.release(task.id)
        self._stir(workstream)
        for name in workstream.dependents[task.name]:
            dependent = workstream.by_name[name]
            if task.state is TaskState.COMPLETED:
                self._one_need_met(dependent)
            elif not dependent.has_left:
                reason = _dependency_failed("task", task.name)
                self._move_task(dependent, tasks.cancel(dependent.head, reason), reason)
                self._agenda.append(partial(self._task_ended, dependent))
        is_lost = task.is_critical and task.state is not TaskState.COMPLETED
        if workstream.state is not WorkstreamState.EXECUTING:
            if is_lost or not workstream.open_tasks:
                self._stop_workstream(workstream, task.reason or _missing_reason(task.label))
        elif is_lost:
            self._fail_executing(workstream, task)
        elif not workstream.open_tasks:
            head = self._keep_settled(workstream)
            self._move_workstream(workstream, workstreams.validate(workstream.head, head_commit=head))
            self._land_next()

    def _one_need_met(self, task: TaskNode) -> None:
        task.unmet -= 1
        if not task.unmet and task.state is TaskState.BLOCKED:
            self._move_task(task, tasks.unblock(task.head))
            self._queue(task)

    def _fail_executing(self, workstream: WorkstreamNode, culprit: TaskNode) -> None:
        cause = culprit.reason or _missing_reason(culprit.label)
        reason = Reason(
            code=cause.code,
            message=f"its critical task {culprit.name} failed: {cause.message}",
            detail={"task": culprit.name, **cause.detail},
        )
        bystander = Reason(
            code=ReasonCode.CANCELLED,
            message=f"{workstream.name} lands whole or not at all; its critical task {culprit.name} failed",
            detail={"task": culprit.name},
        )
        self._close(workstream, bystander)
        step = workstreams.fail(workstream.head, reason, trigger="critical_task_failed")
        self._move_workstream(workstream, step, reason)
        self._agenda.append(partial(self._workstream_ended, workstream))

    def _close(self, workstream: WorkstreamNode, reason: Reason) -> None:
        """End what is still open in a workstream: its patches are dropped, its tasks cancelled."""
        if workstream.lane is not None:
            for car in workstream.lane.chain:
                self._out.effects.append(StopJudging(commit=car.tip.commit))
        if workstream.candidate is not None:
            self._out.effects.append(StopJudging(commit=workstream.candidate.tip.commit))
        for task in workstream.tasks:
            self._end_open_task(task, reason)
        self._keep_settled(workstream)
        workstream.open_tasks = 0
        self._scheduler.advance(workstream)

    def _end_open_task(self, task: TaskNode, reason: Reason, steps: Sequence[Step] = ()) -> None:
        """Drop a task's patch, and end the task, by default cancelled, whichever of them has not ended."""
        if task.patch and task.patch.state is not PatchState.COMMITTED and not _is_final(task.patch):
            self._move_patch(task, patches.drop(task.patch.head, reason))
            self._unapproved.pop(task.patch.id, None)
        if task.has_left:
            return
        if task.state is TaskState.RUNNING:
            self._finished(task)
            if task.kind is TaskKind.TOOL:
                self._note(self._desk.breakers.released(str(task.plan.tool), task.id, task.attempt))
            if task.kind in {TaskKind.COMMAND, TaskKind.TOOL}:
                self._out.effects.append(StopCommand(task=task.id))
        task.material = None
        for step in steps or (tasks.cancel(task.head, reason),):
            self._move_task(task, step, reason)

    # -- landing ---------------------------------------------------------------------------------------------

    def _keep_settled(self, workstream: WorkstreamNode) -> str | None:
        """Let the workstream's ref hold all that was settled, for good; return its head."""
        lane = workstream.lane
        if lane is None or lane.settled == workstream.base:
            return None
        commit = lane.settled.commit
        effect = MoveWorkstreamRef(workstream=workstream.id, commit=commit, is_last=True)
        self._out.effects.append(effect)
        return commit

    def _land_next(self) -> None:
        """Begin to land the first workstream, in landing order, that has not ended, once it is validating."""
        if self._landing is not None or self.is_draining or self.is_over:
            return
        order = self.run.order
        while self._next_to_land < len(order) and order[self._next_to_land].has_ended:
            self._next_to_land += 1
        if self._next_to_land == len(order):
            return
        workstream = order[self._next_to_land]
        if workstream.state is not WorkstreamState.VALIDATING:
            return
        self._landing, self._landing_attempts, self._is_merging = workstream, 0, False
        if not workstream.landed_patches():
            self._complete_workstream(workstream, None)
        else:
            self._is_merging = True
            self._out.effects.append(MergeWorkstream(workstream=workstream.id))

    def _take_answer_to_merge(self, workstream: WorkstreamNode) -> bool:
        """Take an answer to what was asked about the workstream that is to land; True for the first only."""
        is_awaited = workstream is self._landing and self._is_merging
        self._is_merging = self._is_merging and not is_awaited
        return is_awaited

    def _landed(
        self, workstream: WorkstreamNode, intent: str, tip: Tip, commits: Mapping[PatchId, str]
    ) -> None:
        """Finish the bookkeeping of a workstream that is on the target."""
        if workstream.open_intent == intent:
            self._out.intents_landed.append(intent)
            workstream.open_intent = None
        self._give_intent_up(workstream)
        for task in workstream.landed_patches():
            patch = _patch(task)
            patch.commit = commits[patch.id]
            self._move_patch(task, patches.commit(patch.head, commit=patch.commit))
        self._out.target = tip.commit
        self._complete_workstream(workstream, tip)

    def _give_intent_up(self, workstream: WorkstreamNode) -> None:
        if workstream.open_intent is not None:
            self._out.intents_abandoned.append(workstream.open_intent)
            workstream.open_intent = None

    def _intend_to_land(self, workstream: WorkstreamNode, candidate: Candidate) -> None:
        """Record what is about to be done to the target; only then do it."""
        self._give_intent_up(workstream)
        intent = LandingIntent(
            id=new_id("intent"),
            workstream=workstream.id,
            old=candidate.onto.commit,
            new=candidate.tip.commit,
            commits=candidate.commits,
        )
        workstream.intents.append(intent)
        workstream.open_intent = intent.id
        self._out.intents.append(intent)
        effect = LandCandidate(workstream=workstream.id, candidate=candidate, intent=intent.id)
        self._out.effects.append(effect)

    def _complete_workstream(self, workstream: WorkstreamNode, landed: Tip | None) -> None:
        workstream.landed = landed
        if landed is not None:
            self.run.tip = landed
        workstream.leaves = self.run.tip
        self._landing = None
        step = workstreams.complete(workstream.head, landed_commit=landed.commit if landed else None)
        self._move_workstream(workstream, step)
        self._agenda.append(partial(self._workstream_ended, workstream))

    def _fail_landing(self, workstream: WorkstreamNode, reason: Reason, *, blames: bool) -> None:
        """End a workstream whose merged result is no good, and its patches with it."""
        self._give_intent_up(workstream)
        for task in workstream.landed_patches():
            if blames:
                self._quarantine(task, reason, "gates_failed")
            else:
                self._move_patch(task, patches.drop(_patch(task).head, reason))
        self._landing = None
        step = workstreams.fail(workstream.head, reason, trigger="validation_failed")
        self._move_workstream(workstream, step, reason)
        self._agenda.append(partial(self._workstream_ended, workstream))

    def _workstream_ended(self, workstream: WorkstreamNode) -> None:
        """Tell those who wanted to decide about it or who need it, then the target's lane, then the run."""
        for asked in self._postponed.pop(workstream.id, ()):
            self._hear(asked)
        self.run.open_workstreams -= 1
        for name in self.run.dependents[workstream.name]:
            dependent = self.run.workstreams[name]
            if workstream.state is WorkstreamState.COMPLETED:
                dependent.unmet -= 1
                if not dependent.unmet and dependent.state is WorkstreamState.BLOCKED:
                    self._make_ready(dependent)
            elif not dependent.has_ended:
                self._skip(dependent, _dependency_failed("workstream", workstream.name))
        if self.run.open_workstreams:
            self._land_next()
        elif not self.is_over:
            self._end_run()

    def _skip(self, workstream: WorkstreamNode, reason: Reason) -> None:
        self._close(workstream, reason)
        self._move_workstream(workstream, workstreams.skip(workstream.head, reason), reason)
        self._agenda.append(partial(self._workstream_ended, workstream))

    def _end_run(self) -> None:
        if self._cancelled is not None:
            self._move_run(runs.cancel(self.run.head, self._cancelled), RunState.CANCELED)
            return
        facts = [
            WorkstreamFact(
                state=ws.state,
                is_critical=ws.is_critical,
                lost_dependency=ws.reason is not None and ws.reason.code is ReasonCode.DEPENDENCY_FAILED,
            )
            for ws in self.run.order
        ]
        if derive_run(facts) is RunState.SUCCEEDED:
            self._move_run(runs.succeed(self.run.head), RunState.SUCCEEDED)
            return
        failed = [
            ws.name
            for ws, fact in zip(self.run.order, facts, strict=True)
            if derive_run([fact]) is RunState.FAILED
        ]
        culprit = self.run.workstreams[failed[0]]
        reason = Reason(
            code=culprit.reason.code if culprit.reason else ReasonCode.DEPENDENCY_FAILED,
            message=f"critical workstreams did not land: {', '.join(failed)}",
            detail={"workstreams": failed},
        )
        self._move_run(runs.fail(self.run.head, reason), RunState.FAILED)

    # -- moving ----------------------------------------------------------------------------------------------

    def _move_run(self, step: Step, state: RunState) -> None:
        self.run.state = state
        self._out.steps.append(step)

    def _move_workstream(self, workstream: WorkstreamNode, step: Step, reason: Reason | None = None) -> None:
        workstream.state = WorkstreamState(step.to)
        workstream.reason = reason or workstream.reason
        self._out.steps.append(step)

    def _move_task(self, task: TaskNode, step: Step, reason: Reason | None = None) -> None:
        task.state = TaskState(step.to)
        task.reason = reason or task.reason
        self.tasks_ended += task.has_left
        self._out.steps.append(step)

    def _move_patch(self, task: TaskNode, step: Step) -> None:
        _patch(task).state = PatchState(step.to)
        self._out.steps.append(step)

    def _quarantine(self, task: TaskNode, reason: Reason, trigger: patches.Refusal) -> None:
        patch = _patch(task)
        self._move_patch(task, patches.quarantine(patch.head, reason, trigger=trigger))
        self._out.effects.append(KeepEvidence(patch=patch.id, reason=reason))


def _patch(task: TaskNode) -> PatchNode:
    if task.patch is None:
        raise RuntimeError(f"task {task.label} has no patch")
    return task.patch


def _is_of_another_attempt(tool_run: ToolRun | None, task: TaskNode) -> bool:
    return tool_run is not None and tool_run.attempt != task.attempt


def _is_final(patch: PatchNode) -> bool:
    return PATCH_LEDGER.is_terminal(patch.state)


def _dependency_failed(kind: str, name: str) -> Reason:
    return Reason(
        code=ReasonCode.DEPENDENCY_FAILED,
        message=f"it needs the {kind} {name}, which did not complete",
        detail={kind: name},
    )


def _lost_with_its_process(task: TaskNode) -> Reason:
    return Reason(
        code=ReasonCode.PROCESS_LOST,
        message=f"the process that worked on {task.label} was ended while it did",
        detail={"attempt": task.attempt},
    )


def _missing_reason(name: str) -> Reason:
    return Reason(code=ReasonCode.GATE_FAILED, message=f"{name} was refused without a reason given")
