"""Checks of scopes: globs that can match nothing, and scopes that leave nothing that a patch may touch."""

from collections.abc import Iterator, Sequence

from maingate.plan.checks.context import PlanContext
from maingate.plan.checks.policy import are_faulty, check_globs
from maingate.plan.choices import TaskKind
from maingate.plan.model import TaskPlan
from maingate.plan.paths.globs import DEFAULT_PROTECT, matches_nothing
from maingate.settings.policy_layer import PolicyLayer
from maingate.settings.problems import Location, Mistake
from maingate.wording import listed


def check_scope(
    task: TaskPlan, place: Location, layers: Sequence[PolicyLayer], context: PlanContext
) -> Iterator[Mistake]:
    """Find what is wrong with a task's scope, and a scope that no patch can fit."""
    if task.scope is None:
        return
    faults = list(check_globs(task.scope, place, context))
    yield from faults
    taken = [layer.forbid for layer in layers if layer.forbid is not None]
    if faults or are_faulty(taken):
        return
    if not task.scope:
        yield Mistake(
            location=place, message="the scope is empty: no patch fits", hint="remove the key, or list globs"
        )
    elif hint := _why_nothing_is_left(task, taken, layers):
        shown = listed([repr(glob) for glob in task.scope])
        yield Mistake(location=place, message=f"the scope {shown} leaves nothing to touch", hint=hint)


def _why_nothing_is_left(
    task: TaskPlan, forbidden: Sequence[Sequence[str]], layers: Sequence[PolicyLayer]
) -> str:
    """Return a hint why no patch can fit a scope; empty where one may."""
    if matches_nothing(task.scope or (), taken=forbidden):
        return "only what is forbidden, or nothing at all, matches it"
    stated = [layer.protect for layer in layers if layer.protect is not None]
    if task.kind is not TaskKind.TOOL or are_faulty(stated):
        return ""
    if not matches_nothing(task.scope or (), taken=[*forbidden, *(stated or [DEFAULT_PROTECT])]):
        return ""
    if stated:
        return "tools' patches may not touch what `protect` of the policy names: take it out there"
    return "tools may not touch tests and CI files by default: `policy: {protect: []}` in the plan lets them"
