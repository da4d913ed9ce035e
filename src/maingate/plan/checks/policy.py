"""Checks of layers of policy and of scopes, and of the globs in them."""

from collections.abc import Iterable, Iterator, Sequence

from maingate.plan.checks.context import PlanContext
from maingate.plan.choices import TaskKind
from maingate.plan.model import TaskPlan
from maingate.plan.paths.globs import DEFAULT_PROTECT, IN_GIT, fault_of_glob, matches_nothing
from maingate.settings.policy_layer import PolicyLayer, loosenings
from maingate.settings.problems import Location, Mistake
from maingate.wording import listed, short


def check_scope(
    task: TaskPlan, place: Location, layers: Sequence[PolicyLayer], context: PlanContext
) -> Iterator[Mistake]:
    """Find what is wrong with a task's scope, and a scope that no patch can fit."""
    if task.scope is None:
        return
    faults = list(check_globs(task.scope, place, context))
    yield from faults
    taken = [layer.forbid for layer in layers if layer.forbid is not None]
    if faults or _are_faulty(taken):
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
    if task.kind is not TaskKind.TOOL or _are_faulty(stated):
        return ""
    if not matches_nothing(task.scope or (), taken=[*forbidden, *(stated or [DEFAULT_PROTECT])]):
        return ""
    if stated:
        return "tools' patches may not touch what `protect` of the policy names: take it out there"
    return "tools may not touch tests and CI files by default: `policy: {protect: []}` in the plan lets them"


def check_policy(
    policy: PolicyLayer, place: Location, outer: Sequence[PolicyLayer], context: PlanContext
) -> Iterator[Mistake]:
    """Find what is wrong with a layer of policy, and where it would loosen the layers around it."""
    for name in ("allow", "forbid", "protect", "require_tests", "test_paths"):
        yield from check_globs(getattr(policy, name), (*place, name), context)
    if policy.allow is not None and not policy.allow:
        message = "'allow' is empty: no patch fits"
        yield Mistake(location=(*place, "allow"), message=message, hint="remove the key, or list globs")
    for name, hint in loosenings(outer, policy):
        message = f"{name!r} would loosen the policy around it"
        yield Mistake(location=(*place, name), message=message, hint=hint)


def check_globs(globs: Sequence[str] | None, place: Location, context: PlanContext) -> Iterator[Mistake]:
    """Find globs that can match nothing."""
    root = "" if context.root is None else str(context.root)
    for index, glob in enumerate(globs or ()):
        if fault := fault_of_glob(glob, root=root):
            if place[-1] == "forbid" and fault == IN_GIT:
                continue
            hint = f"write {glob.removeprefix('./')!r}" if glob.startswith("./") else fault
            yield Mistake(
                location=(*place, index), message=f"the glob {short(glob)!r} can match nothing", hint=hint
            )


def _are_faulty(lists: Iterable[Sequence[str]]) -> bool:
    return any(fault_of_glob(glob) not in (None, IN_GIT) for globs in lists for glob in globs)
