"""The eight machines: each says exactly what the specification says, and refuses everything else."""

import importlib
import json
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest

from maingate.errors import InvalidTransitionError
from maingate.state.machine import Machine
from maingate.state.machines import MACHINES
from maingate.state.task import TASK, TaskState

EXPECTED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "machines.json").read_text("utf-8"))
"""The specification, written down a second time and not made from the tables."""

TRIGGERS = sorted({trigger for machine in EXPECTED.values() for _, _, trigger in machine["transitions"]})
"""Every trigger of every machine: a foreign one is refused like an unknown one."""

each_machine = pytest.mark.parametrize("name", list(EXPECTED))


def test_there_are_exactly_the_eight_machines_of_the_specification() -> None:
    """The machines are known by the specification's names, in its order."""
    assert list(MACHINES) == list(EXPECTED)
    assert all(machine.name == name for name, machine in MACHINES.items())


@each_machine
def test_as_json_says_what_the_specification_says(name: str) -> None:
    """States, initial and terminal states are the specification's; so are the transitions, each once."""
    known = MACHINES[name].as_json()
    expected = EXPECTED[name]
    assert known | {"transitions": sorted(known["transitions"])} == expected | {
        "transitions": sorted(expected["transitions"])
    }


@each_machine
def test_every_pair_of_states_by_every_trigger_is_allowed_or_refused(name: str) -> None:
    """An allowed transition is let through; every other one raises and names what is allowed instead."""
    machine = MACHINES[name]
    allowed = {tuple(transition) for transition in EXPECTED[name]["transitions"]}
    let_through = set()
    for state, to, trigger in product(EXPECTED[name]["states"], EXPECTED[name]["states"], TRIGGERS):
        assert machine.allows(state, to, trigger) == ((state, to, trigger) in allowed)
        if machine.allows(state, to, trigger):
            machine.check(entity_id="x_1", state=state, to=to, trigger=trigger)
            let_through.add((state, to, trigger))
            continue
        with pytest.raises(InvalidTransitionError) as refusal:
            machine.check(entity_id="x_1", state=state, to=to, trigger=trigger)
        assert refusal.value.allowed == tuple(
            f"{t} by {by}" for s, t, by in machine.transitions if s == state
        )
    assert let_through == allowed


@each_machine
def test_members_and_their_text_are_the_same_to_a_machine(name: str) -> None:
    """A machine takes the states of its enum as well as their text from a database row."""
    machine = MACHINES[name]
    for state, to, trigger in machine.transitions:
        machine.check(entity_id="x_1", state=state, to=to, trigger=trigger)
        assert machine.allowed(state) == machine.allowed(str(state))
    assert {state for state in EXPECTED[name]["states"] if machine.is_terminal(state)} == machine.terminal


@each_machine
def test_every_state_can_be_reached_and_every_other_than_a_terminal_one_left(name: str) -> None:
    """No state is unreachable from the initial one, and none but a terminal one is a dead end."""
    machine = MACHINES[name]
    reached = {machine.initial}
    while more := {to for state, to, _ in machine.transitions if state in reached} - reached:
        reached |= more
    assert reached == set(machine.states)
    assert all(machine.table[state] for state in machine.states if not machine.is_terminal(state))


@each_machine
def test_every_state_says_who_moves_it_on(name: str) -> None:
    """Each member of a machine's enum is followed by its own description."""
    source = Path(str(importlib.import_module(MACHINES[name].states.__module__).__file__)).read_text("utf-8")
    lines = [line.strip() for line in source.splitlines()]
    for state in MACHINES[name].states:
        assert lines[lines.index(f'{state.name} = "{state}"') + 1].startswith('"""')


def test_a_refusal_names_the_entity_its_state_and_what_is_allowed() -> None:
    """The error says what happened, to what, and what is allowed from there."""
    with pytest.raises(InvalidTransitionError) as refusal:
        TASK.check(entity_id="task_7", state="queued", to="completed", trigger="validation_passed")
    assert str(refusal.value) == (
        "task task_7 is queued and cannot go to completed by validation_passed; "
        "allowed from there: running by worker_started, cancelled by user_cancelled"
    )


def test_an_unknown_state_is_refused() -> None:
    """A row with a state that no machine knows can go nowhere."""
    assert TASK.allowed("lost") == []
    with pytest.raises(InvalidTransitionError):
        TASK.check(entity_id="task_7", state="lost", to="queued", trigger="scheduler_assigned")


def test_a_table_cannot_be_changed() -> None:
    """The tables are frozen: nothing can teach a machine a transition at run time."""
    with pytest.raises(TypeError):
        cast("dict[TaskState, Any]", TASK.table)[TaskState.COMPLETED] = ((TaskState.PENDING, "again"),)


def test_a_machine_with_a_state_that_has_no_key_is_refused() -> None:
    """Every state is a key of its table, so that a forgotten one is noticed when the module is imported."""
    with pytest.raises(ValueError, match="keys are not the states"):
        Machine(
            name="half",
            states=TaskState,
            initial=TaskState.PENDING,
            terminal=frozenset(),
            table={TaskState.PENDING: ()},
        )


def test_an_extension_that_is_not_in_the_table_is_refused() -> None:
    """Every explanation belongs to a transition of the table, so that none goes stale unseen."""
    foreign = (TaskState.COMPLETED, TaskState.PENDING, "again")
    with pytest.raises(ValueError, match="not in the table"):
        Machine(
            name="odd",
            states=TaskState,
            initial=TASK.initial,
            terminal=TASK.terminal,
            table=TASK.table,
            extensions={foreign: "wishful"},
        )


def test_mermaid_draws_every_transition_once() -> None:
    """The diagram has the start, every transition with its trigger, and the ends."""
    drawn = MACHINES["circuit_breaker"].mermaid().splitlines()
    assert drawn == [
        "stateDiagram-v2",
        "    [*] --> CLOSED",
        "    CLOSED --> OPEN: failure_threshold_reached",
        "    CLOSED --> OPEN: manual_trip",
        "    OPEN --> HALF_OPEN: cooldown_elapsed",
        "    OPEN --> CLOSED: manual_reset",
        "    HALF_OPEN --> CLOSED: probe_succeeded",
        "    HALF_OPEN --> OPEN: probe_failed",
    ]
    assert "    failed --> [*]" in MACHINES["run"].mermaid().splitlines()
