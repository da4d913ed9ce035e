"""Effects are values: what a thread carries out never changes under its hands."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from maingate.clock import ManualClock
from maingate.commits import Tip
from maingate.orchestrator.core import snapshot
from maingate.orchestrator.core.effects import (
    BuildChain,
    ChainLink,
    Effect,
    RunCommand,
    RunNoop,
    RunTool,
    WaitForRetry,
    WaitForTool,
)
from maingate.orchestrator.core.lane_order import Lane
from maingate.orchestrator.shell.dispatcher import Dispatcher
from maingate.plan.choices import LandingStyle
from maingate.plan.model import Plan
from maingate.settings import Settings
from orchestrator.core.test_core import picture_of

EFFECTS = get_args(Effect)
PLAN = {
    "maingate": 1,
    "workstreams": {"w": {"tasks": {"one": {"patch": "1.patch"}, "two": {"patch": "2.patch"}}}},
}


def types_in(hint: Any) -> Iterator[type]:
    """Give the classes that a type hint is made of."""
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for part in get_args(hint):
        yield from types_in(part)


def values_of(kind: type, seen: set[type] | None = None) -> set[type]:
    """Return the dataclasses that a dataclass holds, itself among them."""
    seen = set() if seen is None else seen
    if dataclasses.is_dataclass(kind) and kind not in seen:
        seen.add(kind)
        for hint in get_type_hints(kind).values():
            for each in types_in(hint):
                values_of(each, seen)
    return seen


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda kind: kind.__name__)
def test_an_effect_is_frozen_all_the_way_down(effect: type) -> None:
    """Every part of it is a frozen dataclass, and none is a node, which the core changes."""
    for kind in values_of(effect):
        assert kind.__dataclass_params__.frozen, f"{kind.__name__} can be changed"  # type: ignore[attr-defined]
        assert kind.__module__ != snapshot.__name__, f"{kind.__name__} is a node"


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda kind: kind.__name__)
def test_no_field_of_an_effect_can_be_appended_to(effect: type) -> None:
    """Lists and dictionaries of the core would go on changing after the effect was made."""
    for kind in values_of(effect):
        for name, hint in get_type_hints(kind).items():
            assert not {list, dict, set} & {getattr(hint, "__origin__", hint)}, f"{kind.__name__}.{name}"


def test_what_an_effect_brings_stays_as_it_was() -> None:
    """A node that goes on changes no effect that was made of it before."""
    workstream = picture_of(Plan.model_validate(PLAN)).workstreams["w"]
    workstream.base = Tip(commit="base", tree="base")
    workstream.lane = Lane(order=workstream.patch_tasks(), settled=workstream.base)
    link = ChainLink(input=workstream.landing_input(), style=LandingStyle.MERGE, is_sealed=False)
    effect = BuildChain(build="build_1", onto=workstream.base, links=(link,), before=())
    workstream.lane.settled = Tip(commit="later", tree="later")
    workstream.intents.append(None)  # type: ignore[arg-type]
    [link] = effect.links
    assert link.input.settled.commit == "base"
    assert link.input.intents == ()
    assert effect.workstreams == (workstream.id,)


def test_a_task_brings_the_policy_of_its_workstream() -> None:
    """What a patch may touch is settled by the plan, whoever applies it and when."""
    plan = Plan.model_validate(
        {
            **PLAN,
            "workstreams": {
                "w": {"policy": {"max_files": 3}, "tasks": {"one": {"patch": "1.patch", "timeout": "1m"}}}
            },
        }
    )
    [task] = picture_of(plan).workstreams["w"].tasks
    assert (task.input.label, task.input.policy.max_files) == ("w/one", 3)
    assert task.input.plan is task.plan
    assert task.input is task.input, "it is made once"


def test_the_shell_carries_out_each_effect_that_is_not_the_loops() -> None:
    """Timers and tasks that do nothing are the loop's; each other effect has its steps."""
    nothing: Any = None
    picture = picture_of(Plan.model_validate(PLAN))
    dispatcher = Dispatcher(
        run=picture.input,
        repository=nothing,
        executor=nothing,
        verdicts=nothing,
        commands=nothing,
        tools=nothing,
        running=nothing,
        database=nothing,
        settings=Settings(),
        clock=ManualClock(),
        quarantine_folder=Path("quarantine"),
        fence=lambda _: None,
        target_fence=lambda _: None,
        warn=lambda _: None,
        threads=nothing,
    )
    assert set(EFFECTS) - dispatcher._steps.keys() == {RunNoop, WaitForRetry, WaitForTool}
    once = {kind: [step.is_once for step in steps] for kind, steps in dispatcher._steps.items()}
    assert {kind: flags for kind, flags in once.items() if any(flags)} == {
        RunCommand: [True],
        RunTool: [False, True, False],
    }, "a command is done once; a tool too, but not what comes before and after it"
