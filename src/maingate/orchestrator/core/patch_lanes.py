"""The way of patches onto their workstream's ref: applied ahead, judged, and settled one by one.

`maingate.orchestrator.core.lane_order` holds one workstream's lane as a value; this module decides what
follows when patches were applied or judged, and what is recorded. Only the front of a lane is recorded as
applied; where tools may have to make patches on another commit, each is when it lands, or is refused, or when
another task needs it (`maingate.orchestrator.core.lane_renewal`).
"""

from collections.abc import Sequence

from maingate.commits import Tip
from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.effect_inputs import PatchInput
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    JudgePatch,
    MoveWorkstreamRef,
    RestorePatch,
    StopJudging,
)
from maingate.orchestrator.core.events import PatchesApplied, PatchJudged, PatchRestored
from maingate.orchestrator.core.lane_order import Car, Lane
from maingate.orchestrator.core.next_attempt import TaskAttempts
from maingate.orchestrator.core.snapshot import TaskNode, WorkstreamNode
from maingate.orchestrator.core.turn import Turn, stated
from maingate.orchestrator.task_scheduler import TaskScheduler
from maingate.reasons import FAULTS, Reason
from maingate.state.holds import HoldCode
from maingate.state.patch_ledger import PATCH_LEDGER, PatchState
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.task import TaskState
from maingate.verdicts.blame import Judgement, Opinion


