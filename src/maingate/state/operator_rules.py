"""Decisions of an operator: which of them suit the state that an entity is in. Pure.

This is the one place that refuses a decision. A face asks it before it writes a request, and the process that
controls the run asks it again before it applies one, because the entity may have moved meanwhile
(docs/SPECIFICATION.md §5.4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from maingate.errors import UsageError
from maingate.reasons import Reason, ReasonCode
from maingate.state.circuit_breaker import BreakerState
from maingate.state.patch_ledger import PATCH_LEDGER, PatchState
from maingate.state.task import TASK, TaskState
from maingate.state.workstream import WORKSTREAM, WorkstreamState

Override = Literal["force-complete", "force-fail", "reset", "unblock", "fail", "validate"]
"""The overrides that a person may request: the first four of a task, the others of a workstream."""

BreakerAction = Literal["reset", "trip"]
"""The decisions about the breaker of a tool."""


def by_hand(message: str, operator: str, code: ReasonCode = ReasonCode.BY_HAND) -> Reason:
    """Return the reason of an operator's decision."""
    return Reason(code=code, message=f"{operator}: {message}", detail={"operator": operator})


def require_reason(reason: str) -> None:
    """Raise unless an operator gives a reason: a decision by hand is recorded with one.

    Raises:
        UsageError: The reason is empty.
    """
    if not reason.strip():
        raise UsageError("the reason must not be empty: it is recorded with the decision")


@dataclass(frozen=True, kw_only=True)
class RequestAnswer:
    """The answer to a request.

    Args:
        request: Its identifier.
        said: A sentence.
        is_refused: Whether it was refused, for the reason in the sentence.
    """

    request: str
    said: str
    is_refused: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """The facts about a task on which a decision depends.

    Args:
        name: Its name in the plan.
        kind: Its kind.
        state: Its state.
        workstream: The state of its workstream.
        unmet: The names of the tasks that it needs and that are not completed.
    """

    name: str
    kind: str
    state: TaskState
    workstream: WorkstreamState
    unmet: Sequence[str] = ()

    @property
    def gives_a_patch(self) -> bool:
        """Return whether the task gives a patch, which counts only when its gates passed."""
        return self.kind not in {"command", "noop"}


@dataclass(frozen=True, kw_only=True)
class WorkstreamFacts:
    """The facts about a workstream on which a decision depends.

    Args:
        name: Its name in the plan.
        state: Its state.
        indispensable: The names of its critical tasks that have not ended.
    """

    name: str
    state: WorkstreamState
    indispensable: Sequence[str] = ()


Facts = TaskFacts | WorkstreamFacts

OF_WORKSTREAMS: Final[frozenset[Override]] = frozenset({"fail", "validate"})
"""The overrides of workstreams; the others are of tasks."""


def refusal(override: Override, facts: Facts) -> str | None:
    """Return why an override does not suit its entity as that is now; None when it does."""
    is_workstream = isinstance(facts, WorkstreamFacts)
    if is_workstream is not (override in OF_WORKSTREAMS):
        wanted, found = ("tasks", "workstream") if is_workstream else ("workstreams", "task")
        return f"`{override}` applies to {wanted}; {facts.name} is a {found}"
    return next((why for check in _CHECKS[override] if (why := check(facts)) is not None), None)


def suitable(facts: Facts) -> list[Override]:
    """Return the overrides that suit an entity as it is now."""
    return [override for override in get_args(Override) if refusal(override, facts) is None]


def cancel_refusal(entity_id: str, state: str, *, is_over: bool) -> str | None:
    """Return why a run, workstream or task cannot be cancelled; None when it can."""
    return f"{entity_id} is {state} already; there is nothing to cancel" if is_over else None


