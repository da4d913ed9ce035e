"""Checks of tasks: needs, gates, source, scope."""

from collections.abc import Iterator
from typing import Final

from maingate.plan.checks.circles_of_needs import circles_of
from maingate.plan.checks.context import DefinedNames, PlanContext
from maingate.plan.checks.named_files import fault_of_file
from maingate.plan.checks.names import unknown_name, unknown_names
from maingate.plan.checks.policy import check_policy
from maingate.plan.checks.scopes import check_scope
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan, TaskPlan, WorkstreamPlan
from maingate.settings.problems import Location, Mistake

_SOURCES: Final = ("patch", "tool", "command", "noop")
_OF_PATCHES: Final = ("prompt", "prompt_file", "commit", "scope", "gates", "message", "author", "date")


def check_tasks(plan: Plan, name: str, workstream: WorkstreamPlan, context: PlanContext) -> Iterator[Mistake]:
    """Find what is wrong with the tasks of a workstream."""
    place: Location = ("workstreams", name, "tasks")
    outer = [context.settings.policy, plan.policy, workstream.policy]
    for task_name, task in workstream.tasks.items():
        here = (*place, task_name)
        yield from _check_needs(task, name, (*here, "needs"), context.names)
        yield from unknown_names(task.gates or (), context.names.gates, (*here, "gates"), "gate")
        yield from _check_source(plan, task, here, context)
        yield from check_policy(task.policy, (*here, "policy"), outer, context)
        if task.command is None and not task.noop:
            yield from check_scope(task, (*here, "scope"), [*outer, task.policy], context)
    yield from circles_of({key: task.needs for key, task in workstream.tasks.items()}, place, "tasks")


def _check_needs(task: TaskPlan, workstream: str, place: Location, names: DefinedNames) -> Iterator[Mistake]:
    known = names.tasks.get(workstream, ())
    for index, need in enumerate(task.needs):
        if need in known:
            continue
        owner, bare = _owner_of(need, names)
        if owner == workstream:
            hint = f"within a workstream write {bare!r}"
            yield Mistake(location=(*place, index), message=f"there is no task {need!r}", hint=hint)
        elif owner is not None:
            hint = f"let the workstream {workstream!r} need {owner!r}"
            message = f"the task {bare!r} is in another workstream, {owner!r}"
            yield Mistake(location=(*place, index), message=message, hint=hint)
        else:
            yield unknown_name(need, known, (*place, index), "task")


def _owner_of(need: str, names: DefinedNames) -> tuple[str | None, str]:
    """Return the workstream and the task that ``task`` or ``workstream/task`` names."""
    owner, slash, task = need.partition("/")
    if slash:
        return (owner if task in names.tasks.get(owner, ()) else None), task
    return next((other for other, tasks in names.tasks.items() if need in tasks), None), need


def _check_source(plan: Plan, task: TaskPlan, place: Location, context: PlanContext) -> Iterator[Mistake]:
    """Check that a task has exactly one source: a ready diff, a tool, a command or none."""
    if context.has_refused(place, *_SOURCES):
        return
    given = [f"'{key}'" for key in _SOURCES if getattr(task, key) not in (None, False)]
    if len(given) != 1:
        said = "both " + " and ".join(given) if given else "none of 'patch', 'tool', 'command' and 'noop'"
        yield Mistake(location=place, message=f"task {place[-1]!r} has {said}", hint="give exactly one")
        return
    if task.kind is TaskKind.TOOL:
        yield from _check_tool(plan, task, place, context)
        return
    if not task.kind.gives_a_patch:
        yield from _check_no_patch_keys(task, place)
        return
    if fault := fault_of_file(context.folder, str(task.patch)):
        yield Mistake(location=(*place, "patch"), message=fault[0], hint=fault[1])
    for key in ("prompt", "prompt_file"):
        if getattr(task, key) is not None:
            yield Mistake(
                location=(*place, key),
                message=f"{key!r} is for tools",
                hint="a ready patch needs none: remove it",
            )


def _check_no_patch_keys(task: TaskPlan, place: Location) -> Iterator[Mistake]:
    for key in _OF_PATCHES:
        if getattr(task, key) is not None:
            yield Mistake(
                location=(*place, key),
                message=f"{key!r} is for patches",
                hint="a task without a patch has none: remove it",
            )


def _check_tool(plan: Plan, task: TaskPlan, place: Location, context: PlanContext) -> Iterator[Mistake]:
    name = str(task.tool)
    if task.commit is not None:
        hint = "a tool makes another patch: remove it"
        yield Mistake(location=(*place, "commit"), message="'commit' is for ready diffs", hint=hint)
    if name not in context.names.tools:
        yield unknown_name(name, context.names.tools, (*place, "tool"), "tool")
    if task.prompt is not None and task.prompt_file is not None:
        yield Mistake(location=place, message="both 'prompt' and 'prompt_file' are given", hint="give one")
    if task.prompt_file is not None and (fault := fault_of_file(context.folder, task.prompt_file)):
        yield Mistake(location=(*place, "prompt_file"), message=fault[0], hint=fault[1])
    tool = plan.tools.get(name)
    needs_prompt = tool is not None and tool.needs_prompt
    has_prompt = task.prompt is not None or task.prompt_file is not None
    if needs_prompt and not has_prompt and not context.has_refused(place, "prompt", "prompt_file"):
        hint = "give 'prompt' or 'prompt_file'"
        yield Mistake(location=place, message=f"the tool {name!r} needs a prompt", hint=hint)
