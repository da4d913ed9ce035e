"""What people decide by hand about a run that is under way: before, after, and all that follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from maingate.ids import new_id
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import (
    Effect,
    JudgeChain,
    JudgePatch,
    LandCar,
    StopCommand,
    StopJudging,
)
from maingate.orchestrator.core.events import (
    AttemptEnd,
    AttemptEnded,
    CancelRequested,
    CoreEvent,
    OverrideRequested,
    RetryDue,
    TargetLanded,
    TargetMoved,
)
from maingate.orchestrator.core.snapshot import TaskNode, WorkstreamNode
from maingate.orchestrator.decision_writer import decision_event
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.operator_rules import Override, RequestAnswer
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from orchestrator.core.test_core import ROOM, World, picture_of, plan_of

FAILED = Reason(code=ReasonCode.TOOL_FAILED, message="it failed")


@dataclass(kw_only=True)
class Run:
    """A run under way, and what waits to be done for it."""

    plan: Plan
    world: World = field(init=False)
    core: Core = field(init=False)
    todo: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin it."""
        self.world = World(self.plan, {}, seed=0)
        self.core = Core(picture_of(self.plan), RunLimits(worker_id="wrk_1", capacity=ROOM, window=3))
        self.todo += self.world.follow(self.core.begin())

    def hear(self, event: CoreEvent) -> Decision:
        """Let the core hear something; its effects wait."""
        decision = self.core.handle(event)
        self.todo += self.world.follow(decision)
        return decision

    def go_on(self, until: Callable[[Effect], bool] = lambda _: False) -> None:
        """Do what waits, up to something that is left waiting."""
        while self.todo and not until(self.todo[0]):
            event = self.world.answer(self.core, self.todo.pop(0))
            if event is not None:
                self.hear(event)

    def task(self, label: str) -> TaskNode:
        """Look a task up."""
        return next(task for task in self.core.tasks if task.label == label)

    def decide(self, override: Override, what: str) -> Decision:
        """Have something decided by hand."""
        node: TaskNode | WorkstreamNode
        node = self.task(what) if "/" in what else self.core.run.workstreams[what]
        asked = OverrideRequested(
            override=override, entity=node.id, message="it is time", operator="ada", request=new_id("req")
        )
        return self.hear(asked)

    def states(self) -> dict[str, str]:
        """Say where every task is."""
        return {task.label: str(task.state) for task in self.core.tasks}

    def fail(self, label: str) -> None:
        """Let the attempt of a step fail."""
        task = self.task(label)
        self.hear(AttemptEnded(task=task.id, attempt=task.attempt, end=AttemptEnd.FAILED, reason=FAILED))


def run_of(tasks: dict[str, Any], **more: dict[str, Any]) -> Run:
    """Begin a run of a workstream ``a``, and others."""
    return Run(plan=plan_of({"a": {"tasks": tasks}} | more))


def way_of(decision: Decision, entity: str) -> list[tuple[str, str | None]]:
    """List an entity's steps with who has signed them."""
    return [(step.to, step.operator) for step in decision.steps if step.head_id == entity]


def refused(decision: Decision) -> str:
    """Return why something was refused, having checked that nothing else was done."""
    [answer] = decision.answers
    assert answer.is_refused
    assert not decision.steps
    assert not decision.overrides
    return answer.said


COMMAND = {"command": "make"}