def breaker_refusal(action: BreakerAction, tool: str, state: BreakerState) -> str | None:
    """Return why the breaker of a tool cannot be reset or tripped; None when it can."""
    if action == "trip":
        is_closed = state is BreakerState.CLOSED
        return None if is_closed else f"the breaker of {tool!r} is {state} already; there is nothing to trip"
    if state is BreakerState.OPEN:
        return None
    hint = "its probe decides" if state is BreakerState.HALF_OPEN else "there is nothing to reset"
    return f"the breaker of {tool!r} is {state}; {hint}"


def drop_refusal(patch_id: str, state: PatchState) -> str | None:
    """Return why a patch cannot be given up; None when it can."""
    if state is PatchState.QUARANTINED:
        return None
    hint = "; `maingate rollback` takes it back" if state is PatchState.COMMITTED else ""
    return f"patch {patch_id} is {state}; only what is quarantined can be dropped{hint}"


def approval_refusal(patch_id: str, state: PatchState) -> str | None:
    """Return why a patch cannot be approved; None when it can."""
    if PATCH_LEDGER.is_terminal(state) or state is PatchState.COMMITTED:
        return f"patch {patch_id} is {state}; an approval changes nothing any more"
    return None


def _makes_a_patch(task: TaskFacts) -> str | None:
    if not task.gives_a_patch:
        return None
    return (
        f"task {task.name} makes a patch, and a patch counts only when its gates passed; "
        "`maingate patch recover` tries another one, `maingate cancel` gives the task up"
    )


def _not_ended_by_hand(task: TaskFacts) -> str | None:
    if TASK.is_terminal(task.state):
        return f"task {task.name} is {task.state} already; what has ended stays ended"
    if task.workstream is not WorkstreamState.EXECUTING:
        return f"the workstream of task {task.name} has not begun; `maingate cancel` ends it"
    if task.state is TaskState.BLOCKED or task.unmet:
        return (
            f"task {task.name} waits for {', '.join(task.unmet) or 'others'} and has not begun; "
            "`maingate cancel` ends it"
        )
    return None


def _not_reset(task: TaskFacts) -> str | None:
    if task.state is TaskState.RETRYING:
        return None
    if not TASK.is_terminal(task.state):
        return f"task {task.name} is {task.state}; it goes on by itself"
    again = "`maingate patch recover` makes a new run of it" if task.gives_a_patch else "run the plan again"
    return f"task {task.name} is {task.state}; what has ended stays ended; {again}"


def _not_free(task: TaskFacts) -> str | None:
    if task.state is not TaskState.BLOCKED:
        return f"task {task.name} is {task.state}, not blocked"
    if task.unmet:
        return f"task {task.name} waits for {', '.join(task.unmet)}; complete or cancel that first"
    return None


def _not_under_way(workstream: WorkstreamFacts) -> str | None:
    if workstream.state in {WorkstreamState.EXECUTING, WorkstreamState.VALIDATING}:
        return None
    is_over = WORKSTREAM.is_terminal(workstream.state)
    hint = "what has ended stays ended" if is_over else "it has not begun; `maingate cancel` ends it"
    return f"workstream {workstream.name} is {workstream.state}; {hint}"


def _not_validated_early(workstream: WorkstreamFacts) -> str | None:
    if workstream.state is WorkstreamState.VALIDATING:
        return f"workstream {workstream.name} is validating already; only its gates decide"
    if workstream.indispensable:
        return (
            f"workstream {workstream.name} cannot land without {', '.join(workstream.indispensable)}: "
            "critical tasks must be completed first; `maingate override fail` gives the workstream up"
        )
    return None


_CHECKS: Final[Mapping[Override, Sequence[Callable[[Any], str | None]]]] = MappingProxyType(
    {
        "force-complete": (_makes_a_patch, _not_ended_by_hand),
        "force-fail": (_not_ended_by_hand,),
        "reset": (_not_reset,),
        "unblock": (_not_free,),
        "fail": (_not_under_way,),
        "validate": (_not_under_way, _not_validated_early),
    }
)
"""The checks of each override, in their order."""
