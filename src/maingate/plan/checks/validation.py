"""Validation of a plan: everything that a single field cannot show, all of it at once."""

from collections import Counter
from collections.abc import Iterator

from maingate.plan.checks.circles_of_needs import circles_of
from maingate.plan.checks.context import PlanContext
from maingate.plan.checks.missing_programs import (
    check_notify,
    check_on_rollback,
    check_runnable,
    check_versions,
)
from maingate.plan.checks.names import unknown_names
from maingate.plan.checks.policy import check_globs, check_policy
from maingate.plan.checks.tasks import check_tasks
from maingate.plan.checks.tools import check_tools
from maingate.plan.model import Plan
from maingate.plan.repository_search import expanded
from maingate.settings.problems import Mistake


def validate(plan: Plan, context: PlanContext) -> Iterator[Mistake]:
    """Find everything that is wrong with a plan beyond its single fields."""
    yield from _check_repository(plan, context)
    yield from check_globs(plan.prepare_inputs, ("prepare_inputs",), context)
    yield from check_globs(plan.keep.paths, ("keep", "paths") if plan.keep.shared else ("keep",), context)
    yield from check_policy(plan.policy, ("policy",), [context.settings.policy], context)
    yield from _check_gates(plan, context)
    yield from check_tools(plan, context)
    yield from _check_workstreams(plan, context)
    yield from check_notify(plan, context)


def _check_repository(plan: Plan, context: PlanContext) -> Iterator[Mistake]:
    """Find a `repo` that is not a repository; the target is checked by git, when the plan is run."""
    if plan.repo is None:
        return
    if not (context.folder / expanded(plan.repo)).is_dir():
        message, hint = f"{plan.repo!r} is not a folder", "paths are relative to the plan"
    elif context.root is None:
        message = f"{plan.repo!r} is not in a git repository"
        hint = "name a repository, or run `git init` there"
    else:
        return
    yield Mistake(location=("repo",), message=f"'repo': {message}", hint=hint)


def _check_gates(plan: Plan, context: PlanContext) -> Iterator[Mistake]:
    for name, gate in plan.gates.items():
        place = ("gates", name)
        yield from unknown_names(gate.needs, context.names.gates, (*place, "needs"), "gate")
        yield from check_globs(gate.inputs, (*place, "inputs"), context)
        yield from check_runnable(plan, gate.run, (*place, "run"), context, env=gate.env)
        yield from check_versions(gate, (*place, "versions"), context)
    yield from circles_of({name: gate.needs for name, gate in plan.gates.items()}, ("gates",), "gates")


def _check_workstreams(plan: Plan, context: PlanContext) -> Iterator[Mistake]:
    names = context.names
    folded = Counter(name.lower() for name in plan.workstreams)
    for name, workstream in plan.workstreams.items():
        place = ("workstreams", name)
        if folded[name.lower()] > 1:
            hint = "their refs would be one on file systems that ignore case"
            yield Mistake(
                location=place, message=f"{name!r} differs from another name in case only", hint=hint
            )
        yield from unknown_names(workstream.needs, names.tasks, (*place, "needs"), "workstream")
        yield from unknown_names(workstream.gates or (), names.gates, (*place, "gates"), "gate")
        yield from check_policy(
            workstream.policy, (*place, "policy"), [context.settings.policy, plan.policy], context
        )
        yield from check_tasks(plan, name, workstream, context)
        yield from check_on_rollback(plan, workstream, (*place, "on_rollback"), context)
    needs = {name: workstream.needs for name, workstream in plan.workstreams.items()}
    yield from circles_of(needs, ("workstreams",), "workstreams")
