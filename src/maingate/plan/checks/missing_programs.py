"""Checks of commands: whether their programs exist where they will run."""

from collections.abc import Iterator, Mapping

from maingate.plan.checks.context import PlanContext
from maingate.plan.checks.named_files import mentioned_in
from maingate.plan.checks.program_search import is_found, program_of
from maingate.plan.definitions import GateDefinition
from maingate.plan.model import Plan, WorkstreamPlan
from maingate.settings.problems import Location, Mistake


def check_versions(gate: GateDefinition, place: Location, context: PlanContext) -> Iterator[Mistake]:
    """Find `versions` commands that cannot be run: they run in an empty folder, where nothing is prepared."""
    for at, command in enumerate(gate.versions):
        program = program_of(command)
        is_relative = program is not None and "/" in program and not program.startswith("/")
        if is_relative:
            hint = "they run outside of any worktree: name a program on PATH, or an absolute path"
            message = f"cannot be run: {program!r} is a path in the repository"
            yield Mistake(location=(*place, at), message=message, hint=hint)
        elif program is not None and not is_found(
            program, root=None, environ={**context.environ, **gate.env}
        ):
            message = f"cannot be run: {_missing(program)}"
            yield Mistake(location=(*place, at), message=message, hint="install it, or name its path")


def check_runnable(
    plan: Plan,
    command: str | tuple[str, ...],
    place: Location,
    context: PlanContext,
    *,
    env: Mapping[str, str],
) -> Iterator[Mistake]:
    """Find a command that cannot be run; `prepare` and patches may bring a missing program."""
    program = program_of(command)
    environ = {**context.environ, **env}
    if program is None or plan.prepare or is_found(program, root=context.root, environ=environ):
        return
    tasks = [task for workstream in plan.workstreams.values() for task in workstream.tasks.values()]
    patches = [context.folder / task.patch for task in tasks if task.patch is not None]
    if "/" in program and (any(task.tool for task in tasks) or mentioned_in(program, patches)):
        return
    hint = "install it, name its path, or let `prepare` install it"
    yield Mistake(location=place, message=f"cannot be run: {_missing(program)}", hint=hint)


def _missing(program: str) -> str:
    where = "is not in the repository" if "/" in program else "is not on PATH"
    return f"{program!r} {where}"


def check_notify(plan: Plan, context: PlanContext) -> Iterator[Mistake]:
    """Find `notify` commands that cannot be run at the repository's root, where nothing is prepared."""
    for at, command in enumerate(plan.notify):
        program = program_of(command)
        if program is not None and not is_found(program, root=context.root, environ=context.environ):
            message = f"cannot be run: {_missing(program)}"
            yield Mistake(location=("notify", at), message=message, hint="install it, or name its path")


def check_on_rollback(
    plan: Plan, workstream: WorkstreamPlan, place: Location, context: PlanContext
) -> Iterator[Mistake]:
    """Find `on_rollback` commands that cannot be run or would never be run."""
    for at, command in enumerate(workstream.on_rollback):
        yield from check_runnable(plan, command, (*place, at), context, env={})
    tasks = workstream.tasks.values()
    if workstream.on_rollback and tasks and all(task.command or task.noop for task in tasks):
        hint = "give it a task with a patch, or remove the key"
        message = "'on_rollback' would never run: none of its tasks makes a patch that could be rolled back"
        yield Mistake(location=place, message=message, hint=hint)
