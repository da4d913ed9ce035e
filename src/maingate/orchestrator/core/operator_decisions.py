"""Overrides of tasks and workstreams, applied to the run's picture: checks, steps and records. Pure.

`maingate.state.operator_rules` refuses an override that does not suit its entity; the core asks it again,
because the entity may have moved since the request was written. The consequences of the steps are drawn as
if the program had decided them itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from maingate.orchestrator.core.decision import OverrideRecord
from maingate.orchestrator.core.events import OverrideRequested
from maingate.orchestrator.core.snapshot import TaskNode, WorkstreamNode
from maingate.reasons import Reason, ReasonCode
from maingate.state import operator_rules
from maingate.state.operator_rules import Facts, RequestAnswer, TaskFacts, WorkstreamFacts
from maingate.state.steps import tasks as task_steps
from maingate.state.steps import workstreams as workstream_steps
from maingate.state.steps.step import Step
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

_CODES: Final[Mapping[str, ReasonCode]] = {
    "fail": ReasonCode.REJECTED,
    "force-fail": ReasonCode.REJECTED,
    "validate": ReasonCode.CANCELLED,
}
"""The codes of overrides that end something without success; others are by hand, no more."""


def refusal(asked: OverrideRequested, node: TaskNode | WorkstreamNode) -> str | None:
    """Return why an override does not suit its entity as that is now; None when it does."""
    return operator_rules.refusal(asked.override, facts_of(node))


def facts_of(node: TaskNode | WorkstreamNode) -> Facts:
    """Return the facts about an entity on which a decision depends."""
    if isinstance(node, WorkstreamNode):
        lane = node.lane
        open_ones = [
            task.name
            for task in node.tasks
            if task.is_critical and not (task.has_ended or (lane is not None and lane.keeps(task)))
        ]
        return WorkstreamFacts(name=node.name, state=node.state, indispensable=open_ones)
    needed = [node.workstream.by_name[name] for name in dict.fromkeys(node.needs)]
    return TaskFacts(
        name=node.name,
        kind=node.kind,
        state=node.state,
        workstream=node.workstream.state,
        unmet=[task.name for task in needed if task.state is not TaskState.COMPLETED],
    )


def reason_of(asked: OverrideRequested) -> Reason:
    """Return the reason of all transitions of an override."""
    code = _CODES.get(asked.override, ReasonCode.BY_HAND)
    return operator_rules.by_hand(asked.message, asked.operator, code)


def on_record(asked: OverrideRequested, node: TaskNode | WorkstreamNode) -> OverrideRecord:
    """Return the record of the decision, with the state that the entity is in before it."""
    return OverrideRecord(
        head=node.head,
        state=node.state,
        override=asked.override,
        message=asked.message,
        operator=asked.operator,
    )


def answer(asked: OverrideRequested, node: TaskNode | WorkstreamNode) -> RequestAnswer:
    """Return the answer to an override that was applied."""
    name = node.name if isinstance(node, WorkstreamNode) else node.label
    return RequestAnswer(request=asked.request, said=f"{name} is {node.state}; {asked.operator} decided it.")


def signed(steps: Iterable[Step], operator: str) -> list[Step]:
    """Return the steps with the name of the operator who decided them."""
    return [replace(step, operator=operator) for step in steps]


# -- steps ---------------------------------------------------------------------------------------------------


def completing(task: TaskNode, reason: Reason, *, worker_id: str) -> Sequence[Step]:
    """Return the steps that complete a task from its state."""
    return [*_to_validating(task, worker_id), task_steps.complete(task.head, reason=reason)]


def failing(task: TaskNode, reason: Reason, *, worker_id: str) -> Sequence[Step]:
    """Return the steps that fail a task from its state."""
    return [*_to_validating(task, worker_id), task_steps.fail(task.head, reason, trigger="validation_failed")]


def starting_over(task: TaskNode, reason: Reason) -> Step:
    """Return the step that queues a waiting task at once and restores all its retries."""
    step = task_steps.requeue(task.head, reason=reason)
    return replace(step, sets={**step.sets, "retry_count": 0, "lost_count": 0})


def failing_workstream(workstream: WorkstreamNode, reason: Reason) -> Step:
    """Return the step that fails a workstream under way."""
    is_landing = workstream.state is WorkstreamState.VALIDATING
    return workstream_steps.fail(
        workstream.head, reason, trigger="validation_failed" if is_landing else "critical_task_failed"
    )


def _to_validating(task: TaskNode, worker_id: str) -> Iterable[Step]:
    """Yield the steps that the machine demands before the end of a task."""
    if task.state is TaskState.PENDING:
        yield task_steps.queue(task.head)
    if task.state is TaskState.RETRYING:
        yield task_steps.requeue(task.head)
    if task.state in {TaskState.PENDING, TaskState.RETRYING, TaskState.QUEUED}:
        yield task_steps.start(task.head, worker_id=worker_id)
    if task.state is not TaskState.VALIDATING:
        yield task_steps.produced(task.head)
