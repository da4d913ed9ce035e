"""Checks of layers of policy, and of the globs in plans."""

from collections.abc import Iterable, Iterator, Sequence

from maingate.plan.checks.context import PlanContext
from maingate.plan.paths.globs import IN_GIT, fault_of_glob
from maingate.settings.policy_layer import PolicyLayer, loosenings
from maingate.settings.problems import Location, Mistake
from maingate.wording import short


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


def are_faulty(lists: Iterable[Sequence[str]]) -> bool:
    """Return whether one of several lists has a glob that `check_globs` reports."""
    return any(fault_of_glob(glob) not in (None, IN_GIT) for globs in lists for glob in globs)