def test_a_running_step_is_taken_as_done_and_what_needs_it_begins() -> None:
    """Its command is stopped, the room is free, and what still comes of it is ignored."""
    run = run_of({"c": COMMAND, "d": {**COMMAND, "needs": ["c"]}, "e": COMMAND, "f": COMMAND})
    task = run.task("a/c")
    late = AttemptEnded(task=task.id, attempt=1, end=AttemptEnd.FAILED, reason=FAILED)
    decision = run.decide("force-complete", "a/c")
    assert way_of(decision, task.id) == [("validating", "ada"), ("completed", "ada")]
    assert StopCommand(task=task.id) in decision.effects
    assert decision.answers == [
        RequestAnswer(request=decision.answers[0].request, said="a/c is completed; ada decided it.")
    ]
    [record] = decision.overrides
    assert (record.override, record.head.id) == ("force-complete", task.id)
    assert (record.operator, record.state) == ("ada", "running")
    event = decision_event(record, run.core.now)
    assert (event.event_type, event.trigger, event.entity_id) == (
        "manual_override",
        "force-complete",
        task.id,
    )
    assert (event.operator, event.metadata["state_before"]) == ("ada", "running")
    assert run.states() == {"a/c": "completed", "a/d": "running", "a/e": "running", "a/f": "queued"}
    assert (run.task("a/d").unmet, task.workstream.open_tasks) == (0, 3)
    assert way_of(decision, run.task("a/d").id)[-1] == ("running", None)
    assert not run.hear(late).steps


def test_a_step_that_waits_for_a_retry_goes_all_the_way_to_its_end() -> None:
    """Through the states that its table wants; the retry that was due is no more."""
    run = run_of({"c": COMMAND, "d": COMMAND})
    run.fail("a/c")
    task = run.task("a/c")
    decision = run.decide("force-complete", "a/c")
    assert [to for to, _ in way_of(decision, task.id)] == ["queued", "running", "validating", "completed"]
    assert not run.hear(RetryDue(task=task.id, attempt=task.attempt)).steps


@pytest.mark.parametrize(("override", "code"), [("force-complete", "by_hand"), ("force-fail", "rejected")])
def test_only_a_decision_that_refuses_is_a_rejection(override: Override, code: str) -> None:
    """What a person completes has not been rejected, and the record does not say so."""
    run = run_of({"c": COMMAND, "d": COMMAND})
    run.fail("a/c")
    decision = run.decide(override, "a/c")
    reasons = [step.reason for step in decision.steps if step.head_id == run.task("a/c").id]
    assert reasons[-1] is not None
    assert reasons[-1].code == code


def test_the_last_step_sends_its_workstream_to_the_lane() -> None:
    """With nothing to land it is completed by that, and so is the run."""
    run = run_of({"c": COMMAND})
    run.decide("force-complete", "a/c")
    assert run.core.run.state is RunState.SUCCEEDED


def test_a_patch_is_never_taken_as_good_by_hand() -> None:
    """Only gates decide what lands."""
    run = run_of({"t": {"patch": "x"}})
    assert "makes a patch" in refused(run.decide("force-complete", "a/t"))


def test_what_waits_is_not_forced() -> None:
    """A task begins only when every task it needs is completed (docs/SPECIFICATION.md §1, rule 6)."""
    run = run_of({"c": COMMAND, "d": {**COMMAND, "needs": ["c"]}})
    overrides: Sequence[Override] = ("force-complete", "force-fail", "unblock")
    for override in overrides:
        assert "task d waits for c" in refused(run.decide(override, "a/d"))


def test_what_has_not_begun_and_what_has_ended_stays_as_it_is() -> None:
    """Also when the whole run has ended: whoever asks is told so."""
    run = run_of({"c": COMMAND}, b={"needs": ["a"], "tasks": {"c": COMMAND}})
    assert "has not begun" in refused(run.decide("fail", "b"))
    assert "has not begun" in refused(run.decide("force-fail", "b/c"))
    run.decide("fail", "a")
    assert run.core.is_over
    assert "what has ended stays ended" in refused(run.decide("fail", "a"))
    assert "what has ended stays ended" in refused(run.decide("force-fail", "a/c"))