class Lanes:
    """Moves patches along their lanes.

    Args:
        turn: The current turn.
        scheduler: Hands out queued tasks, no further ahead of their lane than its lookahead.
        attempts: Ends the task of a refused patch.
        approvals: Lets patches into their lane.
        window: How many patches of a lane may be applied and wait for their gates.
    """

    def __init__(
        self,
        turn: Turn,
        scheduler: TaskScheduler,
        attempts: TaskAttempts,
        approvals: Approvals,
        *,
        window: int,
    ) -> None:
        self._turn, self._scheduler = turn, scheduler
        self._attempts, self._approvals, self._window = attempts, approvals, window

    # -- a lane begins ---------------------------------------------------------------------------------------

    def lay(self, workstream: WorkstreamNode) -> None:
        """Start the lane on the workstream's base."""
        if workstream.base is None:
            workstream.base = self._turn.run.base_of(workstream)
        settled = workstream.settled or workstream.base
        workstream.lane = Lane(order=workstream.patch_tasks(), settled=settled)
        self._publish_first(workstream)

    def lay_anew(self, workstream: WorkstreamNode, base: Tip) -> None:
        """Start a lane of which nothing is on record on another base; its patches are applied there."""
        if workstream.lane is not None:
            self._take_back([*workstream.lane.kept, *workstream.lane.chain])
        workstream.base = base
        self.lay(workstream)
        self._turn.lane_changed(workstream)

    def take_up(self, task: TaskNode) -> None:
        """Request what is owed to a patch whose task was validating when its process exited."""
        lane, patch = task.workstream.lane, task.require_patch()
        if patch.state is not PatchState.APPLIED or lane is None:
            base = task.workstream.base or self._turn.run.base
            self._turn.speculate(RestorePatch(input=task.input, patch=patch.id, base=base))
        elif patch.commit and patch.tree:
            car = lane.append(task, Tip(commit=patch.commit, tree=patch.tree), patch.method)
            if not task.workstream.defers_gates:
                self._judge(car)

    # -- events ----------------------------------------------------------------------------------------------

    def patch_restored(self, event: PatchRestored) -> None:
        """Queue a patch of an earlier process for its lane again, or refuse it."""
        task = self._turn.tasks[event.task]
        if task.has_ended or task.material is not None or task.state is not TaskState.VALIDATING:
            return
        if event.refusal is None:
            task.material = event.material
            task.require_patch().needs_approval = event.needs_approval
            self._approvals.accept(task)
            return
        self._refuse(task, event.refusal)

    def patches_applied(self, event: PatchesApplied) -> None:
        """Append the applied patches to their lane, and judge each."""
        asked = [self._turn.tasks[task_id] for task_id in event.tasks]
        workstream = asked[0].workstream
        lane = workstream.lane
        if workstream.has_ended or lane is None or not lane.arrived(asked, event.onto):
            return
        for task, fit in zip(asked, event.applied, strict=False):
            car = lane.append(task, fit.tip, fit.method, fit.repairs)
            if task.gates and not workstream.defers_gates:
                self._judge(car)
            if car is lane.front:
                self._arrive_at_front(car)
        if event.refusal is not None and lane.refuse(refused := asked[len(event.applied)]):
            self._refuse(refused, event.refusal)
        elif event.refusal is not None:
            self.judge_each(workstream)
        self._turn.lane_changed(workstream)

    def patch_judged(self, event: PatchJudged) -> None:
        """Note the judgement of a patch; it counts once the patch is at the front."""
        task = self._turn.tasks[event.task]
        lane = task.workstream.lane
        car = lane.car_of(event.commit) if lane else None
        if lane is None or car is None or task.has_ended:
            return
        car.judgement = event.judgement
        self._decide_front(task.workstream, lane)
        self._turn.lane_changed(task.workstream)

    # -- what the rest of the core asks for ------------------------------------------------------------------

    def apply_next(self, workstream: WorkstreamNode) -> None:
        """Apply the next patches of a lane, if there are some and there is room."""
        self._scheduler.advance(workstream)
        self._publish_first(workstream)
        if workstream.has_ended or workstream.lane is None or self._turn.drain.is_on:
            return
        # Deferred gates free no place of the window: half of it stays free until all patches are applied.
        window = 2 * len(workstream.tasks) if workstream.defers_gates else self._window
        batch = workstream.lane.next_batch(window=window)
        if batch is not None:
            items, onto = batch
            applying = tuple(
                PatchInput(task=task.input, patch=task.require_patch().id, material=task.material)
                for task in items
            )
            self._turn.speculate(ApplyPatches(patches=applying, onto=onto))

    def _publish_first(self, workstream: WorkstreamNode) -> None:
        """Publish the first task of a lane, which all others in it are behind."""
        first = workstream.lane.first if workstream.lane is not None and not workstream.has_ended else None
        if first is None:
            self._turn.board.remove(workstream.id)
        else:
            about = {"first": first.id, "place": first.place + 1}
            self._turn.hold(workstream.id, HoldCode.PARTS, about)

    def judge_each(self, workstream: WorkstreamNode, *, failures: int | None = None) -> None:
        """Judge each applied patch by itself from now on, where that was deferred.

        Args:
            workstream: The workstream.
            failures: How often a gate must fail on one before that counts; None for as the settings say.
        """
        if workstream.defers_gates and workstream.lane is not None:
            workstream.defers_gates = False
            for car in workstream.lane.chain:
                if car.item.gates:
                    self._judge(car, failures=failures)

    def settle_all(self, workstream: WorkstreamNode) -> None:
        """Settle all patches of a workstream that is to land as it is, or to be refused as a whole.

        Where their gates were deferred, they have passed on its merged result.
        """
        lane = workstream.lane
        if lane is None:
            return
        self.settle_kept(workstream)
        if not workstream.defers_gates:
            return
        workstream.defers_gates = False
        for car in lane.chain:
            car.judgement = Judgement(opinion=Opinion.PASSED, gates=car.item.gates)
        self._decide_front(workstream, lane)

    def settle_kept(self, workstream: WorkstreamNode) -> None:
        """Settle the proven patches of a workstream, which cannot be made again after that."""
        while workstream.lane is not None and workstream.lane.kept:
            self._settle(workstream, workstream.lane)

    def remove(self, task: TaskNode) -> None:
        """Remove a task from its lane; patches that were built on its own are applied anew."""
        if task.workstream.lane is not None:
            self._take_back(task.workstream.lane.remove(task))

    def stop(self, workstream: WorkstreamNode) -> None:
        """Stop the gates of everything in a workstream's lane."""
        if workstream.lane is not None:
            self._stop_judging(workstream.lane.chain)

    def pass_over(self, workstream: WorkstreamNode, reason: Reason) -> None:
        """Drop the patches of a workstream that would change nothing on the target; its tasks are done."""
        for task in workstream.patch_tasks():
            if task.patch is not None and not PATCH_LEDGER.is_terminal(task.patch.state):
                self.remove(task)
                self._turn.pass_over(task, reason)

    def keep_settled(self, workstream: WorkstreamNode) -> str | None:
        """Move the workstream's ref to its settled commit for good; return that, or None without one."""
        lane = workstream.lane
        if lane is None or lane.settled == workstream.base:
            return None
        commit = lane.settled.commit
        self._turn.request(
            MoveWorkstreamRef(workstream=workstream.id, ref=workstream.ref, commit=commit, is_last=True)
        )
        return commit

    def _judge(self, car: Car[TaskNode], *, failures: int | None = None) -> None:
        task = car.item
        patch = task.patch.id if task.patch else None
        base = task.workstream.base or self._turn.run.base
        self._turn.speculate(
            JudgePatch(
                input=task.input,
                patch=patch,
                gates=task.gates,
                tip=car.tip,
                onto=car.onto,
                base=base,
                failures=failures,
            )
        )

    def _take_back(self, cars: Sequence[Car[TaskNode]]) -> None:
        """Stop the gates on cars that are applied anew, or not at all."""
        for car in cars:
            self._turn.board.remove(car.item.require_patch().id)
        self._stop_judging(cars)

    # -- the front -------------------------------------------------------------------------------------------

    def _arrive_at_front(self, car: Car[TaskNode]) -> None:
        """Record what is true now, unless it may become another: the patch is applied to what is settled."""
        task = car.item
        if not task.workstream.keeps_patches:
            self._record_applied(car)
        if not task.gates:
            car.judgement = Judgement(opinion=Opinion.PASSED)
        lane = task.workstream.lane
        if lane is not None:
            self._decide_front(task.workstream, lane)

    def _record_applied(self, car: Car[TaskNode]) -> None:
        patch = car.item.require_patch()
        if patch.state is not PatchState.QUEUED:
            return
        patch.commit = car.tip.commit
        step = patch_steps.applied(
            patch.head,
            method=car.method,
            repairs=car.repairs,
            commit=car.tip.commit,
            tree=car.tip.tree,
        )
        self._turn.move_patch(car.item, step)

    def _decide_front(self, workstream: WorkstreamNode, lane: Lane[TaskNode]) -> None:
        """Settle, keep or fail the front, once it is judged."""
        front = lane.front
        if front is None or front.judgement is None:
            return
        if front.judgement.opinion is not Opinion.PASSED:
            self._fail_head(lane, front, front.judgement)
            return
        if _may_be_kept(front.item):
            self._keep(lane, front.item)
        else:
            self.settle_kept(workstream)
            self._settle(workstream, lane)
        if lane.front is not None and not workstream.has_ended:
            self._arrive_at_front(lane.front)

    def _keep(self, lane: Lane[TaskNode], task: TaskNode) -> None:
        lane.keep()
        self._move_ref(task.workstream, lane.proven.commit, is_last=lane.first is None)
        self._turn.hold(task.require_patch().id, HoldCode.WORKSTREAM, {})
        self._scheduler.release(task.id)

    def _settle(self, workstream: WorkstreamNode, lane: Lane[TaskNode]) -> None:
        car = lane.settle()
        task = car.item
        task.material = None
        gates = list(car.judgement.gates) if car.judgement else []
        self._move_ref(workstream, car.tip.commit)
        self._record_applied(car)
        self._turn.move_patch(task, patch_steps.verify(task.require_patch().head, metadata={"gates": gates}))
        self._turn.move_task(task, task_steps.complete(task.head))
        self._turn.follow_up(task)

    def _move_ref(self, workstream: WorkstreamNode, commit: str, *, is_last: bool = False) -> None:
        """Move the workstream's own ref, which keeps git from removing its commits."""
        move = MoveWorkstreamRef(workstream=workstream.id, ref=workstream.ref, commit=commit, is_last=is_last)
        self._turn.speculate(move)

    def _fail_head(self, lane: Lane[TaskNode], front: Car[TaskNode], judgement: Judgement) -> None:
        _, behind = lane.fail_head()
        self._stop_judging(behind)
        task = front.item
        reason = stated(judgement.reason, task.label)
        if judgement.opinion is Opinion.FAILED:
            self._record_applied(front)
            self._turn.quarantine(task, reason, "gates_failed")
        else:
            self._turn.drop(task, reason)
        self._attempts.refused(task, reason)

    def _refuse(self, task: TaskNode, reason: Reason) -> None:
        """Quarantine a patch that does not apply; drop one that could not be tried, or is there already."""
        if reason.code in FAULTS:
            self._turn.drop(task, reason)
            self._attempts.refused(task, reason)
            return
        self._turn.move_patch(task, patch_steps.apply_failed(task.require_patch().head, reason))
        if self._turn.is_done_already(reason):
            self._turn.pass_over(task, reason)
        else:
            self._turn.quarantine(task, reason, "apply_attempts_exhausted")
            self._attempts.refused(task, reason)

    def _stop_judging(self, cars: Sequence[Car[TaskNode]]) -> None:
        for car in cars:
            self._turn.request(StopJudging(commit=car.tip.commit))


def _may_be_kept(task: TaskNode) -> bool:
    """Return whether nothing needs the task of a proven patch to be complete but its landing."""
    workstream = task.workstream
    waiting = (workstream.by_name[name] for name in workstream.dependents[task.name])
    is_off_the_record = task.require_patch().state is PatchState.QUEUED
    return workstream.keeps_patches and is_off_the_record and all(each.has_ended for each in waiting)
