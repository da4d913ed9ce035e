"""Tools whose patches conflict with what landed meanwhile: they make others, on that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from maingate.commits import Tip
from maingate.ids import PatchId, new_id
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.effects import BuildChain, Effect, JudgeChain, RunTool
from maingate.orchestrator.core.events import (
    ChainBuilt,
    ChainJudged,
    CoreEvent,
    LinkRefused,
    OverrideRequested,
    PatchesApplied,
    PatchTaken,
)
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from orchestrator.core.test_core import ROOM, picture_of
from orchestrator.core.test_tool_tasks import Workshop, a_task, by_label
from orchestrator.core.test_tool_tasks import plan_of as plan_of_tools

NAMES = "abcdefghij"


@dataclass(kw_only=True)
class Notebook(Workshop):
    """A world in which tools append to one file, except those that are said to work elsewhere.

    Args:
        elsewhere: The labels of the tasks whose patches never conflict.
        prompts: The reasons that the attempts of each task were given, by its label.
    """

    elsewhere: frozenset[str] = frozenset()
    known_to: dict[PatchId, set[str]] = field(default_factory=dict)
    free: set[PatchId] = field(default_factory=set)
    told: dict[str, list[Reason]] = field(default_factory=dict)

    def played(self, core: Core, effect: RunTool) -> CoreEvent:
        """Note what the tool has seen of the file, and what it was told."""
        label = core.task(effect.task).label
        if effect.retry is not None:
            self.told.setdefault(label, []).append(effect.retry.reason)
        event = super().played(core, effect)
        if isinstance(event, PatchTaken):
            patch = PatchId(event.patch.id)
            self.known_to[patch] = self.appended(effect.tip)
            self.free |= {patch} if label in self.elsewhere else set()
        return event

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
        """Merge, or refuse a workstream whose tools have not seen what it is put on."""
        if not isinstance(effect, BuildChain):
            return super().answer(core, effect)
        before = list(effect.before)
        for place, link in enumerate(effect.links):
            patches = [patch for patch, _ in link.input.commits]
            for behind, tip in before:
                unseen = [patch for patch in patches if not self.applies(patch, tip)]
                if unseen:
                    detail = {"patch": unseen[0], "onto": tip.commit}
                    reason = Reason(code=ReasonCode.CONFLICT, message="both append", detail=detail)
                    built = self.built(replace(effect, links=effect.links[:place]))
                    assert isinstance(built, ChainBuilt)
                    refused = LinkRefused(workstream=link.input.workstream, reason=reason, behind=behind)
                    return replace(built, refused=refused)
            built = self.built(replace(effect, links=effect.links[: place + 1]))
            assert isinstance(built, ChainBuilt)
            before.append((link.input.workstream, built.candidates[-1].tip))
        return self.built(effect)

    def applied(self, core: Core, task_ids: Any, onto: Tip) -> CoreEvent:
        """Apply patches up to the first whose tool has not seen what it is put on."""
        event = super().applied(core, task_ids, onto)
        assert isinstance(event, PatchesApplied)
        at = onto
        for place, (task_id, fit) in enumerate(zip(task_ids, event.applied, strict=False)):
            if not self.applies(core.task(task_id).require_patch().id, at):
                reason = Reason(code=ReasonCode.CONFLICT, message="both append")
                return replace(event, applied=event.applied[:place], refusal=reason)
            at = fit.tip
        return event

    def applies(self, patch: PatchId, tip: Tip) -> bool:
        """Tell whether a patch can be put on a commit: its tool has seen all that was appended there."""
        return patch in self.free or self.appended(tip) <= self.known_to[patch]

    def appended(self, tip: Tip) -> set[str]:
        """Return the tasks that have appended to the file."""
        return set(re.findall(r"\+([^+|]+)", tip.tree)) - self.elsewhere


class Together(Notebook):
    """A world in which gates fail on what two workstreams make together."""

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
        """Fail where both are."""
        event = super().answer(core, effect)
        are_both = isinstance(effect, JudgeChain) and {"a", "b"} <= set(effect.tip.commit.split("|"))
        if isinstance(event, ChainJudged) and are_both:
            answers = tuple(replace(each, passed=False, message="no") for each in event.answers)
            return replace(event, answers=answers)
        return event


class Busy(Notebook):
    """A world in which others change the same lines of the target whenever a tool is done."""

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
        """Refuse each workstream for a conflict with the target."""
        if not isinstance(effect, BuildChain):
            return super().answer(core, effect)
        link, behind = effect.links[0], effect.before[0]
        detail = {"patch": link.input.commits[0][0], "onto": behind[1].commit}
        reason = Reason(code=ReasonCode.CONFLICT, message="both append", detail=detail)
        built = self.built(replace(effect, links=()))
        assert isinstance(built, ChainBuilt)
        refused = LinkRefused(workstream=link.input.workstream, reason=reason, behind=None)
        return replace(built, refused=refused)


def plan_of(workstreams: Mapping[str, Mapping[str, Any]], **plan: Any) -> Plan:
    """Make a plan of workstreams by the tasks that each has."""
    streams = {name: {"tasks": dict(tasks), "critical": False} for name, tasks in workstreams.items()}
    return plan_of_tools({}, workstreams=streams, **plan)


def states(core: Core) -> dict[str, str]:
    """Return the states of the workstreams."""
    return {workstream.name: str(workstream.state) for workstream in core.run.order}


@pytest.mark.parametrize("seed", range(20))
def test_ten_tools_that_append_to_one_file_all_land(seed: int) -> None:
    """Each makes its patch again on what landed before it; that uses up no retry."""
    plan = plan_of({name: {"t": a_task(max_retries=1)} for name in NAMES})
    world = Notebook(plan=plan, bad={}, seed=seed, duplicates=seed % 2 == 1)
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    labels = {f"{name}/t" for name in NAMES}
    assert world.appended(core.run.tip) == labels
    for label in labels:
        first, *again = [len(world.appended(Tip(commit="", tree=tree))) for tree in world.bases[label]]
        assert again == sorted(set(again))
        assert all(first < later for later in again)
        assert len(world.told.get(label, ())) == len(again)
        assert by_label(core, label).retries == 0
    assert {reason.code for told in world.told.values() for reason in told} == {ReasonCode.CONFLICT}


@pytest.mark.parametrize("seed", range(5))
def test_a_tool_without_a_retry_left_makes_no_other_patch(seed: int) -> None:
    """Its task fails with the conflict, and its workstream with it."""
    world = Notebook(plan=plan_of({name: {"t": a_task(max_retries=0)} for name in "ab"}), bad={}, seed=seed)
    core = world.run()
    assert sorted(states(core).values()) == ["completed", "failed"]
    loser = next(task for task in core.tasks if task.state is TaskState.FAILED)
    assert loser.reason is not None
    assert loser.reason.code is ReasonCode.CONFLICT
    assert world.attempts[loser.label] == 1


def test_a_tool_whose_money_is_spent_makes_no_other_patch() -> None:
    """The task fails for that reason."""
    plan = plan_of({name: {"t": a_task(budget_usd=1.0)} for name in "ab"})
    core = Notebook(plan=plan, bad={}, seed=1, cost=1.0).run()
    assert sorted(states(core).values()) == ["completed", "failed"]
    loser = next(task for task in core.tasks if task.state is TaskState.FAILED)
    assert loser.reason is not None
    assert loser.reason.code is ReasonCode.BUDGET_EXCEEDED


def test_a_tool_that_is_always_overtaken_comes_to_an_end() -> None:
    """After ten attempts each further one counts as a retry, of which there are two."""
    world = Busy(plan=plan_of({"a": {"t": a_task(max_retries=2)}}), bad={}, seed=1)
    core = world.run()
    task = by_label(core, "a/t")
    assert (task.state, world.attempts["a/t"], task.retries) == (TaskState.FAILED, 1 + 10 + 2, 2)
    assert task.reason is not None
    assert task.reason.code is ReasonCode.CONFLICT


def test_an_attempt_that_a_provider_puts_off_is_none_of_the_ten() -> None:
    """It was no attempt that others have overtaken, so as many of these are left as before."""
    plays = {"a/t": [*["limited"] * 6, "good", *["limited"] * 6]}
    world = Busy(plan=plan_of({"a": {"t": a_task(max_retries=2)}}), bad={}, seed=1, plays=plays)
    task = by_label(world.run(), "a/t")
    assert (task.state, world.attempts["a/t"], task.retries) == (TaskState.FAILED, 12 + 1 + 10 + 2, 2)


@pytest.mark.parametrize("seed", range(10))
def test_only_the_patch_in_conflict_is_made_again(seed: int) -> None:
    """Others of its workstream, before and behind it, are applied to the new base as they are."""
    tasks = {"first": a_task(), "t": a_task(), "last": a_task()}
    elsewhere = frozenset({f"{name}/{task}" for name in "abc" for task in ("first", "last")})
    plan = plan_of(dict.fromkeys("abc", tasks))
    world = Notebook(plan=plan, bad={}, seed=seed, elsewhere=elsewhere)
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    assert all(world.attempts[label] == 1 for label in elsewhere)
    assert {task.state for task in core.tasks} == {TaskState.COMPLETED}
    assert world.appended(core.run.tip) == {"a/t", "b/t", "c/t"}


@pytest.mark.parametrize("seed", range(10))
def test_several_tools_of_a_workstream_may_append(seed: int) -> None:
    """Within it, each begins again on what the one before has made; all of that is made again if need be."""
    world = Notebook(
        plan=plan_of({name: {"t": a_task(), "u": a_task()} for name in "abc"}), bad={}, seed=seed
    )
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    assert world.appended(core.run.tip) == {f"{name}/{task}" for name in "abc" for task in "tu"}


@pytest.mark.parametrize("seed", range(5))
def test_a_task_that_is_not_critical_is_passed_over_when_it_has_no_retry_left(seed: int) -> None:
    """The rest of its workstream lands without it."""
    tasks = {"t": a_task(max_retries=0, critical=False), "u": a_task()}
    elsewhere = frozenset({"a/u", "b/u"})
    world = Notebook(plan=plan_of(dict.fromkeys("ab", tasks)), bad={}, seed=seed, elsewhere=elsewhere)
    core = world.run()
    assert set(states(core).values()) == {"completed"}
    assert len(world.appended(core.run.tip)) == 1
    assert all(f"+{label}" in core.run.tip.tree for label in elsewhere)


@pytest.mark.parametrize("seed", range(5))
def test_what_another_task_needs_is_complete_and_is_not_made_again(seed: int) -> None:
    """A workstream fails whose completed task conflicts: no state leads back from there."""
    tasks = {"t": a_task(), "u": a_task(needs=["t"])}
    world = Notebook(plan=plan_of(dict.fromkeys("ab", tasks)), bad={}, seed=seed)
    core = world.run()
    by_state = {str(ws.state): ws for ws in core.run.order}
    assert set(by_state) <= {"completed", "failed"}
    if "failed" in by_state:
        failed = by_state["failed"]
        assert failed.state is WorkstreamState.FAILED
        assert failed.reason is not None
        assert failed.reason.code is ReasonCode.CONFLICT


@pytest.mark.parametrize("seed", range(5))
def test_tools_whose_work_fails_together_lose_the_second_alone(seed: int) -> None:
    """Each passes by itself. That is no conflict: no tool is run again, and blame says with whom."""
    plan = plan_of({name: {"t": a_task()} for name in "ab"}, gates={"unit": {"run": "true"}})
    world = Together(plan=plan, bad={}, seed=seed, elsewhere=frozenset({"a/t", "b/t"}))
    core = world.run()
    failed = [ws for ws in core.run.order if ws.state is WorkstreamState.FAILED]
    assert len(failed) == 1
    assert failed[0].reason is not None
    assert failed[0].reason.code is ReasonCode.GATE_FAILED
    assert sorted(str(task.patch.state) for task in core.tasks if task.patch) == ["committed", "quarantined"]
    assert dict(world.attempts) == {"a/t": 1, "b/t": 1}


def test_a_proven_patch_lands_though_its_workstream_is_to_do_without_the_rest() -> None:
    """A person does without a task that hangs; a critical one that is proven is done."""
    plan = plan_of({"a": {"t": a_task(), "hangs": a_task(critical=False)}})
    world = Notebook(plan=plan, bad={}, seed=1)
    core = Core(picture_of(plan), RunLimits(worker_id="wrk_1", capacity=ROOM, window=3))
    todo = world.follow(core.begin())

    def go_on() -> None:
        while todo:
            effect = todo.pop(0)
            if not (isinstance(effect, RunTool) and core.task(effect.task).name == "hangs"):
                event = world.answer(core, effect)
                todo.extend(world.follow(core.handle(event)) if event is not None else ())

    go_on()
    assert by_label(core, "a/t").state is TaskState.VALIDATING
    workstream = core.run.order[0]
    asked = OverrideRequested(
        override="validate", entity=workstream.id, message="enough", operator="ada", request=new_id("req")
    )
    todo.extend(world.follow(core.handle(asked)))
    go_on()
    assert core.run.state is RunState.SUCCEEDED
    assert {task.name: str(task.state) for task in core.tasks} == {"t": "completed", "hangs": "cancelled"}
    assert core.run.tip.tree == "base|base+a/t"