@pytest.mark.parametrize("is_critical", [True, False])
def test_a_task_that_fails_by_hand_takes_its_patch_along(is_critical: bool) -> None:
    """It leaves the lane, and what was built on it is built again without it, or ends with the workstream."""
    patch = {"patch": "x", "gates": ["unit"]}
    run = run_of({"t": {**patch, "critical": is_critical}, "u": patch, "v": {"command": "make"}})
    run.go_on(until=lambda effect: isinstance(effect, JudgePatch))
    task = run.task("a/t")
    decision = run.decide("force-fail", "a/t")
    assert task.patch is not None
    assert (task.state, task.patch.state) == (TaskState.FAILED, PatchState.DROPPED)
    assert task.reason is not None
    assert task.reason.message == "ada: it is time"
    assert any(isinstance(effect, StopJudging) for effect in decision.effects)
    if is_critical:
        assert run.core.run.workstreams["a"].state is WorkstreamState.FAILED
        return
    run.go_on()
    run.decide("force-complete", "a/v")
    run.go_on()
    assert (run.core.run.state, run.core.run.tip.tree) == (RunState.SUCCEEDED, "base|base+a/u")


def test_a_tool_that_fails_by_hand_is_ended_and_gives_way_to_the_next() -> None:
    """Its room is free again, and so is the tool."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "tools": {"fixer": {"run": ["fix"], "max_concurrent": 1}},
            "workstreams": {
                name: {"tasks": {"t": {"tool": "fixer", "prompt": "go", "scope": [f"{name}/**"]}}}
                for name in "ab"
            },
        }
    )
    run = Run(plan=plan)
    running, waiting = run.core.tasks
    assert (running.state, waiting.state) == (TaskState.RUNNING, TaskState.QUEUED)
    decision = run.decide("force-fail", running.label)
    assert StopCommand(task=running.id) in decision.effects
    assert (running.state, waiting.state) == (TaskState.FAILED, TaskState.RUNNING)


def test_a_task_that_waits_for_a_retry_is_reset_and_begins_at_once() -> None:
    """With all its retries before it; nothing but a task that waits for a retry can be reset."""
    run = run_of({"c": COMMAND})
    assert "it goes on by itself" in refused(run.decide("reset", "a/c"))
    run.fail("a/c")
    task = run.task("a/c")
    decision = run.decide("reset", "a/c")
    [step, *_] = [step for step in decision.steps if step.head_id == task.id]
    assert step.sets == {"not_before": None, "retry_count": 0, "lost_count": 0}
    assert (task.state, task.retries, task.attempt) == (TaskState.RUNNING, 0, 2)


def test_a_blocked_task_whose_needs_are_completed_begins() -> None:
    """The program unblocks by itself; this is for a record that others have touched."""
    run = run_of({"c": COMMAND, "d": {**COMMAND, "needs": ["c"]}})
    assert "not blocked" in refused(run.decide("unblock", "a/c"))
    run.task("a/c").state = TaskState.COMPLETED
    run.task("a/d").unmet = 0
    decision = run.decide("unblock", "a/d")
    assert [to for to, _ in way_of(decision, run.task("a/d").id)] == ["pending", "queued", "running"]


def test_a_workstream_that_fails_by_hand_takes_all_of_it_along() -> None:
    """Its tasks are cancelled, its command is stopped, its patches are dropped; what needs it is skipped."""
    run = run_of(
        {"t": {"patch": "x"}, "c": COMMAND, "d": {**COMMAND, "needs": ["c"]}},
        b={"needs": ["a"], "tasks": {"t": {"patch": "x"}}},
    )
    run.go_on()
    decision = run.decide("fail", "a")
    a, b = run.core.run.order
    assert (a.state, b.state) == (WorkstreamState.FAILED, WorkstreamState.SKIPPED)
    assert way_of(decision, a.id) == [("failed", "ada")]
    assert StopCommand(task=run.task("a/c").id) in decision.effects
    patch = run.task("a/t").patch
    assert patch is not None
    assert patch.state is PatchState.DROPPED
    assert run.states() == {"a/t": "completed", "a/c": "cancelled", "a/d": "cancelled", "b/t": "cancelled"}
    assert (run.core.run.state, a.open_tasks, run.core.run.open_workstreams) == (RunState.FAILED, 0, 0)


def test_a_workstream_that_is_judged_can_fail_by_hand_and_the_next_one_lands() -> None:
    """What comes of its gates is ignored."""
    patch = {"tasks": {"t": {"patch": "x"}}, "gates": ["unit"]}
    run = Run(plan=plan_of({"a": patch, "b": patch}))
    run.go_on(until=lambda effect: isinstance(effect, JudgeChain))
    run.decide("fail", "a")
    run.go_on()
    a, b = run.core.run.order
    assert (a.state, b.state) == (WorkstreamState.FAILED, WorkstreamState.COMPLETED)
    assert run.core.run.tip.tree == "base|base+b/t"


@pytest.mark.parametrize("has_landed", [True, False])
def test_what_may_just_have_landed_is_decided_when_that_is_known(has_landed: bool) -> None:
    """Nobody is answered before; then it has failed, or it is too late."""
    run = run_of({"t": {"patch": "x"}})
    run.go_on(until=lambda effect: isinstance(effect, LandCar))
    landing = next(effect for effect in run.todo if isinstance(effect, LandCar))
    decision = run.decide("fail", "a")
    assert not decision.writes
    run.todo.clear()
    if has_landed:
        decision = run.hear(TargetLanded(car=landing.car))
        assert run.core.run.workstreams["a"].state is WorkstreamState.COMPLETED
    else:
        decision = run.hear(TargetMoved(car=landing.car))
        assert run.core.run.workstreams["a"].state is WorkstreamState.FAILED
    [answer] = decision.answers
    assert answer.is_refused is has_landed
    assert len(decision.overrides) == (not has_landed)


@pytest.mark.parametrize("of_run", [True, False])
@pytest.mark.parametrize("has_landed", [True, False])
def test_a_cancel_is_answered_when_it_is_known_what_has_landed(has_landed: bool, of_run: bool) -> None:
    """So that a kill before that loses no promise: the next process hears the request again."""
    run = run_of({"t": {"patch": "x"}}, b={"tasks": {"u": {"command": "true"}}})
    run.go_on(until=lambda effect: isinstance(effect, LandCar))
    landing = next(effect for effect in run.todo if isinstance(effect, LandCar))
    run.todo.clear()
    a, b = run.core.run.workstreams["a"], run.core.run.workstreams["b"]
    entity = run.core.run.id if of_run else a.id
    request = new_id("req")
    decision = run.hear(CancelRequested(reason=FAILED, entity=entity, request=request))
    assert decision.answers == []
    assert (b.state is WorkstreamState.CANCELLED) is of_run
    run.todo.clear()
    if has_landed:
        decision = run.hear(TargetLanded(car=landing.car))
    else:
        decision = run.hear(TargetMoved(car=landing.car))
    assert [each.request for each in decision.answers] == [request]
    assert a.state is (WorkstreamState.COMPLETED if has_landed else WorkstreamState.CANCELLED)
    assert (run.core.run.state is RunState.CANCELED) is of_run


def test_a_workstream_lands_without_what_it_can_do_without() -> None:
    """What is open and not critical is cancelled; the gates decide about the rest as ever."""
    run = run_of(
        {
            "t": {"patch": "x"},
            "c": {**COMMAND, "critical": False},
            "d": {**COMMAND, "needs": ["c"], "critical": False},
        }
    )
    assert "cannot land without t" in refused(run.decide("validate", "a"))
    run.go_on()
    decision = run.decide("validate", "a")
    assert decision.answers[0].said == "a is validating; ada decided it."
    assert StopCommand(task=run.task("a/c").id) in decision.effects
    assert "is validating already" in refused(run.decide("validate", "a"))
    run.go_on()
    assert run.states() == {"a/t": "completed", "a/c": "cancelled", "a/d": "cancelled"}
    assert (run.core.run.state, run.core.run.tip.tree) == (RunState.SUCCEEDED, "base|base+a/t")


def test_nothing_is_decided_about_the_wrong_kind_of_thing() -> None:
    """A workstream is not reset, a task is not validated."""
    run = run_of({"c": COMMAND})
    assert "applies to" in refused(run.decide("reset", "a"))
    assert "applies to" in refused(run.decide("validate", "a/c"))
